"""The transforms of Winograd's F(4 x 4, 3 x 3) on vectors: one lane is one tile of an image, or one kernel.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (CVPR 2016): 4 x 4 outputs take 6 x 6 products of transformed
inputs and weights, where the definition takes 16 x 9. In one dimension, inputs and weights are polynomials that are multiplied
by their values at the points 0, -NEAR, NEAR, -FAR, FAR and infinity. The usual points, 1 and 2, lose twice as many digits as
these, which leave errors of twice those of a plain sum. Two points of opposite sign share most of their arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from ....emit.vector import F32, I32, I64, fma, load_vector, store_vector

OUTPUTS, TAPS, POINTS = 4, 3, 6
"""In one dimension: outputs of a tile, weights of a kernel, products."""

PRODUCTS = POINTS * POINTS
"""Products of a tile and a kernel."""

NEAR, FAR = 5 / 8, 3 / 2
"""Points whose squares are exact: the error was least about here (C = 128, rectified inputs, 16 pairs of points tried)."""

_NEAR2, _FAR2 = NEAR**2, FAR**2
_AT_NEAR, _AT_FAR = 2 * _NEAR2 * (_NEAR2 - _FAR2), 2 * _FAR2 * (_FAR2 - _NEAR2)
"""Products of a point's distances to the others."""


class Vectors:
    """Emits arithmetic on vectors of ``lanes`` float32, which lie anywhere in memory."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.b, self.lanes, self.type = builder, lanes, ir.VectorType(F32, lanes)

    def inputs(self, d: Sequence[Any]) -> list[Any]:
        """Six inputs transformed."""
        both, product = _NEAR2 + _FAR2, _NEAR2 * _FAR2
        zero = self._plus(d[0], product, self._plus(d[2], -both, d[4]))
        infinity = self._plus(d[1], product, self._plus(d[3], -both, d[5]))
        near = self._pair(self._plus(d[2], -_FAR2, d[4]), NEAR, self._plus(d[1], -_FAR2, d[3]))
        far = self._pair(self._plus(d[2], -_NEAR2, d[4]), FAR, self._plus(d[1], -_NEAR2, d[3]))
        return [zero, *near, *far, infinity]

    def weights(self, g: Sequence[Any]) -> list[Any]:
        """Three weights transformed."""

        def at(point: float, scale: float) -> list[Any]:
            even = self._plus(g[2], point**2 / scale, self._times(g[0], 1 / scale))
            return self._pair(even, point / scale, g[1])

        return [self._times(g[0], 1 / (_NEAR2 * _FAR2)), *at(NEAR, _AT_NEAR), *at(FAR, _AT_FAR), g[2]]

    def outputs(self, m: Sequence[Any]) -> list[Any]:
        """Six products transformed back to four outputs.

        Products that are multiples, by points, of these would save two of twelve operations, but not have factors that are
        exact: VGG-19 loses a factor of 2.3 by that.
        """
        b = self.b
        near, near_odd = b.fadd(m[1], m[2]), b.fsub(m[1], m[2])
        far, far_odd = b.fadd(m[3], m[4]), b.fsub(m[3], m[4])
        return [
            b.fadd(m[0], b.fadd(near, far)),
            self._plus(near_odd, NEAR, self._times(far_odd, FAR)),
            self._plus(near, _NEAR2, self._times(far, _FAR2)),
            self._plus(near_odd, NEAR**3, self._plus(far_odd, FAR**3, m[5])),
        ]

    def _pair(self, even: Any, point: float, odd: Any) -> list[Any]:
        """A polynomial's values at ``point`` and ``-point``."""
        return [self._plus(odd, point, even), self._plus(odd, -point, even)]

    def _times(self, value: Any, factor: float) -> Any:
        return self.b.fmul(value, self._number(factor))

    def _plus(self, value: Any, factor: float, other: Any) -> Any:
        """``value * factor + other``, rounded once."""
        return fma(self.b, value, self._number(factor), other)

    def _number(self, value: float) -> Any:
        return ir.Constant(self.type, [value] * self.lanes)

    def load(self, place: Any, at: Any) -> Any:
        """The vector ``at`` (a number or an i64) elements after a pointer."""
        return load_vector(self.b, self._at(place, at), self.type)

    def store(self, value: Any, place: Any, at: Any) -> None:
        """Write one there."""
        store_vector(self.b, value, self._at(place, at))

    def _at(self, place: Any, at: Any) -> Any:
        return self.b.gep(place, [at if isinstance(at, ir.Value) else ir.Constant(I64, at)])

    def halved(self, left: Any, right: Any) -> list[Any]:
        """Of two consecutive vectors: those of every second element, from the first and second on."""
        return [self._picked(left, right, range(k, 2 * self.lanes, 2)) for k in range(2)]

    def parted(self, parts: Sequence[Any]) -> list[Any]:
        """Of four consecutive vectors: those of every fourth element, from the first, second, third and fourth on."""
        (even, odd), (evens, odds) = self.halved(*parts[:2]), self.halved(*parts[2:])
        first, third = self.halved(even, evens)
        second, fourth = self.halved(odd, odds)
        return [first, second, third, fourth]

    def joined(self, parts: Sequence[Any]) -> list[Any]:
        """The opposite of :meth:`parted`."""
        halves = [self.alternated(parts[k], parts[k + 2]) for k in range(2)]
        return [vector for pair in zip(*halves, strict=True) for vector in self.alternated(*pair)]

    def moved_up(self, value: Any, last: Any) -> Any:
        """Each lane's value in the lane before, and the scalar ``last`` in the last one."""
        moved = self._picked(value, value, [*range(1, self.lanes), 0])
        return self.b.insert_element(moved, last, ir.Constant(I32, self.lanes - 1))

    def alternated(self, left: Any, right: Any) -> list[Any]:
        """The two vectors of the elements of ``left`` and ``right`` in turns."""
        half = self.lanes // 2
        return [
            self._picked(left, right, [i + side * self.lanes for i in range(first, first + half) for side in (0, 1)])
            for first in (0, half)
        ]

    def _picked(self, left: Any, right: Any, numbers: Sequence[int]) -> Any:
        """The elements that have these numbers in ``left`` followed by ``right``."""
        return self.b.shuffle_vector(left, right, ir.Constant(ir.VectorType(I32, self.lanes), list(numbers)))
