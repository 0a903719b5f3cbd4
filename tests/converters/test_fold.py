"""Constant folding and the removal of nodes that do nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.parser import parse_model

from tersor.converters import from_onnx
from tersor.format_spec.errors import UnsupportedOperator
from tersor.format_spec.graph import Graph

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


def read(body: str, **weights: np.ndarray) -> Graph:
    source = parse_model(f"{HEADER} {body}")
    source.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return from_onnx(source)


def ops(graph: Graph) -> list[str]:
    return [node.op_type for node in graph.nodes]


def test_shape_arithmetic_disappears():
    graph = read(
        "g (float[2,3,4] x) => (float[a,b] y) { s = Shape(x) b = Gather(s, zero) c = Unsqueeze(b, ax)"
        " t = Concat<axis=0>(c, rest) y = Reshape(x, t) }",
        zero=np.array(0),
        ax=np.array([0]),
        rest=np.array([-1]),
    )
    assert ops(graph) == ["Reshape"]
    assert graph.initializers["t"].dense().tolist() == [2, -1]
    # Source tensors stay although nothing reads them; intermediate results do not.
    assert set(graph.initializers) == {"zero", "ax", "rest", "t"}


def test_a_shape_that_appears_by_folding_counts():
    graph = read(
        "g (float[N,4] x) => (float[a] y) { t = Concat<axis=0>(two, four) r = Reshape(x, t) s = Shape(r) n = Size(r)"
        " y = Cast<to=1>(s) z = Cast<to=1>(n) }",
        two=np.array([2]),
        four=np.array([4]),
    )
    assert ops(graph) == []
    assert graph.initializers["y"].dense().tolist() == [2, 4]


def test_shape_takes_start_and_end():
    graph = read("g (float[2,3,4,5] x) => (int64[2] y) { y = Shape<start=-3, end=-1>(x) }")
    assert graph.initializers["y"].dense().tolist() == [3, 4]


def test_a_dynamic_shape_stays():
    assert ops(read("g (float[N,3] x) => (int64[2] y) { y = Shape(x) }")) == ["Shape"]


def test_large_constants_are_left_to_the_plan():
    graph = read(
        "g (float[1,200] x) => (float[a,b] y) { t = Transpose<perm=[1,0]>(w) y = MatMul(x, t) }",
        w=np.ones((100, 200), np.float32),
    )
    assert ops(graph) == ["Transpose", "MatMul"]


def test_small_inputs_with_a_large_result_are_left_too():
    body = "g (float[1] x) => (float[a,b] y) { t = Expand(one, s) u = Tile(one, r) v = Add(t, u) y = Mul(x, v) }"
    graph = read(body, one=np.ones((1, 1), np.float32), s=np.array([999, 999]), r=np.array([999, 999]))
    assert "Expand" in ops(graph)
    assert "Tile" in ops(graph)


def test_sums_of_floats_and_random_numbers_are_never_folded():
    graph = read(
        "g (float[1] x) => (float[1] y) { s = ReduceSum<keepdims=0>(w) r = RandomUniform<shape=[1]>()"
        " i = ReduceSum<keepdims=0>(k) f = Cast<to=1>(i) a = Add(x, s) b = Add(a, r) y = Add(b, f) }",
        w=np.ones(3, np.float32),
        k=np.arange(3),
    )
    assert ops(graph) == ["ReduceSum", "RandomUniform", "Add", "Add", "Add"]
    assert graph.initializers["f"].dense() == 3


def test_integer_division_truncates_and_huge_integers_wait():
    graph = read(
        "g (int64[1] x) => (int64[1] y, int64[1] z) { a = Div(m, n) b = Div(h, n) y = Add(x, a) z = Add(x, b) }",
        m=np.array([-7]),
        n=np.array([2]),
        h=np.array([2**62 + 1]),
    )
    assert graph.initializers["a"].dense().tolist() == [-3]
    assert ops(graph) == ["Div", "Add", "Add"]


def test_what_the_reference_cannot_compute_stays():
    body = "g (float[1] x) => (float[a] y) { t = Gather(w, i) y = Add(x, t) }"
    assert ops(read(body, w=np.ones(3, np.float32), i=np.array([7]))) == ["Gather", "Add"]


def test_identity_and_dropout_disappear_and_outputs_keep_their_names():
    graph = read(
        "g (float[2] x) => (float[2] y, float[2] z) { a = Identity(x) b = Relu(a) c, mask = Dropout(b) d = Identity(c)"
        " y = Identity(d) e = Neg(d) z = Identity(e) }"
    )
    assert [(n.op_type, n.inputs, n.outputs) for n in graph.nodes] == [("Relu", ("x",), ("y",)), ("Neg", ("y",), ("z",))]


def test_an_identity_between_fixed_names_stays():
    graph = read("g (float[2] x) => (float[2] y, float[2] z) { y = Identity(x) z = Identity(w) }", w=np.ones(2, np.float32))
    assert ops(graph) == ["Identity", "Identity"]


def test_two_outputs_of_one_value_keep_both_names():
    graph = read("g (float[2] x) => (float[2] y, float[2] z) { t = Relu(x) y = Identity(t) z = Identity(t) }")
    assert [value.name for value in graph.outputs] == ["y", "z"]
    assert sorted(ops(graph)) == ["Identity", "Relu"]
    assert {name for node in graph.nodes for name in node.outputs} == {"y", "z"}


@pytest.mark.parametrize(
    ("branch", "last"),
    [
        ("t = Neg(x) p = Add(t, x)", "t = Identity(x) y = Add(z, t)"),  # the copy's name is the branch's own
        ("y = Neg(s) p = Mul(y, y)", "t = Exp(z) y = Identity(s)"),  # the branch reads the source and has the copy's name
        ("q = Neg(s) p = Mul(q, s)", "q = Identity(s) y = Add(z, q)"),
    ],
)
def test_a_copy_whose_name_a_subgraph_uses_itself_stays(branch: str, last: str, agree: Callable[..., onnx.ModelProto]):
    source = parse_model(
        f"{HEADER} g (bool c, float[2] x) => (float[2] y, float[2] z) {{ s = Exp(x) z = If(c) <"
        f"then_branch = t () => (float[2] p) {{ {branch} }}, else_branch = e () => (float[2] r) {{ r = Neg(x) }}> {last} }}"
    )
    assert "Identity" in ops(from_onnx(source))
    for taken in (True, False):
        agree(source, np.array(taken), np.array([1, 2], np.float32), by_reference=True)


def test_dropout_that_trains_is_refused():
    body = "g (float[2] x) => (float[2] y) { y = Dropout(x, r, t) }"
    assert ops(read(body, r=np.array(0.5, np.float32), t=np.array(False))) == ["Dropout"]
    for trains in ({"t": np.array(True)}, {}):
        asked = body if trains else body.replace("x)", "x, bool t)")
        with pytest.raises(UnsupportedOperator, match="Dropout in training mode"):
            read(asked, r=np.array(0.5, np.float32), **trains)


def test_dropout_in_a_branch_must_not_drop():
    body = (
        "g (float[2] x, bool c) => (float[2] y) { y = If(c) <"
        "then_branch = a () => (float[2] p) { p = Dropout(x, r, t) }, else_branch = b () => (float[2] q) { q = Neg(x) }> }"
    )
    assert ops(read(body, r=np.array(0.5, np.float32), t=np.array(False))) == ["If"]
    with pytest.raises(UnsupportedOperator, match="Dropout -> p': Dropout in training mode"):
        read(body, r=np.array(0.5, np.float32), t=np.array(True))


def test_dropout_whose_mask_is_read_stays():
    assert ops(read("g (float[2] x) => (float[2] y, bool[2] m) { a = Relu(x) y, m = Dropout(a) }")) == ["Relu", "Dropout"]


def test_dead_nodes_go_and_captured_values_live():
    graph = read(
        "g (bool c, float[2] x) => (float[2] y) { dead = Exp(x) a = Identity(x) b = Relu(a) d = Identity(b) y = If(c) <"
        "then_branch = t () => (float[2] p) { p = Neg(d) }, else_branch = e () => (float[2] q) { q = Identity(b) }> }"
    )
    assert ops(graph) == ["Relu", "If"]
    assert graph.nodes[1].attribute("then_branch").nodes[0].inputs == ("b",)


def test_a_constant_output_is_an_initializer():
    graph = read("g () => (int64[1] y) { y = Add(one, one) }", one=np.array([1]))
    assert graph.nodes == ()
    assert graph.initializers["y"].dense().tolist() == [2]


def test_names_that_the_version_converter_makes_do_not_clash():
    """The converter calls its constants _v_1, _v_2, ...; a source tensor of such a name must not be taken for one."""
    weights = {f"_v_{n}": np.array([n], np.int64) for n in range(40)}
    source = parse_model(
        '<ir_version: 8, opset_import: ["" : 11]> g (float[2,1] x) => (float[2] y) { y = Squeeze<axes=[1]>(x) }'
    )
    source.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    graph = from_onnx(source)
    assert graph.initializers[graph.nodes[0].inputs[1]].dense().tolist() == [1]
    assert graph.nodes[0].inputs[1] not in weights
    for name, array in weights.items():
        assert graph.initializers[name].dense() == array
    assert onnx.checker.check_model(source) is None


def test_what_onnx_itself_gets_wrong_stays():
    graph = read("g (int64[1] x) => (int64[a] y) { u = Unique<sorted=0>(v) y = Add(u, x) }", v=np.array([3, 1, 3, 2]))
    assert ops(graph) == ["Unique", "Add"]
    graph = read(
        "g (int64[1] x) => (int64[a] y) { u = Slice(v, start, end, axis, step) y = Add(u, x) }",
        v=np.array([3, 1, 2]),
        start=np.array([-10]),  # clamped to the first element, which stays
        end=np.array([-(2**31)]),
        axis=np.array([0]),
        step=np.array([-1]),
    )
    assert ops(graph) == ["Slice", "Add"]
