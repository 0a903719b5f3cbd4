"""References against ONNX Runtime, where geometry or state leaves room for mistakes that fixed cases miss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Node
from tersor.runtime.ops import operators
from tersor.runtime.ops._recurrent import ACTIVATIONS

from .single import check, floats, onnx_runtime


@st.composite
def geometries(draw: st.DrawFn, *, auto_pads: tuple[str, ...] = ("NOTSET",)) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A spatial shape and the attributes of a window that fits it."""
    rank = draw(st.integers(1, 3))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank)))

    spatial, kernel = per_axis(1, 9), per_axis(1, 4)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": per_axis(1, 3), "dilations": per_axis(1, 2)}
    auto_pad = draw(st.sampled_from(auto_pads))
    if auto_pad == "NOTSET":
        attributes["pads"] = tuple(min(p, k - 1) for p, k in zip(per_axis(0, 2) + per_axis(0, 2), kernel * 2, strict=True))
    else:
        attributes["auto_pad"] = auto_pad
        attributes["dilations"] = (1,) * rank  # ONNX Runtime pads as if there were none
    return spatial, attributes


ALL_PADS = ("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


def fits(op_type: str, attributes: dict[str, Any], *shapes: tuple[int, ...]) -> bool:
    """Whether the reference accepts the geometry."""
    infer = operators()[op_type].infer
    assert infer is not None
    try:
        types = infer(Node(op_type, "n", (), (), attributes), [(np.dtype(np.float32), s) for s in shapes], [None] * len(shapes))
    except PlanError:
        return False
    return all(n > 0 for _, shape in types for n in shape)


def overlaps(attributes: dict[str, Any]) -> bool:
    """Whether the kernel is at least the stride, or padding explicit: else ONNX Runtime takes SAME padding to be negative."""
    steps = zip(attributes["kernel_shape"], attributes["strides"], strict=True)
    return "auto_pad" not in attributes or all(kernel >= stride for kernel, stride in steps)


@settings(max_examples=60, deadline=None)
@given(geometries(auto_pads=ALL_PADS), st.sampled_from([1, 2, 4]), st.integers(1, 2), st.integers(1, 2), st.booleans())
def test_conv(geometry: Any, group: int, inputs: int, outputs: int, biased: bool) -> None:
    spatial, attributes = geometry
    x = floats(0, 2, inputs * group, *spatial)
    w = floats(1, outputs * group, inputs, *attributes["kernel_shape"])
    assume(fits("Conv", attributes | {"group": group}, x.shape, w.shape))
    check("Conv", [x, w, floats(2, outputs * group) if biased else None], group=group, **attributes)


@settings(max_examples=60, deadline=None)
@given(geometries(auto_pads=ALL_PADS), st.sampled_from([1, 2]), st.integers(1, 2), st.integers(0, 2), st.booleans())
def test_conv_transpose(geometry: Any, group: int, outputs: int, extra: int, sized: bool) -> None:
    spatial, attributes = geometry
    attributes["output_padding"] = tuple(min(extra, step - 1) for step in attributes["strides"])
    x, w = floats(0, 2, 2 * group, *spatial), floats(1, 2 * group, outputs, *attributes["kernel_shape"])
    if sized and attributes.get("auto_pad") != "VALID":
        attributes["output_shape"] = tuple(n * s for n, s in zip(spatial, attributes["strides"], strict=True))
        attributes.pop("pads", None)
    assume(overlaps(attributes))
    assume(fits("ConvTranspose", attributes | {"group": group}, x.shape, w.shape))
    check("ConvTranspose", [x, w, floats(2, outputs * group)], group=group, **attributes)


@settings(max_examples=60, deadline=None)
@given(geometries(auto_pads=ALL_PADS), st.integers(0, 1), st.integers(0, 1))
def test_average_pool(geometry: Any, ceil_mode: int, count_include_pad: int) -> None:
    spatial, attributes = geometry
    assume(overlaps(attributes))
    attributes |= {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    x = floats(0, 2, 3, *spatial)
    assume(fits("AveragePool", attributes, x.shape))
    check("AveragePool", [x], **attributes)


@settings(max_examples=60, deadline=None)
@given(geometries(auto_pads=ALL_PADS), st.integers(0, 1), st.integers(0, 1))
def test_max_pool(geometry: Any, ceil_mode: int, storage_order: int) -> None:
    spatial, attributes = geometry
    assume(overlaps(attributes))
    attributes |= {"ceil_mode": ceil_mode, "storage_order": storage_order}
    x = np.rint(floats(0, 2, 3, *spatial))  # of equals, the first
    assume(min(spatial) > 1)  # a window of padding alone gives -inf here, the lowest finite number there
    assume(fits("MaxPool", attributes, x.shape))
    check("MaxPool", [x], 2, **attributes)


@settings(max_examples=30, deadline=None)
@given(geometries(), st.integers(1, 3))
def test_lp_pool(geometry: Any, p: int) -> None:
    spatial, attributes = geometry
    x = floats(0, 2, 3, *spatial)
    assume(fits("LpPool", attributes, x.shape))
    check("LpPool", [x], p=p, **attributes)


COORDINATES = st.sampled_from(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"])


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (1, 8, 27), (6, 3)])
def test_batch_normalization_by_statistics_of_the_batch(shape: tuple[int, ...]) -> None:
    vectors = [np.abs(floats(seed, shape[1])) + np.float32(0.1) for seed in range(1, 5)]
    check("BatchNormalization", [floats(0, *shape), *vectors], 3, opset=15, training_mode=1, momentum=0.7)


def check_resize(size: tuple[int, int], wanted: tuple[int, int], **attributes: Any) -> None:
    check("Resize", [floats(0, 1, 2, *size), None, None, np.array([1, 2, *wanted], np.int64)], opset=19, **attributes)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["linear", "cubic"]),
    COORDINATES,
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_resize_by_interpolation(mode: str, coordinates: str, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    check_resize(size, wanted, mode=mode, coordinate_transformation_mode=coordinates)


NEAREST = st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
AXIS = st.integers(1, 60)


@settings(max_examples=200, deadline=None)
@given(NEAREST, COORDINATES, st.tuples(AXIS, AXIS), st.tuples(AXIS, AXIS))
def test_resize_to_nearest(nearest: str, coordinates: str, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    check_resize(size, wanted, mode="nearest", nearest_mode=nearest, coordinate_transformation_mode=coordinates)


@settings(max_examples=200, deadline=None)
@given(NEAREST, COORDINATES.filter(lambda name: name != "align_corners"), AXIS, st.integers(1, 60))
def test_resize_by_tenths(nearest: str, coordinates: str, size: int, tenths: int) -> None:
    """With ``align_corners`` ONNX's own tests count the fraction of an element that the output lacks; ONNX Runtime does not."""
    scales = np.array([1, tenths / 10], np.float32)
    assume(math.floor(np.float32(size) * scales[1]) not in (0, size))  # what keeps its size, ONNX Runtime copies
    attributes: dict[str, Any] = {"nearest_mode": nearest, "coordinate_transformation_mode": coordinates}
    check("Resize", [floats(0, 2, size), None, scales], opset=19, mode="nearest", **attributes)


RECURRENT = {"RNN": (1, 2, 1), "GRU": (3, 6, 2), "LSTM": (4, 8, 3)}
"""Gates, rows of the bias in hidden sizes, activations a direction."""


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op_type", RECURRENT)
@pytest.mark.parametrize("clip", [None, 0.4])
@pytest.mark.parametrize("lengths", [None, [5, 2, 3]])
def test_recurrent_layers(op_type: str, direction: str, clip: float | None, lengths: list[int] | None) -> None:
    gates, biases, _ = RECURRENT[op_type]
    count, hidden, inputs, time, batch = 2 if direction == "bidirectional" else 1, 4, 3, 5, 3
    arrays: list[np.ndarray | None] = [
        floats(0, time, batch, inputs),
        floats(1, count, gates * hidden, inputs),
        floats(2, count, gates * hidden, hidden),
        floats(3, count, biases * hidden),
        None if lengths is None else np.array(lengths, np.int32),
        floats(4, count, batch, hidden),
    ]
    attributes: dict[str, Any] = {"direction": direction, "hidden_size": hidden}
    if clip:
        attributes["clip"] = clip
    if op_type == "LSTM":
        arrays += [floats(5, count, batch, hidden), floats(6, count, 3 * hidden)]
    check(op_type, arrays, 3 if op_type == "LSTM" else 2, **attributes)


@pytest.mark.parametrize("op_type", RECURRENT)
def test_recurrent_activations_take_their_parameters_in_order(op_type: str) -> None:
    gates, _, functions = RECURRENT[op_type]
    hidden, inputs = 4, 3
    names = ("LeakyRelu", "ScaledTanh", "HardSigmoid")[:functions]
    alphas, betas = (0.2, 0.7, 0.3)[:functions], (0.6, 0.4)[: functions - 1]
    attributes: dict[str, Any] = {"activations": names, "activation_alpha": alphas, "hidden_size": hidden}
    if betas:
        attributes["activation_beta"] = betas
    arrays: list[np.ndarray | None] = [
        floats(0, 3, 2, inputs),
        floats(1, 1, gates * hidden, inputs),
        floats(2, 1, gates * hidden, hidden),
    ]
    check(op_type, arrays, 2, **attributes)


def test_recurrent_activations_have_the_defaults_of_their_operators() -> None:
    """As ONNX says; ONNX Runtime's thresholds begin at 0."""
    for name in ("LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu"):
        found = ACTIVATIONS[name.lower()]
        defaults = {"alpha": found.alpha} | ({} if found.beta is None else {"beta": found.beta})
        assert defaults == operators()[name].defaults


@pytest.mark.parametrize("op_type", RECURRENT)
def test_recurrent_layers_of_batches_first(op_type: str) -> None:
    """ONNX Runtime has no such layout: it is the other one, turned over."""
    (gates, biases, _), found = RECURRENT[op_type], operators()[op_type]
    x, *weights = floats(0, 5, 3, 2), floats(1, 2, gates * 4, 2), floats(2, 2, gates * 4, 4), floats(3, 2, biases * 4)
    states = [floats(seed, 2, 3, 4) for seed in range(4, 6 if op_type == "LSTM" else 5)]
    attributes: dict[str, Any] = {"direction": "bidirectional", "hidden_size": 4}
    Y, *lasts = found(x, *weights, None, *states, **attributes)
    turned = [x.swapaxes(0, 1), *weights, None, *(state.swapaxes(0, 1) for state in states)]
    results = found(*turned, **attributes, layout=1)
    for result, expected in zip(results, [Y.transpose(2, 0, 1, 3), *(last.swapaxes(0, 1) for last in lasts)], strict=True):
        np.testing.assert_array_equal(result, expected)
    assert found.infer
    types = [None if array is None else (array.dtype, array.shape) for array in turned]
    node = Node(op_type, "n", (), (), {**attributes, "layout": 1})
    assert found.infer(node, types, turned) == [(result.dtype, result.shape) for result in results]


def test_coupled_lstm_gates_and_linear_before_reset() -> None:
    for op_type, attribute in (("LSTM", "input_forget"), ("GRU", "linear_before_reset")):
        gates, biases, _ = RECURRENT[op_type]
        arrays: list[np.ndarray | None] = [floats(0, 4, 2, 3), floats(1, 1, gates * 5, 3), floats(2, 1, gates * 5, 5)]
        check(op_type, [*arrays, floats(3, 1, biases * 5)], 2, hidden_size=5, **{attribute: 1})


def test_max_roi_pool() -> None:
    rois = np.array([[0, 0, 0, 6, 5], [1, 2, 1, 4, 9], [0, 8, 8, 3, 3]], np.float32)
    check("MaxRoiPool", [floats(0, 2, 3, 8, 9), rois], opset=21, pooled_shape=(3, 2), spatial_scale=0.9)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [0, 1])
def test_grid_sample(mode: str, padding_mode: str, align_corners: int) -> None:
    grid = np.random.default_rng(1).uniform(-1.6, 1.6, (2, 4, 5, 2)).astype(np.float32)
    attributes = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    check("GridSample", [floats(0, 2, 3, 6, 7), grid], opset=20, **attributes)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pad_crops_with_negative_numbers(mode: str) -> None:
    check("Pad", [floats(0, 5, 6), np.array([2, -1, -1, 3], np.int64)], opset=21, mode=mode)


def test_integer_division_truncates_and_powers_keep_the_type() -> None:
    a, b = np.array([-7, 7, -8, 9], np.int32), np.array([2, -2, 4, 5], np.int32)
    check("Div", [a, b], opset=14)
    check("Pow", [a, np.array([2.0, 1.0, 3.0, 0.0], np.float32)], opset=15)


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_takes_the_first_of_equals(largest: int) -> None:
    x = np.random.default_rng(0).integers(0, 4, (3, 12)).astype(np.float32)
    check("TopK", [x, np.array([5], np.int64)], 2, opset=11, largest=largest, axis=1)


@pytest.mark.parametrize(("scale", "zero"), [((), ()), ((4,), (4,))], ids=["one for the tensor", "one a channel"])
def test_quantized_convolution(scale: tuple[int, ...], zero: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1, 3, 6, 6)).astype(np.uint8)
    w = rng.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)
    arrays: list[np.ndarray | None] = [
        x,
        np.array(0.02, np.float32),
        np.array(113, np.uint8),
        w,
        rng.uniform(0.01, 0.03, scale).astype(np.float32).reshape(scale),
        np.zeros(zero, np.int8),
        np.array(0.31, np.float32),
        np.array(121, np.uint8),
        rng.integers(-999, 999, 4).astype(np.int32),
    ]
    expected = onnx_runtime("QLinearConv", arrays, opset=10, pads=(1, 1, 1, 1))[0]
    (result,) = operators()["QLinearConv"](*arrays, pads=(1, 1, 1, 1))
    assert result.dtype == expected.dtype
    assert np.abs(result.astype(int) - expected.astype(int)).max() <= 1
