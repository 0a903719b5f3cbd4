"""References ask before they take more memory than their inputs and outputs have."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import LimitError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.limits import Limits
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tersor.runtime.ops._room import check_room, room_within

FEW = 1 << 20
HUGE = 1 << 24
X, Y = "x", "y"


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


CASES: dict[str, tuple[str, tuple[int, ...], list[np.ndarray | None], dict[str, Any]]] = {
    "taps of an antialiased axis": (
        "Resize",
        (4,),
        [floats(0, HUGE), floats(1 / HUGE)],
        {"mode": "linear", "antialias": 1, "coordinate_transformation_mode": "tf_crop_and_resize"},
    ),
    "samples of a region": ("RoiAlign", (1, 1, 4, 4), [floats(0, 0, HUGE, HUGE).reshape(1, 4), ints(0)], {}),
    "samples that an attribute counts": (
        "RoiAlign",
        (1, 1, 4, 4),
        [floats(0, 0, 1, 1).reshape(1, 4), ints(0)],
        {"sampling_ratio": 4096},
    ),
    "padding of a pool in three dimensions": (
        "AveragePool",
        (1, 1, 1, 1, 1),
        [],
        {"kernel_shape": (2, 2, 2), "pads": (256,) * 6, "strides": (256,) * 3},
    ),
    "padding of a convolution in three dimensions": (
        "Conv",
        (1, 1, 1, 1, 1),
        [ones(1, 1, 2, 2, 2)],
        {"pads": (256,) * 6, "strides": (256,) * 3},
    ),
    "what a transposed convolution cuts off": (
        "ConvTranspose",
        (1, 1, 3, 3),
        [ones(1, 1, 2, 2)],
        {"strides": (HUGE, HUGE), "pads": (HUGE, HUGE, HUGE, HUGE)},
    ),
    "what an unpooled plane had": ("MaxUnpool", (1, 1, 1, 1), [ints(0).reshape(1, 1, 1, 1)], {"kernel_shape": (4096, 4096)}),
    "a longer transform": ("DFT", (1, 4, 1), [ints(HUGE).reshape(())], {}),
    "overlapping frames": ("STFT", (1, 4000, 1), [ints(1).reshape(()), None, ints(2000).reshape(())], {}),
    "a padded image of columns": ("Col2Im", (1, 1, 9), [ints(2, 2), ints(1, 1)], {"pads": (HUGE,) * 4, "strides": (HUGE,) * 2}),
    "a padded centre": ("CenterCropPad", (4,), [ints(HUGE)], {}),
    "mel filters": ("MelWeightMatrix", (), [ints(HUGE).reshape(()), ints(8).reshape(()), *floats(0, 4)], {}),
    "a grid": ("AffineGrid", (1, 2, 3), [ints(1, 1, 4096, 4096)], {}),
    "an outer product": ("Einsum", (4096,), [ones(4096)], {"equation": "i,j->ij"}),
}  # fmt: skip


@pytest.mark.parametrize(("op_type", "shape", "rest", "attributes"), CASES.values(), ids=list(CASES))
def test_memory_on_the_way(op_type: str, shape: tuple[int, ...], rest: Any, attributes: dict[str, Any]) -> None:
    tensors = {f"t{i}": DenseTensor.of(array) for i, array in enumerate(rest) if array is not None}
    names = [X, *("" if array is None else f"t{i}" for i, array in enumerate(rest))]
    node = Node(op_type, "hostile", tuple(names), (Y,), attributes)
    inputs, outputs = (Value(X, TensorType("float32", shape)),), (Value(Y, TensorType("float32", None)),)
    graph = Graph("g", inputs, outputs, (node,), tensors)
    tracemalloc.start()
    try:
        with (
            Model(graph, threads=1, limits=Limits(activation_bytes=FEW)) as model,
            pytest.raises(LimitError, match="activation"),
        ):
            model.run({X: np.ones(shape, np.float32)})
        assert tracemalloc.get_traced_memory()[1] < 16 * FEW
    finally:
        tracemalloc.stop()


def test_an_empty_axis_hides_no_other() -> None:
    with room_within(Limits(activation_bytes=FEW)):
        check_room((0, 1000))
        with pytest.raises(LimitError):
            check_room((0, HUGE))


def test_the_last_byte_counts_and_the_block_s_limits_end_with_it() -> None:
    with room_within(Limits(activation_bytes=80)):
        check_room((10,))
        check_room((1, 80), 1)
        with pytest.raises(LimitError):
            check_room((81,), 1)
    check_room((FEW,))
