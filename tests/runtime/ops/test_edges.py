"""Where numpy's rules, or the obvious ones, are not ONNX's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import PlanError
from tersor.runtime.ops import operators

from .single import check, floats

NOTHING, BEYOND = np.zeros((0, 4, 6), np.float32), np.array([[0, -0.5, -0.5, 2, 2]], np.float32)


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("MaxPool", [floats(0, 1, 1, 2, 2)], {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1}),
        ("AveragePool", [floats(0, 1, 1, 1, 1)], {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}),
        ("Slice", [floats(0, 5), *np.array([[-6], [-100], [0], [-1]])], {}),
        ("Slice", [floats(0, 5), *np.array([[-100], [np.iinfo(np.int64).min], [0], [-2]])], {}),
        ("Pad", [floats(0, 1), np.array([-2, 2]), np.array(7, np.float32)], {}),
        ("Pad", [floats(0, 2, 3), np.array([2, 1, -3, -1]), np.array(7, np.float32)], {}),
        ("ConvTranspose", [NOTHING, floats(0, 4, 3, 2)], {"group": 2}),
        ("RotaryEmbedding", [NOTHING, *floats(0, 2, 4, 1), np.zeros((0, 4), np.int64)], {"num_heads": 3, "opset": 23}),
        ("Col2Im", [NOTHING, np.array([7]), np.array([2])], {}),
        ("MaxRoiPool", [floats(0, 1, 1, 4, 4), BEYOND], {"pooled_shape": (1, 2), "opset": 21}),
        ("MaxUnpool", [floats(0, 1, 1, 2, 2), np.array([[[[0, 2], [5, 8]]]])], {"kernel_shape": (2, 2)}),
        ("BatchNormalization", [floats(0, 3), *np.ones((4, 1), np.float32)], {}),
        ("Slice", [floats(0, 5, 2), *np.array([[4], [0]]), None, np.array([-2])], {}),
        ("Gather", [floats(0, 3, 2), np.zeros((0, 1), np.int64)], {}),
        ("Flatten", [floats(0, 2, 3)], {"axis": 2}),
        ("Squeeze", [floats(0, 1, 2, 1)], {}),
        ("Pad", [floats(0, 3), np.array([-1, -2])], {}),
        ("Resize", [floats(0, 2, 3), *np.zeros((2, 0), np.float32), np.array([4, 5])], {"opset": 11}),
        ("Softmax", [np.zeros((2, 0), np.float32)], {}),
        ("LogSoftmax", [np.zeros((2, 0), np.float32)], {}),
        ("Erf", [np.zeros(0, np.float32)], {}),
        ("ReduceLogSumExp", [np.array([[1000, 999], [-1000, -999]], np.float32), np.array([1])], {}),
    ],
)  # fmt: skip
def test_where_numpy_would_do_otherwise(op_type: str, inputs: list[np.ndarray | None], attributes: dict[str, Any]) -> None:
    check(op_type, inputs, **attributes)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("i,j->ij", [(2,), (3,)]),
        ("bij,bjk", [(2, 3, 4), (2, 4, 5)]),
        ("ii->i", [(3, 3)]),
        ("ii", [(3, 3)]),
        ("...ij, ...jk -> ...ik", [(2, 1, 3, 4), (1, 5, 4, 6)]),
        ("i...j,j", [(3, 2, 4), (4,)]),
        ("a...->...", [(2, 3, 4)]),
        ("ca,bd", [(2, 3), (4, 5)]),
    ],
)
def test_shapes_of_sums_of_products(equation: str, shapes: list[tuple[int, ...]]) -> None:
    check("Einsum", [floats(i, *shape) for i, shape in enumerate(shapes)], equation=equation)


def test_a_normalisation_over_more_channels_than_there_are() -> None:
    x = floats(0, 1, 3, 2, 2).astype(np.float64)
    (found,) = operators()["LRN"](x, size=1 << 40, alpha=2.0**40)
    np.testing.assert_allclose(found, x / (1 + np.square(x).sum(1, keepdims=True)) ** 0.75)


def test_a_mean_of_nothing_is_not_a_number_and_warns_of_nothing() -> None:
    (found,) = operators()["ReduceMean"](np.zeros((0, 3), np.float32), np.array([0]))
    assert found.shape == (1, 3)
    assert np.isnan(found).all()


def test_sums_along_any_axis_keep_the_digits_of_small_summands() -> None:
    x = np.full((1 << 18, 2), 0.1, np.float32)
    np.testing.assert_allclose(operators()["ReduceSum"](x, np.array([0]))[0], [[26214.4, 26214.4]], rtol=1e-7)


def test_a_region_that_is_scaled_gives_as_many_elements_as_it_has_times_the_scale() -> None:
    """By ONNX's documentation; ONNX Runtime scales the whole axis."""
    region, scale = np.array([0.25, 0.75], np.float32), np.array([2], np.float32)
    (found,) = operators()["Resize"](floats(0, 8), region, scale, coordinate_transformation_mode="tf_crop_and_resize")
    assert found.shape == (8,)


@pytest.mark.parametrize("start", [-1, 2])
def test_what_is_written_into_a_cache_has_to_fit(start: int) -> None:
    past, update = floats(0, 1, 1, 3, 2), floats(1, 1, 1, 2, 2)
    assert np.array_equal(operators()["TensorScatter"](past, update, np.array([1]))[0][0, 0, 1:], update[0, 0])
    with pytest.raises(PlanError, match="a cache of 3"):
        operators()["TensorScatter"](past, update, np.array([start]))
    with pytest.raises(PlanError, match="the axis of the batch"):
        operators()["TensorScatter"](past, past, axis=-4)


def test_a_window_of_one_point_is_finite() -> None:
    """ONNX Runtime divides by zero where it is not periodic."""
    assert operators()["BlackmanWindow"](np.array(1), periodic=0)[0] == pytest.approx(0, abs=1e-6)


def test_a_scalar_has_no_coordinates() -> None:
    """ONNX's documentation says (0, count), ONNX Runtime (1, count)."""
    found = operators()["NonZero"]
    assert [np.shape(found(np.array(value, np.float32))[0]) for value in (0, 3)] == [(0, 0), (0, 1)]
