"""Products of quantised tensors: accumulated in int32, and rescaled to integers where the operator says so."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, check_shape, given, infers, rows_first
from .conv import Geometry
from .matmul import matmul_rows, matmul_shape
from .quantization import to_integers


def _centred(x: np.ndarray, zero_point: np.ndarray | None, axis: int | None = None) -> np.ndarray:
    """``x`` less its zero point, int32; a zero point with several elements runs along ``axis``."""
    if zero_point is None:
        return x.astype(np.int32)
    return x.astype(np.int32) - along(zero_point, x.ndim, axis).astype(np.int32)


def along(parameter: np.ndarray, rank: int, axis: int | None) -> np.ndarray:
    """A scale or zero point shaped to broadcast with a tensor of ``rank`` axes: one for all, or one an index of ``axis``."""
    if parameter.size == 1:
        return parameter.reshape(())
    if parameter.ndim > 1 or axis is None:
        return parameter
    return parameter.reshape(-1, *[1] * (rank - 1 - axis % rank))


_INT32 = np.dtype(np.int32)


def _matmul_types(types: Types, values: Values, **_: Any) -> Shaped:
    return _INT32, matmul_shape(given(types, 0)[1], given(types, 1)[1])


def _qlinear_matmul_types(types: Types, values: Values, **_: Any) -> Shaped:
    return given(types, 7)[0], matmul_shape(given(types, 0)[1], given(types, 3)[1])


def _conv_types(types: Types, values: Values, **attributes: Any) -> Shaped:
    return _INT32, Geometry(**attributes).output(given(types, 0)[1], given(types, 1)[1])


def _qlinear_conv_types(types: Types, values: Values, **attributes: Any) -> Shaped:
    w_shape = given(types, 3)[1]
    output = Geometry(**attributes).output(given(types, 0)[1], w_shape)
    check_shape("the bias", types, 8, w_shape[:1])
    return given(types, 7)[0], output


@operator("MatMulInteger", infer=infers(_matmul_types), weights={1: matmul_rows})
def matmul_integer(
    A: np.ndarray, B: np.ndarray, a_zero_point: np.ndarray | None = None, b_zero_point: np.ndarray | None = None
) -> np.ndarray:
    """``(A - a_zero_point) @ (B - b_zero_point)``, int32; zero points for all, for each row of ``A`` or column of ``B``."""
    return np.matmul(_centred(A, a_zero_point, max(0, A.ndim - 2)), _centred(B, b_zero_point, B.ndim - 1))


@operator("QLinearMatMul", infer=infers(_qlinear_matmul_types), weights={3: matmul_rows})
def qlinear_matmul(
    a: np.ndarray,
    a_scale: np.ndarray,
    a_zero_point: np.ndarray,
    b: np.ndarray,
    b_scale: np.ndarray,
    b_zero_point: np.ndarray,
    y_scale: np.ndarray,
    y_zero_point: np.ndarray,
) -> np.ndarray:
    """The product of two quantised stacks of matrices, quantised by ``y_scale`` and to the type of ``y_zero_point``."""
    sums = np.matmul(_centred(a, a_zero_point, max(0, a.ndim - 2)), _centred(b, b_zero_point, b.ndim - 1))
    scale = product_scale(a_scale, a.ndim, b_scale, b.ndim, y_scale, sums.ndim)
    return to_integers(sums * scale, along(y_zero_point, sums.ndim, max(0, sums.ndim - 2)), y_zero_point.dtype)


def product_scale(
    a_scale: np.ndarray, a_rank: int, b_scale: np.ndarray, b_rank: int, y_scale: np.ndarray, y_rank: int
) -> np.ndarray:
    """What the integer sums of a quantised product are multiplied by, in the scales' own type."""
    a, b = along(a_scale, a_rank, max(0, a_rank - 2)), along(b_scale, b_rank, b_rank - 1)
    return a * b / along(y_scale, y_rank, max(0, y_rank - 2))


@operator("ConvInteger", infer=infers(_conv_types), weights={1: rows_first}, family=Geometry)
def conv_integer(
    x: np.ndarray,
    w: np.ndarray,
    x_zero_point: np.ndarray | None = None,
    w_zero_point: np.ndarray | None = None,
    **family: Any,
) -> np.ndarray:
    """Convolution of integers (N, C, \\*spatial) by (M, C/group, \\*kernel) less their zero points: int32 (N, M, \\*output)."""
    return Geometry(**family).convolve(_centred(x, x_zero_point), _centred(w, w_zero_point, 0))


@operator("QLinearConv", infer=infers(_qlinear_conv_types), weights={3: rows_first}, family=Geometry)
def qlinear_conv(
    x: np.ndarray,
    x_scale: np.ndarray,
    x_zero_point: np.ndarray,
    w: np.ndarray,
    w_scale: np.ndarray,
    w_zero_point: np.ndarray,
    y_scale: np.ndarray,
    y_zero_point: np.ndarray,
    B: np.ndarray | None = None,
    **family: Any,
) -> np.ndarray:
    """Quantised convolution, the result quantised by ``y_scale``; ``B`` (M,) is int32 of scale ``x_scale * w_scale``."""
    sums = Geometry(**family).convolve(_centred(x, x_zero_point), _centred(w, w_zero_point, 0))
    if B is not None:
        sums += along(B, sums.ndim, 1)
    return to_integers(sums * (x_scale * along(w_scale, sums.ndim, 1) / y_scale), y_zero_point, y_zero_point.dtype)
