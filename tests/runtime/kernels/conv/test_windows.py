"""Convolutions of windows against the reference: strides, dilations, padding, epilogues, codes, images and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.graph import Graph, Node, Tensor, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.dense.conv import cost_dense, cut_dense
from tersor.runtime.kernels.conv.layout import Shape2D
from tersor.runtime.kernels.conv.lower import lower_conv
from tersor.runtime.kernels.conv.windows import MOST_OUTPUTS, cost_windows, fits_windows
from tersor.runtime.kernels.site import Site
from tersor.runtime.model import Model
from tersor.runtime.ops import operators
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers
from tersor.runtime.plan.plan import Row


@pytest.fixture(autouse=True)
def cheapest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever there may be windows, they are the kernel, and threads share them."""
    monkeypatch.setattr("tersor.runtime.kernels.conv.lower.cost_windows", lambda shape, width: -1.0)
    monkeypatch.setattr("tersor.runtime.orders.shared.WORTH_SHARING", -1.0)


def check(x: np.ndarray, w: Tensor, *, threads: int = 1, residual: bool = False, relu: bool = False, **attributes: Any) -> Row:
    """Compare with the reference, twice; the row of the plan that is the convolution."""
    bias = np.random.default_rng(9).standard_normal(w.dense().shape[0]).astype(np.float32)
    nodes = [Node("Conv", "conv", ("x", "w", "b"), ("c",), attributes)]
    (expected,) = operators()["Conv"](x, w.dense(), bias, **attributes)
    inputs = {"x": x}
    if residual:
        inputs["r"] = np.random.default_rng(8).standard_normal(expected.shape).astype(np.float32)
        nodes.append(Node("Add", "add", ("c", "r"), ("s",)))
        expected = expected + inputs["r"]
    if relu:
        nodes.append(Node("Relu", "relu", (nodes[-1].outputs[0],), ("y",)))
        expected = np.maximum(expected, 0)
    values = [Value(name, TensorType("float32", array.shape)) for name, array in inputs.items()]
    end = Value(nodes[-1].outputs[0], TensorType("float32", None))
    graph = Graph("g", tuple(values), (end,), tuple(nodes), {"w": w, "b": DenseTensor.of(bias)})
    with Model(graph, threads=threads) as model:
        for _ in range(2):
            np.testing.assert_allclose(model.run(inputs)[end.name], expected, rtol=1e-4, atol=1e-4)
        return next(model.plan().rows())


def arrays(n: int, channels: int, sizes: tuple[int, ...], m: int, kernel: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + channels + m)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((n, channels, *sizes), (m, channels, *kernel)))
    return x, w


@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 20),
    m=st.integers(1, 70),
    axes=st.lists(
        st.tuples(*(st.integers(1, most) for most in (12, 5, 3, 3)), st.integers(0, 3), st.integers(0, 3)),
        min_size=1,
        max_size=2,
    ),
    relu=st.booleans(),
    threads=st.sampled_from([1, 2]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_geometry(batch: int, channels: int, m: int, axes: list[tuple[int, ...]], relu: bool, threads: int) -> None:
    sizes, kernel, strides, dilations, before, after = zip(*axes, strict=True)
    outputs = [(s + b + a - d * (k - 1) - 1) // t + 1 for s, k, t, d, b, a in axes]
    assume(min(outputs) >= 1 and np.prod(outputs) <= MOST_OUTPUTS)
    assume(kernel != sizes or any(before))  # else it is fully connected
    x, w = arrays(batch, channels, sizes, m, kernel)
    how: dict[str, Any] = {"strides": strides, "dilations": dilations, "pads": (*before, *after)}
    row = check(x, DenseTensor.of(w), threads=threads, relu=relu, **how)
    assert row.kernel == "conv of windows, panels float32"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("sizes", "kernel"), [((2,), (3,)), ((2, 2), (3, 3))])
def test_one_output_takes_a_residual(sizes: tuple[int, ...], kernel: tuple[int, ...], threads: int) -> None:
    x, w = arrays(3, 60, sizes, 90, kernel)
    row = check(
        x, DenseTensor.of(w), threads=threads, residual=True, relu=True, pads=(1,) * (2 * len(sizes)), strides=(2,) * len(sizes)
    )
    assert row.kernel == "conv of windows, panels float32"
    assert "Add" in row.op


def test_several_outputs_take_none() -> None:
    x, w = arrays(1, 4, (4,), 5, (3,))
    row = check(x, DenseTensor.of(w), residual=True, pads=(1, 1))
    assert "windows" not in row.kernel


def test_shared_weights_are_looked_up(share: Callable[..., Tensor]) -> None:
    rng = np.random.default_rng(4)
    w = rng.choice(rng.standard_normal(200).astype(np.float32), (600, 200, 3))
    x = rng.standard_normal((2, 200, 3)).astype(np.float32)
    row = check(x, share(w, (0,), "rows", np.uint8, sparse=False), pads=(1, 1))
    assert row.kernel == "conv of windows, panels uint8"


def test_many_outputs_fill_vectors_well_enough() -> None:
    few = Shape2D(1, 8, 1, MOST_OUTPUTS, 8, 1, MOST_OUTPUTS, (1, 1), (1, 1), (1, 1), (0, 0), 1)
    more = Shape2D(1, 8, 1, MOST_OUTPUTS + 1, 8, 1, MOST_OUTPUTS + 1, (1, 1), (1, 1), (1, 1), (0, 0), 1)
    assert fits_windows(few, residual=False)
    assert not fits_windows(few, residual=True)
    assert not fits_windows(more, residual=False)


@pytest.mark.parametrize(("n", "channels", "m", "width"), [(3, 2, 90, 3), (2, 40, 3, 3), (3, 5, 7, 1), (1, 3, 60, 4)])
@pytest.mark.parametrize("threads", [1, 2])
def test_scratch_memory_is_enough(n: int, channels: int, m: int, width: int, threads: int) -> None:
    x, w = arrays(n, channels, (width, width), m, (2, 2))
    how: dict[str, Any] = {"pads": (1, 0, 1, 0), "strides": (2, 2)} if width > 1 else {"pads": (1, 1, 0, 0)}
    (want,) = operators()["Conv"](x, w, **how)
    types = (x.dtype, x.shape), (w.dtype, w.shape)
    node, tensors = Node("Conv", "c", ("x", "w"), ("y",), how), {1: DenseTensor.of(w)}
    kernel, y = lower_conv(Site(node, types, ((x.dtype, want.shape),), tensors, threads=threads)), np.full_like(want, np.nan)
    assert kernel is not None
    assert (kernel.name, kernel.weight_bytes >= w.nbytes) == ("conv of windows, panels float32", True)
    kernel.run([x], [y], aligned_bytes(kernel.scratch), Workers(threads))
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("side", "windows"), [(1, True), (2, True), (4, False)])
@pytest.mark.parametrize(("channels", "m"), [(512, 512), (128, 256)])
@pytest.mark.parametrize("n", [1, 4])
def test_vectors_of_sixteen_are_filled_by_planes_of_four_by_four(
    n: int, channels: int, m: int, side: int, windows: bool
) -> None:
    shape = Shape2D(N=n, C=channels, H=side, W=side, M=m, OH=side, OW=side, kernel=(3, 3), begin=(1, 1))
    dense = cost_dense(shape.lined, cut_dense(shape.lined, (32, 16), 1), 16)
    assert (cost_windows(shape, 16) < dense) == windows
