"""A part of a large tensor that stands for all of it when encodings are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...format_spec.tensors import SharedTensor
from ._forms import fixed

NONZEROS, POSITIONS = 1 << 16, 1 << 18
"""Nonzeros and positions of a sample, about: whichever are fewer majors."""

RUNS = 8
"""Runs of majors that a sample has."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A tensor whose sequences are about one part in ``scale`` of those that it stands for."""

    tensor: SharedTensor
    scale: float

    def scaled(self, counts: np.ndarray) -> np.ndarray:
        """Counts of the sample as they would be in the whole, int64."""
        return np.rint(counts * self.scale).astype(np.int64)


def sample_of(tensor: SharedTensor) -> Sample:
    """Some runs of majors of a tensor that leaves its zeros out; the tensor itself when it is small."""
    if tensor.starts is None or tensor.minors is None:
        raise ValueError("the tensor leaves nothing out")
    share = min(NONZEROS / max(len(tensor.codes), 1), POSITIONS / tensor.size)
    if share >= 1:
        return Sample(tensor, 1)
    run = max(1, round(tensor.majors * share / RUNS))
    firsts = np.unique(np.linspace(0, tensor.majors - run, RUNS).astype(np.int64))
    spans = [(int(tensor.starts[first]), int(tensor.starts[first + run])) for first in firsts]
    counts = np.concatenate([np.diff(tensor.starts[first : first + run + 1]) for first in firsts])
    if not counts.any():
        return Sample(tensor, 1)
    starts = fixed(np.concatenate([[0], np.cumsum(counts)]), np.int64)
    minors = fixed(np.concatenate([tensor.minors[a:b] for a, b in spans]), np.uint32)
    codes = fixed(np.concatenate([tensor.codes[a:b] for a, b in spans]), tensor.codes.dtype.type)
    shape = (len(counts), tensor.minor_length)
    part = replace(tensor, shape=shape, row_axes=(0,), order="rows", starts=starts, minors=minors, codes=codes)
    return Sample(part, len(tensor.codes) / len(codes))
