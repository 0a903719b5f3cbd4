"""What a pool over planes does, in one dimension or two: sizes, and the rows and columns of its windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...ops import Window
from ...ops.pooling import Sliding
from ..site import Site


@dataclass(frozen=True, eq=False)
class Pooling:
    """The maximum, or the ``average``, over windows of ``planes`` of size ``source`` (H, W); results are of size ``target``.

    ``rows`` (OH, 2) int64 are the first input row of each window and how many there are, of ``height`` and ``dilation`` apart.
    ``columns`` are those of a window, their stride, dilation and padding. Sums are divided by the ``divisors`` of rows and
    columns, float32, which only averages have; ``whole`` says that the only window of a plane is all of it.
    """

    planes: int
    source: tuple[int, int]
    target: tuple[int, int]
    rows: np.ndarray
    dilation: int
    columns: tuple[int, int, int, int]
    average: bool
    divisors: tuple[np.ndarray, ...]
    height: int
    whole: bool

    @property
    def halves(self) -> bool:
        """Whether windows are 2 x 2, beside one another, from the first row and column on, and none reaches over an edge."""
        first, (H, W) = np.arange(len(self.rows)), self.source
        inside = self.target == (H // 2, W // 2) and self.columns == (2, 2, 1, 0) and self.dilation == 1
        return inside and bool(np.all(self.rows[:, 0] == 2 * first) and np.all(self.rows[:, 1] == 2))

    @property
    def joined(self) -> Pooling:
        """The same pool, with the rows of a plane one behind the other as a single one, where their windows lie so, too."""
        (H, W), (OH, OW), first = self.source, self.target, np.arange(len(self.rows))
        taps, stride, *others = self.columns
        beside = taps == stride and others == [1, 0] and OW * stride == W and OH == H > 1
        if self.average or not beside or not np.array_equal(self.rows, np.stack([first, np.ones_like(first)], axis=1)):
            return self
        return replace(self, source=(1, H * W), target=(1, OH * OW), rows=self.rows[:1])

    @property
    def name(self) -> str:
        """What is computed."""
        return "average" if self.average else "max"


def pooling_of(site: Site) -> Pooling | None:
    """A float32 MaxPool (without indices) or AveragePool in one or two dimensions; ``None`` for others."""
    node, x, y = site.node, site.type(0), site.outputs[0]
    if x is None or len(site.outputs) != 1 or not site.all_float32 or len(x[1]) not in (3, 4) or 0 in (*x[1], *y[1]):
        return None  # indices alone are wanted, now and then
    attributes: Mapping[str, Any] = node.attributes
    seen = Sliding.of(attributes).window(x[1], attributes["kernel_shape"])
    one, zero = (1,) * (4 - len(x[1])), (0,) * (4 - len(x[1]))
    average, divisors = node.op_type == "AveragePool", [np.empty(0, np.float32)] * 2
    if average:
        counts = _divisors(seen, x[1][2:], bool(attributes.get("count_include_pad", 0)))
        divisors = [np.ones(1, np.float32)] * len(one) + counts
    columns = (seen.kernel[-1], seen.strides[-1], seen.dilations[-1], seen.begin[-1])
    height, stride, dilation = ((*one, *axes)[0] for axes in (seen.kernel, seen.strides, seen.dilations))
    source, target = (*one, *x[1][2:]), (*one, *seen.output)
    rows = _rows(source[0], target[0], height, stride, dilation, (*zero, *seen.begin)[0])
    # With ceil_mode a dilated window may be as large as the input and still reach over it: its extent tells.
    whole = seen.kernel == seen.extent == x[1][2:] and set(seen.output) == {1} and not any((*seen.begin, *seen.end))
    sizes = (source[0], source[1]), (target[0], target[1])
    return Pooling(prod(x[1][:2]), *sizes, rows, dilation, columns, average, tuple(divisors), height, whole)


def _rows(size: int, outputs: int, kernel: int, stride: int, dilation: int, top: int) -> np.ndarray:
    """(outputs, 2) int64: the first input row of each window, and how many of its rows there are."""
    begin = np.arange(outputs, dtype=np.int64) * stride - top
    skipped = np.maximum(0, (dilation - 1 - begin) // dilation)
    return np.stack([begin + skipped * dilation, np.minimum(kernel, (size - 1 - begin) // dilation + 1) - skipped], axis=1)


def _divisors(seen: Window, spatial: tuple[int, ...], include_pad: bool) -> list[np.ndarray]:
    """For each axis, how many positions of each window count in an average, float32; at least 1."""
    found = []
    for axis, size in enumerate(spatial):
        begin, dilation = np.arange(seen.output[axis]) * seen.strides[axis] - seen.begin[axis], seen.dilations[axis]
        low, high = (-seen.begin[axis], size + seen.end[axis]) if include_pad else (0, size)
        first, end = (np.clip(-((begin - bound) // dilation), 0, seen.kernel[axis]) for bound in (low, high))
        found.append(np.maximum(end - first, 1).astype(np.float32))
    return found
