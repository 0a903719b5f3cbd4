"""What adapters see of a model, and names that they may give."""

from __future__ import annotations

import numpy as np

from tersor.converters.nodes import is_default_domain, label, walk
from tersor.converters.patch import Patch
from tersor.converters.skeleton import strip
from tests.converters.textual import model

MODEL = model(
    17,
    """g (float[2,n] x, float unused, string text, bool go) => (float[2,n] y) <float[3] t = {1, 2, 3}> {
        a = Relu(x)
        y = If(go) <
          then_branch = b () => (float[2,n] p) { p = Neg(a) },
          else_branch = c () => (float[2,n] q) { u = Unknown(a) q = Unknown(u) }
        >
    }""",
)


def patch() -> Patch:
    return Patch.of(strip(MODEL, MODEL.graph.node, None, 17))


def test_types_and_ranks_of_subgraphs_are_known() -> None:
    seen = patch()
    assert {name: seen.ranks.get(name) for name in ("x", "unused", "go", "t", "a", "p", "q", "y")} == {
        "x": 2, "unused": 0, "go": 0, "t": 1, "a": 2, "p": 2, "q": 2, "y": 2,
    }  # fmt: skip
    assert "text" not in seen.dtypes
    assert "u" not in seen.ranks
    assert (seen.dtypes["go"], seen.dtypes["t"], seen.dtypes["p"]) == (np.bool_, np.float32, np.float32)


def test_names_are_those_of_no_value() -> None:
    seen, names = patch(), ["x", "unused", "t", "a", "p", "u", "y", "text", "other", "other", "x"]
    found = [seen.fresh(name) for name in names]
    assert found == ["x_1", "unused_1", "t_1", "a_1", "p_1", "u_1", "y_1", "text_1", "other", "other_1", "x_2"]


def test_what_is_added() -> None:
    seen = patch()
    name = seen.constant("t", np.array([4.0]))
    made = seen.node("Mul", ["x", name], "a", axis=1)
    (node,) = seen.drain()
    assert (node.op_type, list(node.input), list(node.output), node.name) == ("Mul", ["x", "t_1"], [made], made)
    np.testing.assert_array_equal(seen.tensors["t_1"].dense(), [4.0])
    assert seen.drain() == []


def test_nodes_are_walked_depth_first_and_told_apart() -> None:
    nodes = list(walk(MODEL.graph.node))
    assert [node.op_type for node in nodes] == ["Relu", "If", "Neg", "Unknown", "Unknown"]
    assert label(nodes[0]) == "Relu -> a"
    nodes[0].name = "rectifier"
    assert label(nodes[0]) == "rectifier"
    assert [is_default_domain(domain) for domain in ("", "ai.onnx", "ai.onnx.ml")] == [True, True, False]
