"""The sliding window of convolutions and poolings: its output size, its padding, and the views it takes of an array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ...format_spec.errors import PlanError
from ._padding import pad_axes
from ._shapes import Shape


@dataclass(frozen=True)
class Window:
    """A window over the spatial axes, padding resolved; every field has one number a spatial axis.

    ``begin`` and ``end`` are the padding that counts as part of the input. With ceil mode the last window may reach
    beyond it; :meth:`pad` adds what is missing.
    """

    kernel: Shape
    strides: Shape
    dilations: Shape
    begin: Shape
    end: Shape
    output: Shape

    @property
    def extent(self) -> Shape:
        """Size of the dilated kernel."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def reach(self) -> Shape:
        """Length, from the start of the padding, up to where the last window ends."""
        spans = zip(self.output, self.strides, self.extent, strict=True)
        return tuple(max(0, (o - 1) * s + e) for o, s, e in spans)

    def pad(self, x: np.ndarray, value: float | np.generic = 0) -> np.ndarray:
        """``x`` (..., \\*spatial) with its padding, and with as much more as the last window reads."""
        spatial = x.shape[x.ndim - len(self.kernel) :]
        widths = [(0, 0)] * (x.ndim - len(spatial))
        for size, begin, end, reach in zip(spatial, self.begin, self.end, self.reach, strict=True):
            widths.append((begin, max(end, reach - begin - size)))
        return pad_axes(x, widths, constant_values=value)

    def views(self, padded: np.ndarray) -> Iterator[tuple[Shape, np.ndarray]]:
        """For each position in the kernel, the elements (..., \\*output) of ``padded`` that it meets: a writable view."""
        for position in np.ndindex(*self.kernel):
            starts = [p * d for p, d in zip(position, self.dilations, strict=True)]
            spans = zip(starts, self.output, self.strides, strict=True)
            yield position, padded[(..., *(slice(a, a + max(0, (o - 1) * s + 1), s) for a, o, s in spans))]

    def sums(self, padded: np.ndarray) -> np.ndarray:
        """The sum of each window of ``padded``: (..., \\*output)."""
        return reduce(np.add, (view for _, view in self.views(padded)))


MOST = (1 << 31) - 1
"""The largest number of an attribute or a padding: places that kernels compute from several of them stay within 64 bits."""


def per_axis(what: str, given: Sequence[int] | None, count: int, default: int, least: int) -> Shape:
    """An attribute with ``count`` integers from ``least`` to :data:`MOST`; ``default`` for each when it is absent.

    Raises:
        PlanError: it has another length, or a number out of range.
    """
    found = tuple(given) if given else (default,) * count
    if len(found) != count or min(found, default=least) < least:
        raise PlanError(f"{what} must be {count} integers of at least {least}, not {found}")
    if max(found, default=least) > MOST:
        raise PlanError(f"{what} must be {count} integers of at most {MOST:,}, not {found}")
    return found


def window(
    spatial: Shape,
    kernel: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
) -> Window:
    """Resolve ONNX's attributes for an input of size ``spatial``.

    ``pads`` is (begins..., ends...) and is ignored unless ``auto_pad`` is NOTSET. With ``ceil_mode`` the output size is
    rounded up, but a window that would start in the padding at the end is dropped.

    Raises:
        PlanError: an attribute has the wrong length or range, or no window fits the padded input.
    """
    rank = len(spatial)
    kernel = per_axis("kernel_shape", kernel, rank, 1, 1)
    strides = per_axis("strides", strides, rank, 1, 1)
    dilations = per_axis("dilations", dilations, rank, 1, 1)
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return _same(spatial, kernel, strides, dilations, extent, upper=auto_pad == "SAME_UPPER")
    if auto_pad not in ("NOTSET", "VALID"):
        raise PlanError(f"auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, not {auto_pad!r}")
    both = per_axis("pads", pads if auto_pad == "NOTSET" else None, 2 * rank, 0, 0)
    begin, end = both[:rank], both[rank:]
    output = tuple(map(_output_size, spatial, begin, end, extent, strides, [bool(ceil_mode)] * rank))
    return Window(kernel, strides, dilations, begin, end, output)


def _same(spatial: Shape, kernel: Shape, strides: Shape, dilations: Shape, extent: Shape, *, upper: bool) -> Window:
    output = tuple(-(-n // s) for n, s in zip(spatial, strides, strict=True))
    needed = [max(0, (o - 1) * s + e - n) for o, s, e, n in zip(output, strides, extent, spatial, strict=True)]
    smaller, larger = tuple(n // 2 for n in needed), tuple(n - n // 2 for n in needed)
    if max(larger, default=0) > MOST:
        raise PlanError(f"windows of {extent} want a padding of {larger}, which may be {MOST:,} at most")
    begin, end = (smaller, larger) if upper else (larger, smaller)
    return Window(kernel, strides, dilations, begin, end, output)


def _output_size(size: int, begin: int, end: int, extent: int, stride: int, ceil: bool) -> int:
    free = size + begin + end - extent
    output = (-(-free // stride) if ceil else free // stride) + 1
    if output < 1:
        raise PlanError(f"a window of {extent} does not fit an input of {size} with padding {begin} and {end}")
    return output - 1 if ceil and (output - 1) * stride >= size + begin else output
