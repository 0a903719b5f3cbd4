"""Codebooks at the edge of what they may hold; the goldens have what lies beyond."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.codebooks import read_codebook
from tersor.format_spec.coding import LINEAR_FLAG, MAX_LEVEL, CodecId
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.varint import write_varint


@pytest.mark.parametrize("level", [MAX_LEVEL, -MAX_LEVEL])
def test_the_largest_and_the_least_level_are_allowed(level: int) -> None:
    record = TensorRecord("w", np.dtype("f4"), (1,), (0,), CodecId.SPARSE)
    stored = bytearray(np.array(0.5, "<f4").tobytes())
    write_varint(stored, 2 * level if level > 0 else -2 * level - 1)
    write_varint(stored, 1)
    codebook, after = read_codebook(record, bytes(stored), 0, 1, LINEAR_FLAG)
    assert (codebook.tolist(), after) == ([level / 2], len(stored))
