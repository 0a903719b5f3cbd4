"""Integer kernels against the references, bit for bit: every type, zero points and scales of every form, odd geometries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Graph, Node, Tensor, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tersor.runtime.ops import operators

Given = dict[str, "np.ndarray | None"]
BYTES = (np.int8, np.uint8)


def run(
    op_type: str, given: Given, constant: tuple[str, ...] = (), outputs: int = 1, threads: int = 1, **attributes: Any
) -> str:
    """Compare every output with the reference's, bit for bit; returns the kernel's name."""
    expected = operators()[op_type](*given.values(), **attributes)
    names = tuple(f"y{i}" for i in range(outputs))
    node = Node(op_type, "n", tuple(name if value is not None else "" for name, value in given.items()), names, attributes)
    present = {name: value for name, value in given.items() if value is not None}
    tensors: dict[str, Tensor] = {name: DenseTensor.of(value) for name, value in present.items() if name in constant}
    inputs = {name: value for name, value in present.items() if name not in constant}
    values = tuple(Value(name, TensorType(array.dtype.name, array.shape)) for name, array in inputs.items())
    results = tuple(Value(name, TensorType(e.dtype.name, None)) for name, e in zip(names, expected, strict=True))
    with Model(Graph("g", values, results, (node,), tensors), threads=threads) as model:
        (row,) = model.plan().rows()
        for _ in range(2):
            found = model.run(inputs)
            for name, array in zip(names, expected, strict=True):
                assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
                np.testing.assert_array_equal(found[name], array)
    return row.kernel


def numbers(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.asarray(rng.integers(limits.min, limits.max + 1, shape), dtype)


def scales(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.uniform(0.001, 0.02, shape), np.float32)


@pytest.mark.parametrize("left", BYTES)
@pytest.mark.parametrize("right", BYTES)
def test_matrices(left: type, right: type) -> None:
    rng = np.random.default_rng(0)
    for shape, columns in [((1, 1), 1), ((3, 9), 5), ((2, 3, 8), 17), ((7,), 4), ((0, 4), 3), ((5, 0), 2)]:
        inner = shape[-1]
        rows = shape[0] if len(shape) == 2 else 1
        for a_zero, b_zero in [
            (None, None),
            (numbers(rng, left), numbers(rng, right)),
            (numbers(rng, left, rows), numbers(rng, right, columns)),
        ]:
            given: Given = {
                "a": numbers(rng, left, *shape),
                "b": numbers(rng, right, inner, columns),
                "az": a_zero,
                "bz": b_zero,
            }
            if a_zero is None:
                given = {"a": given["a"], "b": given["b"]}
            assert run("MatMulInteger", given, threads=2).startswith("integer matmul")
            if a_zero is None or b_zero is None:
                continue
            quantised: Given = {
                "a": given["a"],
                "as": scales(rng, *a_zero.shape),
                "az": a_zero,
                "b": given["b"],
                "bs": scales(rng, *b_zero.shape),
                "bz": b_zero,
                "ys": np.array(0.05, np.float32),
                "yz": numbers(rng, left),
            }
            assert run("QLinearMatMul", quantised, ("b", "bs", "bz"), threads=2).startswith("integer matmul")


CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 3, 7, 6), (4, 3, 3, 2), {"pads": (1, 0, 2, 1), "strides": (2, 1)}),
    ((1, 4, 9, 9), (6, 2, 3, 3), {"group": 2, "dilations": (2, 2), "strides": (1, 2)}),
    ((1, 3, 8, 8), (3, 1, 3, 3), {"group": 3, "auto_pad": "SAME_UPPER", "strides": (3, 3)}),
    ((2, 5, 12, 11), (10, 1, 3, 3), {"group": 5, "pads": (1, 1, 0, 2), "dilations": (1, 2), "strides": (2, 3)}),
    ((1, 4, 13), (4, 1, 5), {"group": 4, "pads": (2, 2)}),
    ((1, 1, 4, 5), (2, 1, 2, 2), {"strides": (3, 1)}),
    ((1, 4, 6, 7), (4, 1, 2, 3), {"group": 4, "strides": (4, 2), "dilations": (1, 2)}),
    ((1, 8, 4, 4), (8, 1, 1, 1), {"group": 8, "strides": ((1 << 31) - 1, (1 << 31) - 1)}),
    ((2, 5, 11), (3, 5, 4), {"pads": (2, 1), "strides": (2,)}),
    ((1, 2, 5, 6, 7), (4, 1, 2, 3, 1), {"group": 2, "pads": (1, 0, 0, 0, 1, 0), "strides": (1, 2, 3)}),
    ((1, 40, 70, 70), (2, 40, 3, 3), {"pads": (1, 1, 1, 1)}),
]


@pytest.mark.parametrize("kinds", [(np.uint8, np.int8), (np.int8, np.uint8), (np.uint8, np.uint8)])
@pytest.mark.parametrize(("shape", "kernel", "attributes"), CONVOLUTIONS)
def test_convolutions(
    kinds: tuple[type, type], shape: tuple[int, ...], kernel: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    rng = np.random.default_rng(1)
    x, w = numbers(rng, kinds[0], *shape), numbers(rng, kinds[1], *kernel)
    for w_zero in (numbers(rng, kinds[1]), numbers(rng, kinds[1], kernel[0])):
        x_zero = numbers(rng, kinds[0])
        given: Given = {"x": x, "w": w, "xz": x_zero, "wz": w_zero}
        assert run("ConvInteger", given, ("w", "wz"), threads=2, **attributes).startswith("integer conv")
        quantised: Given = {"x": x, "xs": scales(rng), "xz": x_zero, "w": w, "ws": scales(rng, *w_zero.shape), "wz": w_zero}
        quantised |= {"ys": np.array(0.3, np.float32), "yz": numbers(rng, kinds[0])}
        constant = ("w", "ws", "wz", "ys", "yz")
        assert run("QLinearConv", quantised, constant, **attributes).startswith("integer conv")
        biased = {**quantised, "b": rng.integers(-5000, 5000, kernel[0]).astype(np.int32)}
        assert run("QLinearConv", biased, (*constant, "b"), threads=2, **attributes).startswith("integer conv")
    assert run("ConvInteger", {"x": x, "w": w}, ("w",), **attributes).startswith("integer conv")
    assert run("ConvInteger", {"x": x, "w": w}, **attributes) == "reference"


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
def test_quantising_and_back(dtype: type) -> None:
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((2, 5, 3)) * 2).astype(np.float32)
    x[0, 0] = [np.inf, -np.inf, np.nan]
    x[1, 1] = [0.5, 1.5, -2.5]
    for scale, zero, attributes in [
        (
            np.ones((), np.float32),
            None,
            {"output_dtype": {"int8": 3, "uint8": 2, "int16": 5, "uint16": 4}[np.dtype(dtype).name]},
        ),
        (scales(rng), numbers(rng, dtype), {}),
        (scales(rng, 5), numbers(rng, dtype, 5), {}),
        (scales(rng, 3), numbers(rng, dtype, 3), {"axis": -1}),
    ]:
        given: Given = {"x": x, "s": scale} | ({} if zero is None else {"z": zero})
        assert run("QuantizeLinear", given, ("s", "z"), **attributes) == f"quantize {np.dtype(dtype).name}"
        back: Given = {"x": numbers(rng, dtype, 2, 5, 3), "s": scale} | ({} if zero is None else {"z": zero})
        kept = {name: value for name, value in attributes.items() if name == "axis"}
        assert run("DequantizeLinear", back, ("s", "z"), **kept) == "dequantize"


def test_a_bias_of_32_bits_is_dequantised() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-(2**31), 2**31, (4, 6)).astype(np.int32)
    assert run("DequantizeLinear", {"x": x, "s": scales(rng, 4)}, ("s",), axis=0) == "dequantize"


@pytest.mark.parametrize("x", [[0.0, 2.0, -3.0, -2.5, 1.34, 0.5], [1.0, 2.1], [-1.0, -2.1], [0.0, 0.0], []])
def test_the_range_found_when_run(x: list[float]) -> None:
    assert run("DynamicQuantizeLinear", {"x": np.array(x, np.float32)}, outputs=3) == "quantize, range found"
    assert run("DynamicQuantizeLinear", {"x": np.array(x, np.float16)}, outputs=3) == "reference"


@pytest.mark.parametrize(
    ("op_type", "given", "attributes"),
    [
        ("QuantizeLinear", {"x": np.ones((2, 4), np.float32), "s": np.ones((2, 2), np.float32)}, {"axis": 1, "block_size": 2}),
        ("QuantizeLinear", {"x": np.ones(3, np.float16), "s": np.ones((), np.float16)}, {}),
        ("DequantizeLinear", {"x": np.ones(3, np.int8), "s": np.ones((), np.float64)}, {}),
        ("MatMulInteger", {"a": np.ones((2, 2, 3), np.int8), "b": np.ones((2, 3, 2), np.int8)}, {}),
    ],
)
def test_what_the_kernels_do_not_know_runs_on_the_reference(op_type: str, given: Given, attributes: dict[str, Any]) -> None:
    assert run(op_type, given, ("s",), **attributes) == "reference"


@pytest.mark.parametrize(("index", "shape"), [(1, (3,)), (4, (2,)), (6, (3,)), (7, (3,))])
def test_scales_that_do_not_fit_are_refused(index: int, shape: tuple[int, ...]) -> None:
    one, zero = np.ones((), np.float32), np.zeros((), np.uint8)
    given = [np.ones((40, 5), np.uint8), one, zero, np.ones((5, 64), np.uint8), one, zero, one, zero]
    given[index] = np.ones(shape, given[index].dtype)
    names = tuple("abcdefgh")
    tensors: dict[str, Tensor] = {name: DenseTensor.of(value) for name, value in zip(names[1:], given[1:], strict=True)}
    values = (Value("a", TensorType("uint8", (40, 5))),), (Value("y", TensorType("uint8", None)),)
    node = Node("QLinearMatMul", "n", names, ("y",))
    with Model(Graph("g", *values, (node,), tensors), threads=1) as model, pytest.raises(PlanError, match="n"):
        model.run({"a": given[0]})
