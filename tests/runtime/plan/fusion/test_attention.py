"""Attention written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.converters import to_onnx
from tersor.format_spec.graph import Graph, Node, TensorType
from tersor.runtime.kernels.attention.few import FEW
from tersor.runtime.model import Model
from tests.runtime.plan.small_graphs import check, floats, graph, interpret, ints, kernels, node

ATTENTION, OF_FEW = ["Attention: attention"], ["Attention: attention of few"]
TENSORS = {"scale": np.float32(0.5), "root": np.float32(2), "zero": np.float32(0), "most": np.float32(np.finfo(np.float32).min)}

SPLIT = [
    node("Reshape", "x parted", "xq"), node("Transpose", "xq", "q", perm=(0, 2, 1, 3)),
    node("Reshape", "u parted", "xk"), node("Transpose", "xk", "k", perm=(0, 2, 3, 1)),
    node("Reshape", "v parted", "xv"), node("Transpose", "xv", "w", perm=(0, 2, 1, 3)),
]  # fmt: skip
SCORES = [node("MatMul", "q k", "p"), node("Mul", "p scale", "s")]
MASKED = [*SCORES, node("Add", "s mask", "m")]
JOINED = [node("Transpose", "z", "j", perm=(0, 2, 1, 3)), node("Reshape", "j joined", "y")]


def weighed(scores: str, result: str = "z") -> list[Node]:
    """The softmax of ``scores``, and the product with values."""
    return [node("Softmax", scores, "t", axis=-1), node("MatMul", "t w", result)]


def guarded(scores: str, result: str = "z") -> list[Node]:
    """The same, zeros in the place of weights that are no numbers."""
    test = [node("IsNaN", "t", "n"), node("Where", "n zero t", "g")]
    return [node("Softmax", scores, "t", axis=-1), *test, node("MatMul", "g w", result)]


PLAIN = [*SPLIT, *SCORES, *weighed("s"), *JOINED]


def changed(nodes: list[Node], **others: Node | list[Node]) -> list[Node]:
    """``nodes``, those that give some names replaced."""
    found = [others.get(n.outputs[0], n) for n in nodes]
    return [n for part in found for n in (part if isinstance(part, list) else [part])]


def made(
    nodes: list[Node], x: dict[str, np.ndarray], heads: int = 2, outputs: str = "y", **tensors: np.ndarray
) -> tuple[Graph, dict[str, np.ndarray]]:
    """A graph, and what it is given, of which queries, keys and values are (batch, sequence, ``heads`` times size)."""
    constants = {**TENSORS, "parted": ints(0, 0, heads, -1), "joined": ints(0, 0, -1), **tensors}
    types = {name: TensorType(str(a.dtype), a.shape) for name, a in x.items()}
    return graph(nodes, types, outputs.split(), **constants), x


def given_values(
    batch: int = 2, queries: int = 5, keys: int = 7, width: int = 8, **others: np.ndarray
) -> dict[str, np.ndarray]:
    """Queries, keys and values of heads side by side."""
    return {"x": floats(batch, queries, width), "u": floats(batch, keys, width), "v": floats(batch, keys, width), **others}


def steps(nodes: list[Node], x: dict[str, np.ndarray], **tensors: Any) -> list[str]:
    """The steps of the plan, whose answers are the nodes'."""
    return kernels(check(*made(nodes, x, **tensors)))


