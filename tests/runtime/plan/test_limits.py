"""A graph that asks for more memory than the limits allow ends in an error, before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import LimitError
from tersor.format_spec.graph import Graph, Node, Tensor, TensorType, Value
from tersor.format_spec.limits import Limits
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model

X, Y = "x", "y"
SMALL = Limits(activation_bytes=1 << 20)


def model(
    nodes: list[Node], shape: tuple[int, ...], tensors: Mapping[str, Tensor], dtype: str = "int64", limits: Limits = SMALL
) -> Model:
    inputs = (Value(X, TensorType(dtype, shape)),)
    return Model(
        Graph("hostile", inputs, (Value(Y, TensorType(dtype, None)),), tuple(nodes), tensors), threads=1, limits=limits
    )


def node(op_type: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **attributes: Any) -> Node:
    return Node(op_type, "", inputs, outputs, attributes)


def number(*values: int) -> DenseTensor:
    return DenseTensor.of(np.array(values, np.int64))


@pytest.mark.parametrize("limits", [SMALL, Limits()], ids=["small", "default"])
def test_a_constant_of_any_shape(limits: Limits) -> None:
    nodes = [
        node("ConstantOfShape", ("sides",), ("big",)),
        node("Shape", ("big",), ("sizes",)),
        node("Add", ("sizes", X), (Y,)),
    ]
    with (
        pytest.raises(LimitError, match=r"4,398,046,511,104 activation bytes; .*Limits.activation_bytes"),
        model(nodes, (2,), {"sides": number(1 << 20, 1 << 20)}, limits=limits) as made,
    ):
        made.run({X: np.zeros(2, np.int64)})


@pytest.mark.parametrize(
    ("nodes", "tensors"),
    [
        ([node("ConstantOfShape", (X,), (Y,), value=np.zeros(1, np.int64))], {}),
        ([node("Expand", ("one", X), (Y,))], {"one": number(1)}),
        ([node("Tile", ("one", X), (Y,))], {"one": DenseTensor.of(np.ones((1, 1), np.int64))}),
    ],
    ids=["ConstantOfShape", "Expand", "Tile"],
)
def test_shapes_that_the_inputs_values_say(nodes: list[Node], tensors: Mapping[str, Tensor]) -> None:
    with model(nodes, (2,), tensors) as made:
        assert made.run({X: np.array([3, 5])})[Y].shape == (3, 5)
        with pytest.raises(LimitError):
            made.run({X: np.array([1 << 20, 1 << 20])})


def test_a_range_and_a_window_that_the_inputs_values_say() -> None:
    bounds = {"start": DenseTensor.of(np.array(0)), "step": DenseTensor.of(np.array(1))}
    with model([node("Range", ("start", X, "step"), (Y,))], (), bounds) as made:
        assert made.run({X: np.array(4)})[Y].tolist() == [0, 1, 2, 3]
        with pytest.raises(LimitError):
            made.run({X: np.array(1 << 50)})
    with model([node("HannWindow", (X,), (Y,), output_datatype=1)], (), {}) as made, pytest.raises(LimitError):
        made.run({X: np.array(1 << 50)})


def test_what_a_loop_collects() -> None:
    body_inputs = tuple(Value(name, TensorType(dtype, ())) for name, dtype in (("step", "int64"), ("go", "bool")))
    body_outputs = (Value("on", TensorType("bool", ())), Value("row", TensorType("int64", None)))
    steps = (node("Identity", ("go",), ("on",)), node("ConstantOfShape", ("side",), ("row",), value=np.zeros(1, np.int64)))
    body = Graph("body", body_inputs, body_outputs, steps, {"side": number(1000)})
    with model([node("Loop", (X, ""), (Y,), body=body)], (), {}) as made:
        assert made.run({X: np.array(3)})[Y].shape == (3, 1000)
        with pytest.raises(LimitError):
            made.run({X: np.array(1 << 50)})


def test_what_a_scan_collects() -> None:
    body_inputs = (Value("part", TensorType("int64", ())),)
    body_outputs = (Value("row", TensorType("int64", None)),)
    steps = (node("ConstantOfShape", ("side",), ("row",), value=np.zeros(1, np.int64)),)
    body = Graph("body", body_inputs, body_outputs, steps, {"side": number(1000)})
    known = [node("Scan", (X,), (Y,), body=body, num_scan_inputs=1)]
    unknown = [node("NonZero", (X,), ("places",)), node("Reshape", ("places", "flat"), ("line",))]
    unknown += [node("Scan", ("line",), (Y,), body=body, num_scan_inputs=1)]
    for nodes in (known, unknown):
        for count in (3, 1000):
            with model(nodes, (count,), {"flat": number(-1)}) as made:
                if count == 3:
                    assert made.run({X: np.ones(count, np.int64)})[Y].shape == (3, 1000)
                    continue
                with pytest.raises(LimitError):
                    made.run({X: np.ones(count, np.int64)})


def test_broadcasting_is_foreseen() -> None:
    nodes = [node("Transpose", (X,), ("t",), perm=[1, 0]), node("Add", (X, "t"), (Y,))]
    with model(nodes, (1, 100_000), {}) as made, pytest.raises(LimitError):
        made.run({X: np.zeros((1, 100_000), np.int64)})


def test_what_steps_share_is_bounded_together() -> None:
    made = [X, *(f"v{i}" for i in range(6))]
    nodes = [node("Softmax", (a,), (b,)) for a, b in pairwise(made)]
    sums = ["v5", *(f"s{i}" for i in range(4)), Y]
    nodes += [node("Add", (a, f"v{i}"), (b,)) for i, (a, b) in enumerate(pairwise(sums))]
    x = np.ones((200, 200), np.float32)
    few, enough = (Limits(activation_bytes=count * x.nbytes) for count in (3, 10))
    with model(nodes, x.shape, {}, "float32", few) as hostile, pytest.raises(LimitError):
        hostile.run({X: x})
    with model(nodes, x.shape, {}, "float32", enough) as allowed:
        assert allowed.run({X: x})[Y].shape == x.shape
