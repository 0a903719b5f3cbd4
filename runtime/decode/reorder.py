"""Change the scan order of a shared tensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...format_spec.tensors import Order, SharedTensor
from ..jit.jitted import jit


def reorder(shared: SharedTensor, order: Order) -> SharedTensor:
    """The same tensor listed in ``order``; ``shared`` itself when that is its order already."""
    if shared.order == order:
        return shared
    majors, minor_length = shared.majors, shared.minor_length
    if shared.starts is None or shared.minors is None:
        codes = np.ascontiguousarray(shared.codes.reshape(majors, minor_length).T).reshape(-1)
        return replace(shared, order=order, codes=codes)
    starts, minors = np.empty(minor_length + 1, np.int64), np.empty_like(shared.minors)
    codes = np.empty_like(shared.codes)
    transpose_entries(shared.starts, shared.minors, shared.codes, starts, minors, codes)
    return replace(shared, order=order, starts=starts, minors=minors, codes=codes)


@jit
def transpose_entries(
    starts: np.ndarray,
    minors: np.ndarray,
    codes: np.ndarray,
    new_starts: np.ndarray,
    new_minors: np.ndarray,
    new_codes: np.ndarray,
) -> None:
    """Counting sort of the entries by minor index; entries of one minor stay in ascending order of their major.

    ``starts`` (majors + 1,), ``minors`` and ``codes`` (nonzeros,) as in a :class:`SharedTensor`; ``new_starts`` (minor
    length + 1,), ``new_minors`` and ``new_codes`` are written. Every minor must be below the minor length.
    """
    new_starts[:] = 0
    for entry in range(len(minors)):
        new_starts[minors[entry] + 1] += 1
    for minor in range(1, len(new_starts)):
        new_starts[minor] += new_starts[minor - 1]
    places = new_starts[:-1].copy()
    for major in range(len(starts) - 1):
        for entry in range(starts[major], starts[major + 1]):
            place = places[minors[entry]]
            places[minors[entry]] = place + 1
            new_minors[place] = major
            new_codes[place] = codes[entry]