WRITTEN = {
    "scores scaled": PLAIN,
    "scores divided": changed(PLAIN, s=node("Div", "p root", "s")),
    "turned": changed(PLAIN, s=node("Mul", "scale p", "s")),
    "not scaled": [*SPLIT, *changed(SCORES[:1], p=node("MatMul", "q k", "s")), *weighed("s"), *JOINED],
    "queries scaled": [
        *SPLIT, node("Mul", "q scale", "a"), node("MatMul", "a k", "s"), *weighed("s"), *JOINED,
    ],
    "both scaled": [
        *SPLIT, node("Mul", "q scale", "a"), node("Div", "k root", "b"), node("MatMul", "a b", "s"), *weighed("s"), *JOINED,
    ],
    "scaled before heads are apart": [node("Div", "u root", "d"), *changed(PLAIN, xk=node("Reshape", "d parted", "xk"))],
    "keys moved twice": changed(
        PLAIN,
        k=[node("Transpose", "xk", "k1", perm=(0, 2, 1, 3)), node("Transpose", "k1", "k", perm=(0, 1, 3, 2))],
    ),
    "keys in a stack": changed(
        PLAIN,
        k=[
            node("Transpose", "xk", "k1", perm=(0, 2, 1, 3)), node("Reshape", "k1 stack", "k2"),
            node("Transpose", "k2", "k3", perm=(0, 2, 1)), node("Reshape", "k3 turned", "k"),
        ],
    ),
    "last axis": changed(PLAIN, t=node("Softmax", "s", "t", axis=3)),
    "casts": changed(
        PLAIN,
        t=[node("Softmax", "s", "t1"), node("Cast", "t1", "t", to=1)],
        s=[node("Cast", "p", "p1", to=1), node("Mul", "p1 scale", "s")],
    ),
    "guarded": [*SPLIT, *SCORES, *guarded("s"), *JOINED],
}  # fmt: skip


@pytest.mark.parametrize("nodes", WRITTEN.values(), ids=WRITTEN)
def test_attention_written_out_is_a_step(nodes):
    assert steps(nodes, given_values(1), stack=ints(2, 7, 4), turned=ints(1, 2, 4, 7)) == ATTENTION


def test_heads_apart_stay_apart():
    nodes = [
        node("Transpose", "u", "k", perm=(0, 1, 3, 2)),
        node("MatMul", "x k", "s"),
        *changed(weighed("s"), z=node("MatMul", "t v", "y")),
    ]
    x = {"x": floats(2, 3, 5, 4), "u": floats(2, 3, 7, 4), "v": floats(2, 3, 7, 6)}
    assert steps(nodes, x) == ATTENTION


@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 3)])
def test_stacks_of_any_rank(shape):
    order = (*range(len(shape)), len(shape) + 1, len(shape))
    nodes = [
        node("Transpose", "u", "k", perm=order),
        node("MatMul", "x k", "s"),
        node("Softmax", "s", "t"),
        node("MatMul", "t v", "y"),
    ]
    assert steps(nodes, {"x": floats(*shape, 5, 4), "u": floats(*shape, 7, 4), "v": floats(*shape, 7, 6)}) == ATTENTION


def test_sequences_first():
    """As torch's MultiheadAttention has it: (sequence, batch, elements), heads beside the batch."""
    moves = [
        n
        for name, target, perm in (("x", "q", (1, 0, 2)), ("u", "k", (1, 2, 0)), ("v", "w", (1, 0, 2)))
        for n in (node("Reshape", f"{name} parted", f"x{target}"), node("Transpose", f"x{target}", target, perm=perm))
    ]
    end = [node("Transpose", "z", "j", perm=(1, 0, 2)), node("Reshape", "j joined", "y")]
    x = {"x": floats(5, 3, 8), "u": floats(7, 3, 8), "v": floats(7, 3, 8)}
    assert steps([*moves, *SCORES, *weighed("s"), *end], x, parted=ints(0, 6, 4), joined=ints(-1, 8)) == ATTENTION


