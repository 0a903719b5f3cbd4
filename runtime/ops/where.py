"""Where."""

from __future__ import annotations

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, broadcast, given, infers


def _types(types: Types, values: Values) -> Shaped:
    shapes = [given(types, i)[1] for i in range(3)]
    return given(types, 1)[0], broadcast(*shapes)


@operator("Where", infer=infers(_types))
def where(condition: np.ndarray, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """``X`` where ``condition`` (boolean) holds, else ``Y``; the three broadcast."""
    return np.where(condition, X, Y)
