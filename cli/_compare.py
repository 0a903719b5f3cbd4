"""How far outputs are from those of another engine."""

from __future__ import annotations

import numpy as np


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest magnitude of ``expected``. What both have does not differ, infinity and NaN
    included; what only one of them has of these differs infinitely."""
    got, want = found.astype(np.float64), expected.astype(np.float64)
    others = ~((got == want) | (np.isnan(got) & np.isnan(want)))
    if not others.any():
        return 0.0
    finite = np.isfinite(want)
    if not (finite & np.isfinite(got))[others].all():
        return float("inf")
    largest, difference = np.abs(want[finite]).max(), np.abs(want[others] - got[others]).max()
    return float(difference / largest) if largest else float(difference)
