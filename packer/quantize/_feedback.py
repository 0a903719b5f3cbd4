"""The jitted pass of :mod:`.feedback`."""

from __future__ import annotations

import numpy as np

from ...runtime.jit.jitted import jit


@jit
def feed_back(
    values: np.ndarray,
    mask: np.ndarray,
    codebook: np.ndarray,
    thresholds: np.ndarray,
    feedback: float,
    by_rows: bool,
    coded: np.ndarray,
) -> None:
    """Write into ``coded`` the codebook value of each entry of a (majors, minor length) matrix where ``mask`` is true.

    ``codebook`` (k,) float32 ascending, ``thresholds`` (k - 1,) float64 between its values. ``by_rows``: a major is a
    row of weights; otherwise a minor is.
    """
    errors = np.zeros(1 if by_rows else values.shape[1])
    for major in range(values.shape[0]):
        if by_rows:
            errors[0] = 0.0
        for minor in range(values.shape[1]):
            if mask[major, minor]:
                row = 0 if by_rows else minor
                wanted = values[major, minor] + feedback * errors[row]
                code = np.searchsorted(thresholds, wanted)
                coded[major, minor] = codebook[code]
                errors[row] = wanted - codebook[code] if 0 < code < len(codebook) - 1 else 0.0
