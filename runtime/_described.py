"""Arrays in messages."""

from __future__ import annotations

import numpy as np


def described(array: np.ndarray) -> str:
    """Element type and shape, as a model's own types are printed, and the byte order where it is not this machine's."""
    order = "" if array.dtype.isnative else " in foreign byte order"
    return f"{array.dtype.name}{list(array.shape)}{order}"
