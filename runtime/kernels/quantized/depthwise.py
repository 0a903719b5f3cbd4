"""Convolutions of 8-bit images whose channels do not mix: each kernel position meets a whole plane at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np

from ...ops import Window
from ...orders.workers import Workers
from .arithmetic import slide
from .matmul import rescaled


@dataclass(frozen=True, eq=False)
class Depthwise:
    """``weights`` (C, M/C, taps) int16, centred, and the window that they slide.

    With strides, a plane is first taken apart into one for each remainder (*phase*) of a position by the strides, of those that
    the kernel meets. The output at ``n`` of the flattened plane then meets, at each kernel position, the input at ``n`` plus an
    offset, the same everywhere.
    """

    weights: np.ndarray
    window: Window
    rescales: bool

    @cached_property
    def pitches(self) -> tuple[int, ...]:
        """Size of the planes of a phase."""
        seen = self.window
        return tuple(-(-reach // stride) for reach, stride in zip(seen.reach, seen.strides, strict=True))

    @cached_property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """The remainders of kernel positions by the stride, of each axis."""
        seen = zip(self.window.kernel, self.window.dilations, self.window.strides, strict=True)
        return tuple(tuple(sorted({p * d % s for p in range(k)})) for k, d, s in seen)

    @cached_property
    def offsets(self) -> np.ndarray:
        """(taps,) int64: where in the planes of a channel a kernel position meets the first output's input."""
        seen = zip(self.window.kernel, self.window.dilations, self.window.strides, strict=True)
        places, remainders = zip(*(np.divmod(np.arange(k) * d, s) for k, d, s in seen), strict=True)
        numbers = [np.searchsorted(known, found) for known, found in zip(self.phases, remainders, strict=True)]
        plane = np.ravel_multi_index(np.ix_(*numbers), [*map(len, self.phases)])
        return (plane * prod(self.pitches) + np.ravel_multi_index(np.ix_(*places), self.pitches)).ravel()

    def run(self, given: Mapping[int, np.ndarray], output: np.ndarray, workers: Workers) -> None:
        """Fill ``output`` (N, M, \\*spatial), channels spread over the threads; ``given``: inputs by number."""
        zero = given[2].reshape(()).astype(np.int16) if 2 in given else np.int16(0)
        channels, outputs, _ = self.weights.shape
        parts = min(workers.count, channels)
        cuts = [channels * part // parts for part in range(parts + 1)]
        for image, result in zip(given[0], output, strict=True):

            def work(part: int, image: np.ndarray = image, result: np.ndarray = result) -> None:
                first, last = cuts[part], cuts[part + 1]
                rows = slice(first * outputs, last * outputs)
                planes = self._phases(image[first:last], zero)
                sums = self._sums(planes, self.weights[first:last])
                np.copyto(result[rows], rescaled(given, sums, rows, result.dtype) if self.rescales else sums)

            workers.each(work, parts)

    def _phases(self, image: np.ndarray, zero: np.ndarray | np.int16) -> np.ndarray:
        """(C, phases * plane) int16 of ``image`` (C, \\*spatial) less its zero point, zeros where the padding is."""
        seen = self.window
        planes = np.zeros((len(image), prod(map(len, self.phases)), *self.pitches), np.int16)
        for number, phase in enumerate(product(*self.phases)):
            source, target = [slice(None)], [slice(None)]
            sizes = zip(phase, seen.strides, seen.begin, image.shape[1:], self.pitches, strict=True)
            for remainder, stride, begin, size, pitch in sizes:
                skipped = max(0, -(-(begin - remainder) // stride))
                first = remainder + skipped * stride - begin
                count = max(0, min(pitch - skipped, -(-(size - first) // stride)))
                source.append(slice(first, first + count * stride, stride))
                target.append(slice(skipped, skipped + count))
            np.subtract(image[tuple(source)], zero, out=planes[:, number][tuple(target)], dtype=np.int16)
        return planes.reshape(len(image), -1)

    def _sums(self, planes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(C * M/C, \\*output) int32, contiguous."""
        output, pitches = self.window.output, self.pitches
        last = int(np.ravel_multi_index([size - 1 for size in output], pitches))
        sums = np.empty((weights.shape[0] * weights.shape[1], prod(pitches)), np.int32)
        slide(planes, self.offsets, weights.reshape(len(sums), -1), last + 1, sums)
        return np.ascontiguousarray(sums.reshape(len(sums), *pitches)[(..., *map(slice, output))])
