"""What kernels of convolutions know of a shape: int64 numbers, in an array that they are given by its address."""

from __future__ import annotations

import numpy as np

from .layout import Shape2D

C, H, W, M, OH, OW, STRIDE_H, STRIDE_W, TOP, LEFT, KERNEL_H, KERNEL_W, DILATION_H, DILATION_W, PHASE, OWN = range(16)
"""Numbers of every convolution, see :class:`~tersor.runtime.kernels.conv.layout.Shape2D`; elements of a phase of a row, see
:func:`~tersor.runtime.kernels.conv.pack.pack_image`, 0 where no image is made. From :data:`OWN` on, those of one kind of it."""


def geometry_of(shape: Shape2D, phase: int, *own: int) -> np.ndarray:
    """(OWN + own,) int64: the numbers by their places."""
    s = shape
    sizes = (s.C, s.H, s.W, s.M, s.OH, s.OW, *s.strides, *s.begin, *s.kernel, *s.dilations)
    return np.array([*sizes, phase, *own], np.int64)
