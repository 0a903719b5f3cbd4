"""Loops and scans as they are planned: what their bodies are left with, and the answers, with ONNX Runtime as the oracle."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tersor.converters import from_onnx
from tersor.format_spec.errors import PlanError
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.runtime.ops import Closure
from tersor.runtime.orders.workers import Workers
from tersor.runtime.plan.subgraph import close_over
from tests.runtime.plan.text_models import check, model

LAYER = """g (int32 steps, float[5,2] x, bool[5,1] m, float[1,3] h0) => (float[1,3] h, float[2,3] kept, float[T,1,3] all)
    <int32 zero = {0}, float[2,3] w = {1,2,0,-1,0.5,1}, float[3,3] r = {1,0,0,0,-0.5,0,0.25,0,1}, bool go = {1}> {
    last, h, same, kept, all = Loop(, go, zero, h0, steps, w) <
      body = b (int64 i, bool c, int32 t, float[1,3] s, int32 n, float[2,3] v)
          => (bool on, int32 u, float[1,3] so, int32 no, float[2,3] vo, float[1,3] out) <int32 one = {1}> {
        u = Add(t, one)
        e = Gather(x, t)
        a = Unsqueeze(e, axes)
        f = MatMul(e, v)
        k = Gather(m, i)
        other = Not(k)
        left = Cast <to = 1> (other)
        p = Cast <to = 1> (k)
        g1 = MatMul(s, r)
        sum = Add(f, g1)
        new = Tanh(sum)
        taken = Mul(p, new)
        stays = Mul(left, s)
        so = Add(taken, stays)
        out = Identity(so)
        no = Identity(n)
        vo = Identity(v)
        first = Cast <to = 1> (u)
        second = Cast <to = 1> (n)
        on = Less(first, second)
      }
    >
}""".replace("        a = Unsqueeze(e, axes)\n", "")


def bodies(body: str) -> list[Closure]:
    """The bodies of loops and scans as they are planned."""
    graph = close_over(from_onnx(model(body)), Workers(1), DEFAULT_LIMITS)
    found: list[Any] = [node.attributes["body"] for node in graph.nodes if "body" in node.attributes]
    return found


def layer_inputs(steps: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x, h0 = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 2), (1, 3)))
    return {"steps": np.array(steps, np.int32), "x": x, "m": rng.random((5, 1)) < 0.7, "h0": h0}


def test_a_layer_written_as_a_loop_is_left_with_what_depends_on_its_state(tmp_path):
    check(LAYER, tmp_path, *(layer_inputs(steps, steps) for steps in (1, 3, 5)))
    (body,) = bodies(LAYER)
    assert [node.op_type for node in body.graph.nodes] == ["MatMul", "Add", "Tanh", "Mul", "Mul", "Add", "Identity"]
    assert (body.sequences, len(body.graph.outputs)) == (3, 3)


def test_what_follows_a_loop_of_known_length_has_a_known_shape(tmp_path):
    known = LAYER.replace("int32 steps, ", "").replace("int32 zero", "int32 steps = {4}, int32 zero")
    feed = layer_inputs(4)
    del feed["steps"]
    packed = check(known, tmp_path, feed)
    rows = list(packed.plan().rows())
    assert not any("dynamic" in row.kernel for row in rows)
    assert [row.output for row in rows if row.op == "Loop"] == ["float32 1x3"]


def test_a_row_tells_the_first_output_that_there_is(tmp_path):
    unread = LAYER.replace("float[1,3] h, float[2,3] kept, float[T,1,3] all", "float most").replace("int32 steps, ", "")
    unread = unread.replace("int32 zero", "int32 steps = {4}, int32 zero")[:-1] + "most = ReduceMax <keepdims = 0> (all) }"
    feed = layer_inputs(4)
    del feed["steps"]
    packed = check(unread, tmp_path, feed)
    assert [row.output for row in packed.plan().rows() if row.op == "Loop"] == ["float32 4x1x3"]


def test_a_step_beyond_the_end_of_a_sequence_is_an_error(tmp_path):
    packed = check(LAYER, tmp_path, layer_inputs(5))
    with pytest.raises(PlanError, match=r"Loop.* out of bounds"):
        packed.run(layer_inputs(6))


COUNTING = """g (TYPE n, int64 most, bool go) => (float h, float[K] all) <TYPE one = {1}, TYPE nought = {0}, float two = {2}> {
    start = Cast <to = 1> (nought)
    zero = Identity(nought)
    h, c, all = Loop(LIMIT, go, start, nought) <
      body = b (int64 i, bool c, float s, TYPE t) => (bool on, float so, TYPE u, float out) {
        u = Add(t, one)
        so = Add(s, two)
        out = Identity(so)
        CONDITION
      }
    >
}"""


CONDITIONS = (
    "on = Less(u, n)",
    "on = Greater(n, u)",
    "on = Less(t, n)",
    "l = Less(u, n) k = Less(i, most) on = And(l, k)",
)


@pytest.mark.parametrize("kind", ["int32", "int64", "float"])
@pytest.mark.parametrize(
    ("limit", "condition"), [*product(("", "most"), CONDITIONS), ("most", "on = Identity(c)")], ids=lambda text: text or "none"
)
def test_conditions_that_count(limit, condition, kind, tmp_path):
    text = COUNTING.replace("TYPE", kind).replace("LIMIT", limit).replace("CONDITION", condition)
    numbers = [0, 1, 2.5, 4, -3] if kind == "float" else [0, 1, 4, -3]
    dtype = np.dtype({"float": "float32"}.get(kind, kind))
    feeds = [
        {"n": np.array(n, dtype), "most": np.array(most, np.int64), "go": np.array(go)}
        for n in numbers for most in (0, 2, 7) for go in (True, False)
    ]  # fmt: skip
    check(text, tmp_path, *feeds)
    (body,) = bodies(text)
    counts = kind != "float" or condition == "on = Identity(c)"
    assert (body.graph.outputs[0].name == body.graph.inputs[1].name) == counts


FLOAT_LIMIT = """g (float n, bool go) => (int32 last) <int32 zero = {0}> {
    last = Loop(, go, zero) <
      body = b (int64 i, bool c, int32 t) => (bool on, int32 u) <int32 one = {1}> {
        u = Add(t, one)
        f = Cast <to = 1> (u)
        on = Less(f, n)
      }
    >
}"""


def test_a_limit_may_be_any_float(tmp_path):
    limits = [3, 2.5, 1, 0.5, 0, -1, np.nan, -np.inf]
    check(FLOAT_LIMIT, tmp_path, *({"n": np.array(n, np.float32), "go": np.array(go)} for n in limits for go in (True, False)))
    (body,) = bodies(FLOAT_LIMIT)
    assert body.graph.outputs[0].name == body.graph.inputs[1].name


PARTS = (
    "a{k} = Neg(a{j})",
    "a{k} = Tanh(a{j})",
    "a{k} = MatMul(a{j}, w)",
    "a{k} = MatMul(a{j}, v)",
    "a{k} = Add(a{j}, s)",
    "a{k} = Mul(s, a{j})",
    "a{k} = Identity(a{j})",
    "a{k} = Gather(y, i)",
)


@given(
    parts=st.lists(st.sampled_from(PARTS), max_size=6),
    order=st.randoms(use_true_random=False),
    steps=st.integers(0, 4),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body(parts, order, steps, tmp_path):
    lines = [part.format(k=number + 1, j=order.randint(0, number)) for number, part in enumerate(parts)]
    body = """g (int64 n, float[4,1,2] x, float[1,2] h)
        => (float[1,2] last, float[2,2] same, float[K,1,2] all, float[L,1,2] more)
        <float[2,2] w = {1,-1,0.5,2}, bool go = {1}> {
        y = Relu(x)
        v1 = Relu(w)
        last, same, unread, all, more = Loop(n, go, h, v1, h) <
          body = b (int64 i, bool c, float[1,2] s, float[2,2] v, float[1,2] z)
              => (bool on, float[1,2] so, float[2,2] vo, float[1,2] zo, float[1,2] out, float[1,2] more1) {
            on = Identity(c)
            a0 = Gather(x, i)
            LINES
            so = Sub(s, LAST)
            zo = Add(z, s)
            vo = Identity(v)
            out = Identity(s)
            more1 = Identity(LAST)
          }
        >
    }""".replace("LINES", "\n".join(lines)).replace("LAST", f"a{len(lines)}")
    rng = np.random.default_rng(steps)
    x, h = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 1, 2), (1, 2)))
    check(body, tmp_path, {"n": np.array(steps, np.int64), "x": x, "h": h})


def test_a_scan_captures_what_it_hands_on(tmp_path):
    text = """g (float[2] h0, float[2,2] w, float[5,2] x) => (float[2] h, float[2,2] kept, float[5,2] all) {
        h, kept, all = Scan(h0, w, x) <
          num_scan_inputs = 1,
          body = b (float[2] s, float[2,2] v, float[2] e) => (float[2] so, float[2,2] vo, float[2] o) {
            m = MatMul(s, v) so = Add(m, e) vo = Identity(v) o = Tanh(so)
          }
        >
    }"""
    rng = np.random.default_rng(0)
    feed = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in (("h0", 2), ("w", (2, 2)), ("x", (5, 2)))}
    check(text, tmp_path, feed)
    (body,) = bodies(text)
    assert (body.captured, len(body.graph.outputs)) == (1, 2)
