"""The LSTM kernel against the reference: directions, states, sparse, shared and dense weights, odd sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node, Tensor, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tersor.runtime.ops._registry import operators

OUTPUTS = ("y", "h", "c")


def build(tensors: dict[str, Tensor], inputs: dict[str, np.ndarray], names: str, **attributes: Any) -> Model:
    node = Node("LSTM", "layer", tuple(names.split(" ")), OUTPUTS, attributes)
    values = tuple(Value(name, TensorType(array.dtype.name, array.shape)) for name, array in inputs.items())
    outputs = tuple(Value(name, TensorType("float32", None)) for name in OUTPUTS)
    return Model(Graph("g", values, outputs, (node,), tensors), threads=1)


def compare(model: Model, tensors: dict[str, Tensor], inputs: dict[str, np.ndarray], names: str, **attributes: Any) -> None:
    known: dict[str, Any] = {"": None, **inputs, **{name: tensor.dense() for name, tensor in tensors.items()}}
    expected = operators()["LSTM"](*(known[name] for name in names.split(" ")), **attributes)
    for _ in range(2):
        found = model.run(inputs)
        for name, array in zip(OUTPUTS, expected, strict=True):
            assert found[name].shape == array.shape
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", ["dense", "shared", "sparse rows", "sparse columns"])
@pytest.mark.parametrize(("time", "batch", "inputs", "size"), [(1, 1, 1, 1), (5, 3, 7, 6), (3, 1, 4, 17)])
def test_every_form_of_weights(
    kind: str,
    direction: str,
    time: int,
    batch: int,
    inputs: int,
    size: int,
    share: Callable[..., Tensor],
    pruned: Callable[..., np.ndarray],
) -> None:
    rng = np.random.default_rng(time + size)
    count = 2 if direction == "bidirectional" else 1

    def weight(*shape: int) -> Tensor:
        array = pruned(rng, shape, 0.4 if "sparse" in kind else 1.0) / 2
        if kind == "dense":
            return DenseTensor.of(array)
        return share(array, (0, 1), "columns" if "columns" in kind else "rows", np.uint8, sparse="sparse" in kind)

    tensors = {"w": weight(count, 4 * size, inputs), "r": weight(count, 4 * size, size)}
    tensors["b"] = DenseTensor.of(rng.standard_normal((count, 8 * size)).astype(np.float32))
    given = {"x": rng.standard_normal((time, batch, inputs)).astype(np.float32)}
    given |= {name: rng.standard_normal((count, batch, size)).astype(np.float32) for name in ("h0", "c0")}
    with build(tensors, given, "x w r b  h0 c0", direction=direction, hidden_size=size) as model:
        (row,) = model.plan().rows()
        assert row.kernel.startswith("lstm from columns")
        compare(model, tensors, given, "x w r b  h0 c0", direction=direction)


def layer(rng: np.random.Generator) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    tensors: dict[str, Tensor] = {
        "w": DenseTensor.of(rng.standard_normal((1, 8, 3)).astype(np.float32)),
        "r": DenseTensor.of(rng.standard_normal((1, 8, 2)).astype(np.float32)),
        "p": DenseTensor.of(rng.standard_normal((1, 6)).astype(np.float32)),
    }
    return tensors, {"x": rng.standard_normal((4, 2, 3)).astype(np.float32)}


def test_states_and_bias_may_be_left_out() -> None:
    tensors, inputs = layer(np.random.default_rng(0))
    del tensors["p"]
    with build(tensors, inputs, "x w r") as model:
        compare(model, tensors, inputs, "x w r")


@pytest.mark.parametrize(
    ("names", "attributes"),
    [
        ("x w r     p", {}),
        ("x w r", {"clip": 0.5}),
        ("x w r", {"activations": ("Sigmoid", "Relu", "Tanh")}),
        ("x w r", {"layout": 1}),
    ],
)
def test_what_the_kernel_does_not_know_runs_on_the_reference(names: str, attributes: dict[str, Any]) -> None:
    tensors, inputs = layer(np.random.default_rng(1))
    with build(tensors, inputs, names, **attributes) as model:
        (row,) = model.plan().rows()
        assert row.kernel == "reference"
        compare(model, tensors, inputs, names, **attributes)