@pytest.mark.parametrize("apart", ["Split", "Gather", "Slice"])
def test_queries_keys_and_values_side_by_side(apart):
    """As in a product with all their weights at once."""
    parts = {
        "Split": [node("Split", "moved", "a b c", axis=0), *(node("Squeeze", f"{p} first", n) for p, n in ("aq", "bi", "cw"))],
        "Gather": [node("Gather", f"moved {i}", n, axis=0) for i, n in (("i0", "q"), ("i1", "i"), ("i2", "w"))],
        "Slice": [
            n
            for i, name in enumerate("qiw")
            for n in (node("Slice", f"moved s{i} s{i + 1} first", f"p{i}"), node("Squeeze", f"p{i} first", name))
        ],
    }
    head = [node("Reshape", "x apart", "r"), node("Transpose", "r", "moved", perm=(2, 0, 3, 1, 4)), *parts[apart]]
    nodes = [*head, node("Transpose", "i", "k", perm=(0, 1, 3, 2)), *SCORES, *weighed("s"), *JOINED]
    if apart == "Split":
        nodes = changed(nodes, a=node("Split", "moved ones", "a b c", axis=0))
    tensors = {
        **{f"i{i}": np.int64(i) for i in range(3)},
        **{f"s{i}": ints(i) for i in range(4)},
        "first": ints(0),
        "ones": ints(1, 1, 1),
    }
    assert steps(nodes, {"x": floats(2, 5, 24)}, apart=ints(0, 0, 3, 2, 4), **tensors) == ATTENTION


def test_keys_and_values_that_heads_share():
    nodes = [
        node("Unsqueeze", "u two", "u1"), node("Expand", "u1 shape", "u2"), node("Transpose", "u2", "k", perm=(0, 1, 2, 4, 3)),
        node("Unsqueeze", "v two", "v1"), node("Expand", "v1 shape", "w"), node("MatMul", "x k", "s"), *weighed("s", "y"),
    ]  # fmt: skip
    x = {"x": floats(1, 2, 3, 5, 4), "u": floats(1, 2, 7, 4), "v": floats(1, 2, 7, 4)}
    assert steps(nodes, x, two=ints(2), shape=ints(1, 2, 3, 7, 4)) == ATTENTION


@settings(max_examples=40)
@given(
    batch=st.integers(1, 3),
    heads=st.integers(1, 4),
    queries=st.integers(1, 70),
    keys=st.integers(1, 40),
    size=st.integers(1, 33),
    mask=st.sampled_from(["", "given", "-inf"]),
    rest=st.sampled_from([weighed, guarded]),
    joined=st.booleans(),
    threads=st.sampled_from([1, 2]),
)
def test_shapes(batch, heads, queries, keys, size, mask, rest, joined, threads):
    x = given_values(batch, queries, keys, heads * size)
    if mask:
        x["mask"] = (
            np.where(floats(batch, 1, queries, keys) > 1, np.float32(-np.inf), np.float32(1))
            if mask == "-inf"
            else floats(1, keys)
        )
    nodes = [
        *SPLIT,
        *(MASKED if mask else SCORES),
        *rest("m" if mask else "s", "z" if joined else "y"),
        *(JOINED if joined else []),
    ]
    with np.errstate(invalid="ignore"):
        g, x = made(nodes, x, heads)
        assert kernels(check(g, x, threads)) == (ATTENTION if queries > FEW else OF_FEW)
        compare_with_onnx_runtime(g, x)


