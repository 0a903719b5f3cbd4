"""What is made of sequences before a loop, with ONNX Runtime as the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.runtime.plan.loops._slices import ALONE
from tests.runtime.plan.text_models import bodies, check

TAKING = """g (float[4,1,2] x) => (float[K,1,2] all)
    <int64 n = {2}, bool go = {1}, int64 zero = {0}, int64 one = {1}, float[4,1,2] w = {8,7,6,5,4,3,2,1}> {
    last, all = Loop(n, go, START) <
      body = b (int64 i, bool c, int64 t) => (bool on, int64 u, float[1,2] out) { on = Identity(c) u = Add(t, one) LINES }
    >
}"""
X = {"x": np.linspace(0.1, 3, 8).astype(np.float32).reshape(4, 1, 2)}


def left(lines: str, folder, start: str = "zero") -> list[str]:
    """The operators that are left in the body, whose answers are right."""
    text = TAKING.replace("LINES", lines).replace("START", start)
    check(text, folder, X)
    (body,) = bodies(text)
    return [node.op_type for node in body.graph.nodes if node.op_type not in ("Identity", "Add")]


@pytest.mark.parametrize("op", sorted(ALONE))
def test_elements_are_made_of_elements_before_the_loop(op, tmp_path):
    made = {
        "Cast": "k = Cast <to = 11> (e) out = Cast <to = 1> (k)",
        "Not": "k = Cast <to = 9> (e) l = Not(k) out = Cast <to = 1> (l)",
    }
    assert left(f"e = Gather(x, i) {made.get(op, f'out = {op}(e)')}", tmp_path) == []


@pytest.mark.parametrize("made", ["out = Softmax(e)", "out = CumSum(e, zero)", "out = LpNormalization(e)"])
def test_what_is_made_of_several_elements_stays(made, tmp_path):
    assert len(left(f"e = Gather(x, i) {made}", tmp_path)) == 1


@pytest.mark.parametrize(
    ("lines", "start"),
    [
        ("e = Gather(x, one) out = Tanh(e)", "zero"),
        ("e = Gather(x, u) out = Tanh(e)", "zero"),
        ("e = Gather(x, t) out = Tanh(e)", "one"),
        ("m = Neg(i) e = Gather(x, m) out = Tanh(e)", "zero"),
        ("e = Gather <axis = 2> (x, i) m = ReduceMax(e) out = Concat <axis = 1> (m, m)", "zero"),
    ],
)
def test_elements_of_other_numbers_are_taken_in_the_loop(lines, start, tmp_path):
    assert "Gather" in left(lines, tmp_path, start)


def test_the_same_is_made_once(tmp_path):
    lines = "e = Gather(x, i) a = Tanh(e) k = Gather(x, t) b = Tanh(k) d = Exp(e) f = Mul(a, b) out = Mul(f, d)"
    assert left(lines, tmp_path) == ["Mul", "Mul"]
    (body,) = bodies(TAKING.replace("LINES", lines).replace("START", "zero"))
    assert body.sequences == 2


@pytest.mark.parametrize("shape", [(2,), (2, 3), (3, 2, 2), (1, 2, 2)])
def test_only_by_matrices_are_sequences_multiplied(shape, tmp_path):
    numbers, sizes = ",".join(map(str, range(int(np.prod(shape))))), ",".join(map(str, shape))
    text = f"""g (float[4,1,2] x) => (float[{",".join("KLMN"[: 2 + max(len(shape) - 1, 0)])}] all)
        <int64 n = {{4}}, bool go = {{1}}, float[{sizes}] w = {{{numbers}}}> {{
        all = Loop(n, go) <
          body = b (int64 i, bool c) => (bool on, float[{",".join("PQR"[: len(shape)])}] out) {{
            on = Identity(c) e = Gather(x, i) out = MatMul(e, w)
          }}
        >
    }}"""
    check(text, tmp_path, {"x": np.arange(8, dtype=np.float32).reshape(4, 1, 2)})
    (body,) = bodies(text)
    assert len(body.graph.nodes) == (0 if len(shape) == 2 else 1)
