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
from tersor.format_spec.graph import Node
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


@pytest.mark.parametrize("hidden", ["x", "kept"])
def test_names_of_a_body_hide_those_around_it(hidden, tmp_path):
    text = """g (int64 n, float[3,2] x, float[3,2] h, float[3,2] kept) => (float[3,2] last, float[3,2] still, float[K,2] all)
        <bool go = {1}> {
        last, still, all = Loop(n, go, h, kept) <
          body = b (int64 i, bool c, float[3,2] state, float[3,2] same)
              => (bool on, float[3,2] following, float[3,2] again, float[2] out) {
            on = Identity(c) out = Gather(state, i) minus = Neg(state) following = Add(minus, same) again = Identity(same)
          }
        >
    }"""
    x, h, kept = np.arange(18, dtype=np.float32).reshape(3, 3, 2)
    feed, graph = {"n": np.array(3), "x": x, "h": h, "kept": kept}, from_onnx(model(text))
    want = check(text, tmp_path, feed).run(feed)
    (node,) = graph.nodes
    body: Any = node.attributes["body"]
    inputs = *body.inputs[:2], replace(body.inputs[2], name=hidden), body.inputs[3]
    body = replace(body, inputs=inputs, nodes=tuple(renamed(inner, {"state": hidden}) for inner in body.nodes))
    with Model(replace(graph, nodes=(replace(node, attributes={"body": body}),)), threads=1) as hiding:
        for name, found in hiding.run(feed).items():
            np.testing.assert_array_equal(found, want[name])


def test_a_scan_has_no_number_of_its_step(tmp_path):
    text = """g (int64 first, float[4,2] table, float[3,2] x) => (int64 last, bool more, float[3,2] all) <bool go = {0}> {
        last, more, all = Scan(first, go, x) <
          num_scan_inputs = 1,
          body = b (int64 s, bool c, float[2] e) => (int64 so, bool co, float[2] o) <int64 one = {1}> {
            so = Add(s, one) co = Not(c) a = Gather(table, s) o = Add(a, e)
          }
        >
    }"""
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    check(text, tmp_path, {"first": np.array(1), "table": x, "x": x[:3]})
    (body,) = bodies(text)
    assert body.sequences == 0


@given(
    made_of=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=2), min_size=4, max_size=4),
    read=st.sets(st.integers(0, 3), min_size=1),
    scan=st.booleans(),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_that_nothing_is_made_of_are_not_carried(made_of, read, scan, tmp_path):
    lines = [f"o{i} = {'Neg' if len(of) < 2 else 'Sub'}({', '.join(f's{j}' for j in of)})" for i, of in enumerate(made_of)]
    states, ends = ", ".join(f"float s{i}" for i in range(4)), ", ".join(f"float o{i}" for i in range(4))
    given = "float[2] x" if scan else "int64 n"
    begin, inner, on = (
        ("Scan(", f"{states}, float e", "") if scan else ("Loop(n, , ", f"int64 i, bool going, {states}", "bool on, ")
    )
    text = f"""g ({given}, float a, float b, float c, float d) => ({", ".join(f"float y{i}" for i in read)}) {{
        {", ".join(f"y{i}" for i in range(4))} = {begin}a, b, c, d{", x" if scan else ""}) <
          {"num_scan_inputs = 1," if scan else ""}
          body = b ({inner}) => ({on}{ends}) {{ {"" if scan else "on = Identity(going)"} {" ".join(lines)} }}
        >
    }}"""
    feed = {"x": np.zeros(2, np.float32)} if scan else {"n": np.array(2)}
    numbers = dict(zip("abcd", map(np.float32, (1, 20, 300, 4000)), strict=True))
    check(text, tmp_path, {**feed, **{name: np.array(number) for name, number in numbers.items()}})
    needed = set(read)
    while more := {j for i in needed for j in made_of[i]} - needed:
        needed |= more
    (body,) = bodies(text)
    assert len(body.graph.outputs) == len(needed) + (not scan)


TWO = """g (int64 n, float a, float b) => (float sum) {
    sum, end = Loop(n, , a, b) <
      body = b (int64 i, bool c, float state, float same) => (bool on, float following, float again) {
        on = Identity(c) following = Add(state, same) again = LAST(same)
      }
    >
}"""
NUMBERS = {"n": np.array(3), "a": np.array(1, np.float32), "b": np.array(2, np.float32)}


@pytest.mark.parametrize("last", ["Identity", "Neg"])
def test_outputs_may_be_left_out(last, tmp_path):
    text = TWO.replace("LAST", last)
    graph, want = from_onnx(model(text)), check(text, tmp_path, NUMBERS).run(NUMBERS)
    (node,) = graph.nodes
    with Model(replace(graph, nodes=(replace(node, outputs=("sum",)),)), threads=1) as fewer:
        assert fewer.run(NUMBERS) == want


def test_bodies_of_other_numbers_of_values_are_refused():
    graph = from_onnx(model(TWO.replace("LAST", "Neg")))
    (node,) = graph.nodes
    body: Any = node.attributes["body"]
    wrong: list[Any] = [
        replace(body, inputs=body.inputs[:3], nodes=tuple(renamed(inner, {"same": "state"}) for inner in body.nodes)),
        replace(body, inputs=(*body.inputs, replace(body.inputs[2], name="more"))),
        *(replace(body, outputs=body.outputs[:count]) for count in (1, 2)),
    ]
    for attributes in ({}, *({"body": other} for other in wrong)):
        with (
            pytest.raises(PlanError, match="Loop -> sum"),
            Model(replace(graph, nodes=(replace(node, attributes=attributes),)), threads=1) as refused,
        ):
            refused.run(NUMBERS)


def test_nodes_without_inputs_are_no_elements():
    graph = from_onnx(model(TWO.replace("LAST", "Neg")))
    (node,) = graph.nodes
    body: Any = node.attributes["body"]
    one = Node("Constant", "one", (), ("one",), {"value": np.array(1, np.float32)})
    body = replace(body, nodes=(one, *(renamed(inner, {"same": "one"}) for inner in body.nodes)))
    with Model(replace(graph, nodes=(replace(node, attributes={"body": body}),)), threads=1) as constant:
        assert constant.run(NUMBERS)["sum"] == 4


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
