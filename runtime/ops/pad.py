"""Padding and cropping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...format_spec.errors import PlanError
from ._padding import pad_axes
from ._registry import Shaped, lowering, operator
from ._shapes import Types, Values, constant, given, infers, positive_axes, required

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site

MODES = ("constant", "reflect", "edge", "wrap")


def _widths(rank: int, pads: np.ndarray, axes: np.ndarray | None) -> list[tuple[int, int]]:
    """(before, after) of every axis; negative numbers crop."""
    along = positive_axes(axes, rank)
    if pads.size != 2 * len(along):
        raise PlanError(f"{len(along)} padded axes need {2 * len(along)} numbers, not {pads.size}")
    widths = [(0, 0)] * rank
    for axis, before, after in zip(along, pads[: len(along)], pads[len(along) :], strict=True):
        widths[axis] = (int(before), int(after))
    return widths


def _padded(size: int, before: int, after: int) -> int:
    """The new size of an axis.

    Raises:
        PlanError: more is cropped than there is.
    """
    if size + before + after < 0:
        raise PlanError(f"the pads {before} and {after} crop more than an axis of {size} has")
    return size + before + after


def _parts(size: int, before: int, after: int) -> tuple[slice, tuple[int, int]]:
    """What stays of an axis, and (before, after) of what is added to it: whoever crops more than there is takes from that."""
    _padded(size, before, after)
    begin, end = max(0, -before), size - max(0, -after)
    added = max(0, before) + min(0, end), max(0, after) - max(0, begin - size)
    return slice(min(begin, size), max(end, 0)), added


def _types(types: Types, values: Values, **_: Any) -> Shaped:
    dtype, shape = given(types, 0)
    widths = _widths(len(shape), required(values, 1), constant(values, 3))
    return dtype, tuple(_padded(size, *width) for size, width in zip(shape, widths, strict=True))


@operator("Pad", infer=infers(_types), shape_inputs=(1, 3), allowed={"mode": MODES})
def pad(
    data: np.ndarray,
    pads: np.ndarray,
    constant_value: np.ndarray | None = None,
    axes: np.ndarray | None = None,
    *,
    mode: Literal["constant", "reflect", "edge", "wrap"] = "constant",
) -> np.ndarray:
    """Add ``pads`` (befores..., afters...) around ``axes`` (default: all); negative ones crop.

    Modes other than constant fill from the input: mirrored without its edge, its edge, or from the other end.
    """
    parts = [_parts(size, *width) for size, width in zip(data.shape, _widths(data.ndim, pads, axes), strict=True)]
    cropped, added = data[tuple(stays for stays, _ in parts)], [widths for _, widths in parts]
    if mode == "constant":
        filler = data.dtype.type(0) if constant_value is None or constant_value.size == 0 else constant_value.reshape(())
        return pad_axes(cropped, added, constant_values=filler)
    return pad_axes(cropped, added, mode=mode)


@lowering("Pad", kernel="copy", elements="all")
def lower(site: Site) -> Kernel | None:
    """Copy what stays, and what is around it, where everything but the input is constant."""
    from ..kernels.strided.moves import kernel_of, mirror_moves, pad_moves

    x, pads, value, axes = site.type(0), site.array(1), site.array(2), site.array(3)
    known = all(site.type(index) is None or index in site.constants for index in (1, 2, 3))
    if x is None or not x[1] or pads is None or not known:
        return None
    parts = [_parts(size, *width) for size, width in zip(x[1], _widths(len(x[1]), pads, axes), strict=True)]
    stays, added = (list(column) for column in zip(*parts, strict=True))
    mode = site.node.attribute("mode", "constant")
    if mode == "constant":
        filler = np.zeros((), x[0]) if value is None or value.size == 0 else value.reshape(()).astype(x[0])
        return kernel_of(site, pad_moves(x[1], stays, added, filler), (0,))
    moves = mirror_moves(x[1], stays, added, mode)
    return None if moves is None else kernel_of(site, moves, (0,))
