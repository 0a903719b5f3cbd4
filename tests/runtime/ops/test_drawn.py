"""References against ONNX Runtime, on inputs, axes and settings that are drawn: what fixed cases leave out in between."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.runtime.ops._registry import operators

from .single import check, floats, onnx_runtime

SEEDS = st.integers(0, 99)
FLAGS = st.integers(0, 1)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)

few = settings(max_examples=60, deadline=None)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def small(seed: int, *shape: int, low: int = -3, high: int = 4, dtype: Any = np.float32) -> np.ndarray:
    """Few distinct numbers: there are equal ones."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


@st.composite
def lines(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Numbers, some of them equal, and one of their axes."""
    shape = draw(SHAPES)
    return small(draw(SEEDS), *shape), draw(st.integers(-len(shape), len(shape) - 1))


REDUCTIONS = ("Sum", "SumSquare", "L1", "L2", "LogSum", "LogSumExp", "Mean", "Prod", "Max", "Min")


@st.composite
def reductions(draw: st.DrawFn) -> tuple[str, list[np.ndarray], dict[str, int]]:
    """An operator, its inputs, of reals or integers, and its attributes."""
    name, shape, dtype = draw(st.sampled_from(REDUCTIONS)), draw(SHAPES), draw(st.sampled_from([np.float32, np.int32]))
    x = small(draw(SEEDS), *shape, low=1 if name == "LogSum" else -3, dtype=dtype)
    axes = draw(st.none() | st.lists(st.integers(0, len(shape) - 1), unique=True))
    listed = [] if axes is None else [ints(*axes) - len(shape) * draw(FLAGS)]
    return f"Reduce{name}", [x, *listed], {"keepdims": draw(FLAGS), "noop_with_empty_axes": draw(FLAGS)}


@settings(max_examples=150, deadline=None)
@given(reductions())
def test_reductions(drawn: Any) -> None:
    op_type, inputs, attributes = drawn
    if op_type == "ReduceLogSumExp":  # of integers, ONNX Runtime's powers are integers too
        inputs[0] = inputs[0].astype(np.float32)
    check(op_type, inputs, opset=18, **attributes)


@few
@given(reductions())
def test_reductions_of_integers_are_those_of_reals_cut_off(drawn: Any) -> None:
    op_type, (x, *axes), attributes = drawn
    (found,), (real,) = (operators()[op_type](x.astype(dtype), *axes, **attributes) for dtype in (np.int32, np.float64))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, real.astype(np.int32))


@settings(max_examples=200, deadline=None)
@given(lines(), st.integers(-5, 5), st.integers(-5, 5), st.sampled_from([-3, -2, -1, 1, 2, 3]))
def test_slices(line: Any, start: int, end: int, step: int) -> None:
    x, axis = line
    check("Slice", [x, ints(start), ints(end), ints(axis), ints(step)])


@few
@given(SHAPES, SEEDS, st.data())
def test_slices_at_coordinates(shape: Any, seed: int, data: st.DataObject) -> None:
    batch = data.draw(st.integers(0, len(shape) - 1))
    depth = data.draw(st.integers(1, len(shape) - batch))
    places = (*shape[:batch], *data.draw(st.lists(st.integers(1, 3), min_size=not batch, max_size=2)))
    rng = np.random.default_rng(seed)
    coordinates = np.stack([rng.integers(-n, n, places) for n in shape[batch : batch + depth]], -1)
    check("GatherND", [floats(seed, *shape), coordinates], batch_dims=batch)


@few
@given(lines(), FLAGS, st.integers(0, 4))
def test_largest_and_smallest(line: Any, largest: int, k: int) -> None:
    x, axis = line
    check("TopK", [x, ints(min(k, x.shape[axis]))], 2, axis=axis, largest=largest)


@few
@given(lines(), FLAGS)
def test_distinct_slices(line: Any, ordered: int) -> None:
    x, axis = line
    check("Unique", [x % 2], 4, axis=axis, sorted=ordered)


@few
@given(lines(), st.integers(1, 5))
def test_splits_into_equal_pieces(line: Any, count: int) -> None:
    x, axis = line
    length = x.shape[axis]
    piece = -(-length // count)
    if piece * (count - 1) < length:
        check("Split", [x], count, axis=axis, num_outputs=count)
    elif piece * (count - 1) == length:  # ONNX Runtime refuses an empty last piece before 1.32
        pieces = operators()["Split"](x, axis=axis, num_outputs=count)
        assert [part.shape[axis] for part in pieces] == [piece] * (count - 1) + [0]
        np.testing.assert_array_equal(np.concatenate(pieces, axis), x)


@few
@given(st.integers(1, 3), st.integers(0, 8), st.integers(1, 2), SEEDS, FLAGS, st.integers(0, 3))
def test_suppressed_boxes(batch: int, boxes: int, classes: int, seed: int, centred: int, given_inputs: int) -> None:
    corners = np.random.default_rng(seed).uniform(0, 1, (batch, boxes, 4)).astype(np.float32)
    scores = small(seed, batch, classes, boxes, low=0, high=6) / np.float32(5)
    settings = [ints(3), np.array([0.2], np.float32), np.array([0.4], np.float32)][:given_inputs]
    check("NonMaxSuppression", [corners, scores, *settings], center_point_box=centred)


@few
@given(
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    SEEDS,
    st.sampled_from(["half_pixel", "output_half_pixel"]),
    st.integers(0, 2),
    st.sampled_from([1.0, 0.7]),
)
def test_regions_of_interest(size: Any, bins: Any, seed: int, mode: str, samples: int, scale: float) -> None:
    corners = small(seed, 3, 2, high=9) / 2
    regions = np.concatenate([corners, corners + small(seed + 1, 3, 2, low=0, high=9) / 2], 1)
    attributes = {"output_height": bins[0], "output_width": bins[1], "sampling_ratio": samples, "spatial_scale": scale}
    inputs = [floats(seed, 2, 2, *size), regions.astype(np.float32), ints(0, 1, 1)]
    check("RoiAlign", inputs, opset=16, coordinate_transformation_mode=mode, **attributes)


@few
@given(st.integers(0, 40), st.integers(400, 4000), st.sampled_from([0.0, 20.0, 100.0]), st.sampled_from([100.0, 500.0, 2000.0]))
def test_mel_filters(bins: int, length: int, low: float, high: float) -> None:
    edges = [np.array(edge, np.float32) for edge in (low, high)]
    check("MelWeightMatrix", [ints(bins).reshape(()), ints(length).reshape(()), ints(8000).reshape(()), *edges], opset=17)


@few
@given(st.sampled_from(["Hann", "Hamming", "Blackman"]), st.integers(2, 9), FLAGS)
def test_tapering_windows(name: str, size: int, periodic: int) -> None:
    check(f"{name}Window", [ints(size).reshape(())], opset=17, periodic=periodic)


@few
@given(SHAPES, SEEDS, st.sampled_from([-5, 0, 5]))
def test_integers_over_the_range_of_their_input(shape: Any, seed: int, middle: int) -> None:
    check("DynamicQuantizeLinear", [floats(seed, *shape) + np.float32(middle)], 3)


def quantised(seed: int, *shape: int, dtype: Any = np.uint8) -> np.ndarray:
    limits = np.iinfo(dtype)
    return small(seed, *shape, low=limits.min, high=limits.max + 1, dtype=dtype)


def zero_points(seed: int, dtype: Any, columns: int) -> st.SearchStrategy[list[np.ndarray]]:
    """None, that of the left input, or also that of the right one: for all, or one a column."""
    left = quantised(seed)
    return st.sampled_from([[], [left], *([left, quantised(seed, *shape, dtype=dtype)] for shape in ((), (columns,)))])


@few
@given(SEEDS, st.sampled_from([np.int8, np.uint8]), st.lists(st.integers(1, 4), min_size=3, max_size=4), st.data())
def test_products_of_integers(seed: int, dtype: Any, sizes: list[int], data: st.DataObject) -> None:
    *stack, rows, inner, columns = sizes
    left, right = quantised(seed, *stack, rows, inner), quantised(seed + 1, inner, columns, dtype=dtype)
    check("MatMulInteger", [left, right, *data.draw(zero_points(seed, dtype, columns))])


@few
@given(SEEDS, st.sampled_from([np.int8, np.uint8]), st.lists(st.integers(1, 4), min_size=3, max_size=4), FLAGS)
def test_quantised_products(seed: int, dtype: Any, sizes: list[int], for_columns: int) -> None:
    *stack, rows, inner, columns = sizes
    shape = (columns,) if for_columns else ()
    left = [quantised(seed, *stack, rows, inner), np.array(0.1, np.float32), quantised(seed)]
    right = [
        quantised(seed + 1, inner, columns, dtype=dtype),
        np.random.default_rng(seed).uniform(0.01, 0.1, shape).astype(np.float32),
        quantised(seed + 2, *shape, dtype=dtype),
    ]
    inputs = [*left, *right, np.array(0.7, np.float32), quantised(seed + 3)]
    (found,), (expected,) = operators()["QLinearMatMul"](*inputs), onnx_runtime("QLinearMatMul", inputs)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


@few
@given(SEEDS, st.sampled_from([np.int8, np.uint8]), st.integers(1, 2), FLAGS, st.data())
def test_convolutions_of_integers(seed: int, dtype: Any, group: int, padding: int, data: st.DataObject) -> None:
    x, w = quantised(seed, 2, 2 * group, 4, 5), quantised(seed + 1, 3 * group, 2, 2, 3, dtype=dtype)
    points = data.draw(zero_points(seed, dtype, 1))
    check("ConvInteger", [x, w, *points], opset=10, group=group, pads=(padding,) * 4, strides=(1, 2))


@few
@given(SEEDS, SHAPES, st.sampled_from([np.int32, np.int64]), st.sampled_from([np.int32, np.float32]))
def test_integers_to_powers(seed: int, shape: Any, dtype: Any, exponents: Any) -> None:
    check("Pow", [small(seed, *shape, low=1, dtype=dtype), small(seed + 1, *shape, dtype=exponents)], opset=15)


@few
@given(SEEDS, st.integers(1, 5), st.integers(1, 7), st.sampled_from([0.5, 0.75]), st.sampled_from([1.0, 2.0]))
def test_normalisation_over_channels_around(seed: int, half: int, channels: int, beta: float, bias: float) -> None:
    check("LRN", [floats(seed, 2, channels, 3)[..., None]], size=2 * half - 1, alpha=0.3, beta=beta, bias=bias)


@few
@given(SEEDS, SHAPES, FLAGS, FLAGS, st.none() | st.integers(1, 7))
def test_fourier_transforms(seed: int, shape: Any, inverse: int, onesided: int, length: int | None) -> None:
    attributes = {"inverse": inverse, "onesided": onesided * (1 - inverse)}
    x = floats(seed, *shape, 3, 1 if onesided else 2)
    check("DFT", [x, None if length is None else ints(length).reshape(())], opset=20, **attributes)


@few
@given(SEEDS, st.integers(1, 2), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2))
def test_taps_that_are_not_moved_convolve(seed: int, group: int, dilation: int, padding: int, stride: int) -> None:
    x, w = floats(seed, 2, 2 * group, 6, 5), floats(seed + 1, 3 * group, 2, 3, 2)
    attributes: Any = {"group": group, "dilations": (dilation, 1), "pads": (padding, 0, 1, 2), "strides": (stride, 2)}
    (expected,) = operators()["Conv"](x, w, **attributes)
    offset = np.zeros((2, 12, *expected.shape[2:]), np.float32)
    (found,) = operators()["DeformConv"](x, w, offset, **attributes)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@few
@given(SEEDS, st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 3))
def test_a_norm_of_planes_is_that_of_a_window_over_all(seed: int, spatial: list[int], p: int) -> None:
    x = floats(seed, 2, 3, *spatial)
    (expected,) = operators()["LpPool"](x, kernel_shape=tuple(spatial), p=p)
    np.testing.assert_allclose(operators()["GlobalLpPool"](x, p=p)[0], expected, rtol=1e-4)


@few
@given(SEEDS, st.integers(1, 6), st.sampled_from(["nearest", "linear"]), FLAGS)
def test_regions_that_are_cropped_and_resized(seed: int, wanted: int, mode: str, beyond: int) -> None:
    region = np.array([0.1, 0.2, 0.8, 1.3 if beyond else 0.7], np.float32)
    inputs = [floats(seed, 7, 8), region, None, ints(wanted, 5)]
    attributes = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 9.0}
    check("Resize", inputs, opset=19, mode=mode, **attributes)
