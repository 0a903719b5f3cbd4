"""``numpy.pad`` for a list of (before, after) pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._room import check_room


def pad_axes(x: np.ndarray, widths: Sequence[tuple[int, int]], **how: Any) -> np.ndarray:
    """``x`` with ``widths[a]`` elements added before and after on axis ``a``; ``how`` are the keywords of ``numpy.pad``.

    Raises:
        LimitError: that takes more memory than a reference may.
    """
    check_room([size + sum(width) for size, width in zip(x.shape, widths, strict=True)], x.itemsize)
    return np.pad(x, np.array(widths, np.int64).reshape(x.ndim, 2), **how)
