"""Reversing sequences of different lengths."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import like_input


@operator("ReverseSequence", infer=like_input)
def reverse_sequence(X: np.ndarray, sequence_lens: np.ndarray, *, batch_axis: int = 1, time_axis: int = 0) -> np.ndarray:
    """For each entry of ``batch_axis``, the first ``sequence_lens[entry]`` elements along ``time_axis`` reversed."""
    ordered = np.moveaxis(X, (batch_axis, time_axis), (0, 1)).copy()
    for entry, length in zip(ordered, sequence_lens, strict=True):
        entry[:length] = entry[:length][::-1].copy()
    return np.moveaxis(ordered, (0, 1), (batch_axis, time_axis))
