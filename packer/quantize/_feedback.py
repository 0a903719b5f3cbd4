"""The jitted pass of :mod:`.feedback`."""

from __future__ import annotations

import numpy as np

from ...runtime.kernels._jit import jit


@jit
def feed_back(
    values: np.ndarray,
    mask: np.ndarray,
    codebook: np.ndarray,
    thresholds: np.ndarray,
    feedback: float,
    errors: np.ndarray,
    coded: np.ndarray,
) -> None:
    """Write into ``coded`` the codebook value of each entry of a (majors, minor length) matrix where ``mask`` is true.

    ``codebook`` (k,) float32 ascending, ``thresholds`` (k - 1,) float64 between its values. ``errors`` float64 has one element
    when a major is a row of weights, and one for each minor when a minor is.
    """
    for major in range(values.shape[0]):
        if len(errors) == 1:
            errors[0] = 0.0
        for minor in range(values.shape[1]):
            if mask[major, minor]:
                row = 0 if len(errors) == 1 else minor
                wanted = values[major, minor] + feedback * errors[row]
                code = np.searchsorted(thresholds, wanted)
                coded[major, minor] = codebook[code]
                errors[row] = wanted - codebook[code] if 0 < code < len(codebook) - 1 else 0.0
