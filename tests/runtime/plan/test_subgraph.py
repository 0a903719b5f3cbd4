"""If, Loop and Scan through the plan: captures, nesting, changing shapes; ONNX Runtime is the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.runtime.model import Model
from tersor.runtime.plan.subgraph import free_names
from tests.runtime.plan.text_models import check

NESTED = """g (float[N,4] x, bool c, bool d) => (float[a,b] y)
    <float[4,3] w = {1,2,3,4,5,6,7,8,9,1,2,3}, float[4,3] v = {1,0,3,0,5,0,7,0,9,0,2,0}> {
    t = Relu(x)
    y = If(c) <
      then_branch = a () => (float[a,b] p) { p = MatMul(t, w) },
      else_branch = b () => (float[a,b] q) {
        k = Constant <value_float = 2.0> ()
        u = Neg(t)
        q = If(d) <
          then_branch = e () => (float[a,b] r) { m = MatMul(u, v) r = Add(m, k) },
          else_branch = f () => (float[a,b] s) { s = MatMul(t, v) }
        >
      }
    >
}"""

LOOP = """g (int64 n, float[3] x) => (float[3] last, float[K,3] all) {
    start = Identity(x)
    go = Constant <value = bool {1}> ()
    last, all = Loop(n, go, start) <
      body = b (int64 i, bool c, float[3] h) => (bool co, float[3] ho, float[3] out) {
        f = Cast <to = 1> (i)
        s = ReduceSum <keepdims = 0> (h)
        limit = Constant <value_float = 100.0> ()
        co = Less(s, limit)
        g1 = Add(h, x)
        ho = Add(g1, f)
        out = Identity(ho)
      }
    >
}"""

VIEWED = LOOP.replace("(float[3] last, float[K,3] all)", "(float[1,3] row, float[K,3] all)").replace(
    "last, all = Loop", "axis = Constant <value = int64[1] {0}> () last, all = Loop"
)
VIEWED = VIEWED[: VIEWED.rindex("}")] + "    row = Unsqueeze(last, axis)\n}"

GROWING = """g (int64 n) => (float[K] last) <float[1] one = {1}> {
    go = Constant <value = bool {1}> ()
    last = Loop(n, go, one) <
      body = b (int64 i, bool c, float[K] h) => (bool co, float[M] ho) {
        co = Identity(c)
        ho = Concat <axis = 0> (h, h)
      }
    >
}"""

SCAN = """g (float[2] h0, float[5,2] x) => (float[2] h, float[2,5] all) <float[2,2] w = {1,0,0.5,1}> {
    h, all = Scan(h0, x) <
      num_scan_inputs = 1, scan_input_directions = [1], scan_output_axes = [1], scan_output_directions = [1],
      body = b (float[2] s, float[2] e) => (float[2] so, float[2] o) {
        m = MatMul(s, w)
        so = Add(m, e)
        o = Tanh(so)
      }
    >
}"""


def test_branches_capture_values_and_weights(tmp_path):
    rng = np.random.default_rng(0)
    feeds = [
        {"x": rng.standard_normal((n, 4)).astype(np.float32), "c": np.array(c), "d": np.array(d)}
        for n in (1, 5)
        for c in (True, False)
        for d in (True, False)
    ]
    packed = check(NESTED, tmp_path, *feeds)
    assert any(row.kernel == "branches" for row in packed.plan({"x": (2, 4)}).rows())


KNOWN = """g (float[N,2] x, bool c) => (float[A,B] y) <int64[2] pair = {2,2}> {
    size = Shape(x)
    square = Equal(size, pair)
    both = Cast <to = 6> (square)
    least = ReduceMin <keepdims = 0> (both)
    fits = Cast <to = 9> (least)
    p = If(fits) <
      then_branch = a () => (float[A,B] r) <float[2,2] w = {1,2,3,4}> { v = Transpose(w) q = MatMul(x, v) r = Relu(q) },
      else_branch = b () => (float[A,B] s) <float[2,3] w1 = {1,2,3,4,5,6}> { t = MatMul(x, w1) s = Neg(t) }
    >
    y = If(c) <
      then_branch = d () => (float[A,B] o) { o = If(fits) <
        then_branch = e () => (float[A,B] o1) { o1 = Identity(p) },
        else_branch = f () => (float[A,B] o2) { one = Constant <value_float = 1.0> () o2 = Add(p, one) }
      > },
      else_branch = h () => (float[A,B] o3) { o3 = If(fits) <
        then_branch = i () => (float[A,B] o4) { o4 = Abs(p) },
        else_branch = j () => (float[A,B] o5) { o5 = Identity(x) }
      > }
    >
}"""


def test_branches_that_shapes_decide_are_planned_in_the_place_of_their_if(tmp_path):
    rng = np.random.default_rng(0)
    feeds = [{"x": rng.standard_normal((n, 2)).astype(np.float32), "c": np.array(c)} for n in (2, 5, 2) for c in (True, False)]
    packed = check(KNOWN, tmp_path, *feeds)
    for n, taken in ((2, ["MatMul + Relu"]), (5, ["MatMul", "Neg"])):
        assert [row.op for row in packed.plan({"x": (n, 2)}).rows()] == [*taken, "If"]


def test_one_graph_may_be_a_branch_twice(tmp_path):
    body = """g (float[N] x) => (float[M] y) <int64[1] one = {1}> {
        n = Shape(x) many = Less(one, n)
        a = If(many) <
          then_branch = b () => (float[M] p) { q = Neg(x) p = Exp(q) }, else_branch = c () => (float[M] r) { r = Abs(x) }
        >
        z = If(many) <
          then_branch = d () => (float[M] p) { q = Neg(a) p = Exp(q) }, else_branch = e () => (float[M] r) { r = Abs(a) }
        >
        y = Add(z, x)
    }"""
    check(body, tmp_path, *({"x": np.linspace(-1, 1, n).astype(np.float32)} for n in (1, 4)))


@pytest.mark.parametrize("n", [0, 1, 3, 50])
def test_a_loop_stops_at_its_limit_or_condition(n, tmp_path):
    feed = {"n": np.array(n, np.int64), "x": np.array([1, 2, 3], np.float32)}
    check(LOOP, tmp_path, feed)


def test_a_view_of_a_carried_value_sees_it_though_the_scan_has_no_type(tmp_path):
    x = np.array([1, 2, 3], np.float32)
    check(VIEWED, tmp_path, {"n": np.array(3), "x": x}, {"n": np.array(5), "x": -x})


@pytest.mark.parametrize("start", ["x", "r"])
def test_what_a_loop_hands_on_unchanged_is_the_callers_in_the_end(start, tmp_path):
    body = """g (int64 n, float[3] x) => (float[3] kept, float[3] last, float[K,3] all) {
        r = Relu(x)
        go = Constant <value = bool {1}> ()
        kept, last, all = Loop(n, go, START, x) <
          body = b (int64 i, bool c, float[3] h, float[3] s) => (bool co, float[3] ho, float[3] so, float[3] out) {
            co = Identity(c) ho = Identity(h) so = Add(s, h) out = Identity(s)
          }
        >
    }"""
    x = np.array([1, -2, 3], np.float32)
    feed = {"n": np.array(4), "x": x}
    ready = check(body.replace("START", start), tmp_path, feed)
    first = ready.run(feed)
    before = {name: array.copy() for name, array in first.items()}
    assert not any(np.may_share_memory(array, x) for array in first.values())
    ready.run({"n": np.array(3), "x": -x})
    assert all(np.array_equal(first[name], array) for name, array in before.items())


def test_a_loop_without_a_limit_stops_at_its_condition(tmp_path):
    check(LOOP.replace("int64 n, ", "").replace("Loop(n,", "Loop(,"), tmp_path, {"x": np.array([1, 2, 3], np.float32)})


def test_a_carried_value_may_change_its_shape(tmp_path):
    check(GROWING, tmp_path, *({"n": np.array(n, np.int64)} for n in (0, 1, 5)))


def test_scan_walks_and_collects_backwards(tmp_path):
    rng = np.random.default_rng(1)
    check(
        SCAN, tmp_path, {"h0": rng.standard_normal(2).astype(np.float32), "x": rng.standard_normal((5, 2)).astype(np.float32)}
    )


def test_what_follows_a_branch_runs_though_its_shape_was_not_known(tmp_path):
    body = """g (float[2,6] x, bool c) => (float[a,b] y)
        <float[3,2] w = {1,2,3,4,5,6}, int64[2] s = {-1,3}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] three = {3}> {
        t = If(c) <then_branch = a () => (float[p,q] p1) { p1 = Reshape(x, s) },
                   else_branch = b () => (float[p,q] p2) { p2 = Slice(x, zero, three, one) }>
        m = MatMul(t, w)
        y = Relu(m)
    }"""
    x = np.random.default_rng(2).standard_normal((2, 6)).astype(np.float32)
    check(body, tmp_path, {"x": x, "c": np.array(True)}, {"x": x, "c": np.array(False)})


def branch(*nodes: Node, output: str) -> Graph:
    return Graph("branch", (), (Value(output, TensorType("float32", (2,))),), nodes)


def choose(then: Graph, otherwise: Graph) -> Graph:
    node = Node("If", "choice", ("c",), ("y",), {"then_branch": then, "else_branch": otherwise})
    inputs = (Value("c", TensorType("bool", ())), Value("x", TensorType("float32", (2,))))
    return Graph("g", inputs, (Value("y", TensorType("float32", (2,))),), (node,))


def test_a_branch_may_be_a_captured_value_and_another_may_define_its_name():
    then, otherwise = branch(output="x"), branch(Node("Neg", "", ("x",), ("z",)), output="z")
    x = np.array([1, 2], np.float32)
    with Model(choose(then, otherwise), threads=1) as built:
        for c, expected in ((True, x), (False, -x)):
            result = built.run({"c": np.array(c), "x": x})["y"]
            assert result.tolist() == expected.tolist()
            assert not np.shares_memory(result, x)


def test_a_branch_may_define_the_name_that_another_reads_from_outside():
    then = branch(Node("Neg", "", ("u",), ("z",)), output="z")
    otherwise = branch(Node("Neg", "", ("x",), ("u",)), Node("Exp", "", ("u",), ("z",)), output="z")
    graph, x = choose(then, otherwise), np.array([1, -2], np.float32)
    with Model(replace(graph, nodes=(Node("Abs", "", ("x",), ("u",)), *graph.nodes)), threads=1) as built:
        for c, expected in ((True, -np.abs(x)), (False, np.exp(-x))):
            np.testing.assert_allclose(built.run({"c": np.array(c), "x": x})["y"], expected, rtol=1e-6)


def test_reading_a_name_from_outside_and_defining_it_is_refused():
    clash = branch(Node("Neg", "", ("x",), ("x",)), output="x")
    with Model(choose(clash, clash), threads=1) as built, pytest.raises(PlanError, match="reads 'x' from around it"):
        built.run({"c": np.array(True), "x": np.zeros(2, np.float32)})


def test_free_names_reach_through_nested_subgraphs():
    inner = branch(Node("Add", "", ("x", "own"), ("z",)), output="z")
    outer = branch(Node("Neg", "", ("t",), ("own",)), Node("If", "", ("c",), ("y",), {"then_branch": inner}), output="y")
    assert list(free_names(outer)) == ["t", "c", "x"]


def test_a_condition_of_two_values_is_refused() -> None:
    graph = choose(branch(output="x"), branch(output="x"))
    inputs = (Value("c", TensorType("bool", (2,))), graph.inputs[1])
    with Model(replace(graph, inputs=inputs), threads=1) as built, pytest.raises(PlanError, match="must be one value"):
        built.run({"c": np.array([True, False]), "x": np.zeros(2, np.float32)})