def compare_with_onnx_runtime(g: Graph, x: dict[str, np.ndarray]) -> None:
    """The model's answer is ONNX Runtime's, too."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(to_onnx(g).SerializeToString(), providers=["CPUExecutionProvider"])
    with Model(g, threads=1) as model:
        np.testing.assert_allclose(model.run(x)["y"], session.run(["y"], x)[0], rtol=1e-4, atol=1e-5)


def test_a_model_plans_for_each_shape():
    g, x = made([*SPLIT, *MASKED, *weighed("m"), *JOINED], given_values(mask=floats(5, 7)))
    types = {"x": ("B", "Q", 8), "u": ("B", "K", 8), "v": ("B", "K", 8), "mask": ("Q", "K")}
    g = graph(g.nodes, types, ["y"], **{name: t.dense() for name, t in g.initializers.items()})
    with Model(g, threads=1) as model:
        for batch, queries, keys in ((2, 5, 7), (1, 1, 1), (3, 4, 20)):
            x = given_values(batch, queries, keys, mask=floats(queries, keys))
            np.testing.assert_allclose(model.run(x)["y"], interpret(g, x)[0], rtol=1e-4, atol=1e-5)
            found = kernels(model.plan({name: a.shape for name, a in x.items()}))
            assert found == (ATTENTION if queries > FEW else OF_FEW)


@pytest.mark.parametrize("name", ["p", "s", "m", "t", "z"])
def test_what_somebody_else_reads_stays(name):
    """Only what moves the result may be read before it is moved; it is moved by a step then."""
    nodes = [*SPLIT, *MASKED, *weighed("m"), *JOINED]
    found = steps(nodes, given_values(mask=floats(5, 7)), outputs=f"y {name}")
    assert (found[0] == ATTENTION[0]) == (name == "z")
    again = steps([*nodes, node("Relu", name, "again")], given_values(mask=floats(5, 7)), outputs="y again")
    assert (again[0] == ATTENTION[0]) == (name == "z")


def test_what_somebody_else_reads_before_is_made_once():
    nodes = [*PLAIN, node("Relu", "q", "other"), node("Relu", "k", "another")]
    found = steps(nodes, given_values(), outputs="y other another")
    assert sorted(name.split(":")[0] for name in found) == ["Attention", "Relu", "Relu", "Transpose", "Transpose"]


@pytest.mark.parametrize(
    "others",
    [
        {"t": node("Softmax", "s", "t", axis=2)},
        {"s": node("Div", "scale p", "s")},
        {"s": node("Mul", "p scales", "s")},
        {"s": node("Mul", "p large", "s")},
        {"s": node("Mul", "p nothing", "s")},
        {"s": node("Mul", "p minus", "s")},
        {"z": [node("MatMul", "t w", "z1"), node("Mul", "z1 scale", "z")]},
        {"t": [node("Softmax", "s", "t1"), node("IsNaN", "t1", "n"), node("Where", "n scale t1", "t")]},
        {"t": [node("Softmax", "s", "t1"), node("IsNaN", "s", "n"), node("Where", "n zero t1", "t")]},
        {"s": node("Where", "which p none", "s")},
        {"s": node("Where", "which p scales", "s")},
    ],
    ids=["axis", "quotient", "scales", "large", "nothing", "minus", "after", "guard", "test", "none", "chosen"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_others_stay(others):
    tensors = {"scales": floats(7) ** 2, "large": np.float32(1e6), "nothing": np.float32(0), "minus": np.float32(-1)}
    found = steps(changed(PLAIN, **others), given_values(), which=floats(7) > 0, none=np.float32(np.nan), **tensors)
    assert (ATTENTION[0] in found) == ("z" in others)


def test_scores_that_are_their_own_mask_stay():
    nodes = changed([*SPLIT, *MASKED, *weighed("m"), *JOINED], m=node("Add", "s s", "m"))
    assert ATTENTION[0] not in steps(nodes, given_values())
    nodes = changed([*SPLIT, *MASKED, *weighed("m"), *JOINED], m=node("Add", "s p", "m"))
    assert ATTENTION[0] not in steps(nodes, given_values())


def test_layers_stay():
    """Two matrices of weights, the softmax in the place of a rectifier."""
    nodes = [node("MatMul", "x a", "s"), node("Softmax", "s", "t"), node("MatMul", "t b", "y")]
    assert len(steps(nodes, {"x": floats(5, 8)}, a=floats(8, 7), b=floats(7, 3))) == 3


def test_other_numbers_stay():
    x = {name: a.astype(np.float64) for name, a in given_values().items()}
    assert len(steps(PLAIN, x, scale=np.float64(0.5))) > 3


def test_keys_for_all_batches_stay():
    nodes = [node("MatMul", "x u", "s"), node("Softmax", "s", "t"), node("MatMul", "t v", "y")]
    assert len(steps(nodes, {"x": floats(2, 5, 4), "u": floats(1, 4, 7), "v": floats(2, 7, 3)})) == 3
