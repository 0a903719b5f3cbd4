"""The inverse of maximum pooling."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ._padding import pad_axes
from ._registry import operator
from ._room import check_room
from ._window import per_axis


@operator("MaxUnpool", shape_inputs=(2,))
def max_unpool(
    X: np.ndarray,
    indices: np.ndarray,
    output_shape: np.ndarray | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> np.ndarray:
    """Zeros with each element of ``X`` (N, C, \\*spatial) at its place in the flattened, unpooled tensor.

    ``output_shape`` (N, C, \\*output) may be larger than what was pooled; the rest stays zero.
    """
    rank = X.ndim - 2
    steps, both = per_axis("strides", strides, rank, 1, 1), per_axis("pads", pads, 2 * rank, 0, 0)
    spans = zip(X.shape[2:], kernel_shape, steps, both[:rank], both[rank:], strict=True)
    pooled = (*X.shape[:2], *((n - 1) * s + k - begin - end for n, k, s, begin, end in spans))
    check_room(pooled, X.itemsize)
    flat = np.zeros(prod(pooled), X.dtype)
    flat[indices.reshape(-1)] = X.reshape(-1)
    result = flat.reshape(pooled)
    if output_shape is None:
        return result
    return pad_axes(result, [(0, int(wanted) - n) for wanted, n in zip(output_shape, pooled, strict=True)])
