"""Loops and scans as they are planned: what their bodies are left with, and the answers, with ONNX Runtime as the oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tersor.converters import from_onnx
from tersor.format_spec.errors import PlanError
from tersor.format_spec.names import renamed
from tersor.runtime.model import Model
from tests.runtime.plan.text_models import bodies, check, model

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


def test_names_of_a_body_hide_those_around_it(tmp_path):
    text = """g (int64 n, float[3,2] x, float[3,2] h) => (float[3,2] last, float[K,2] all) <bool go = {1}> {
        last, all = Loop(n, go, h) <
          body = b (int64 i, bool c, float[3,2] state) => (bool on, float[3,2] following, float[2] out) {
            on = Identity(c) out = Gather(state, i) following = Neg(state)
          }
        >
    }"""
    x, h = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    feed, graph = {"n": np.array(3), "x": x, "h": h}, from_onnx(model(text))
    want = check(text, tmp_path, feed).run(feed)
    (node,) = graph.nodes
    body: Any = node.attributes["body"]
    inputs = *body.inputs[:2], replace(body.inputs[2], name="x")
    body = replace(body, inputs=inputs, nodes=tuple(renamed(inner, {"state": "x"}) for inner in body.nodes))
    with Model(replace(graph, nodes=(replace(node, attributes={"body": body}),)), threads=1) as hiding:
        for name, found in hiding.run(feed).items():
            np.testing.assert_array_equal(found, want[name])


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
