"""The entry table of a payload that is too short for it, or not."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.errors import FormatError
from tersor.runtime.decode._entries import read_block_entries
from tersor.runtime.decode.jitted.entries import SHARED


@pytest.mark.parametrize("at", [0, 2])
def test_a_block_takes_a_byte_at_least(at: int) -> None:
    data = np.zeros(at + 3, np.uint8)
    entries = read_block_entries(SHARED, data, at, (3, 1), 0, 1)
    np.testing.assert_array_equal(entries.bounds, [at + 3] * 4)
    np.testing.assert_array_equal(entries.ends, [0, 1, 2, 3])
    with pytest.raises(FormatError, match="too short for the entries of 4 blocks"):
        read_block_entries(SHARED, data, at, (4, 1), 0, 1)


def test_no_room_is_taken_for_more_blocks_than_there_are_bytes() -> None:
    with pytest.raises(FormatError, match="too short"):
        read_block_entries(SHARED, np.zeros(99, np.uint8), 0, (1 << 50, 1), 0, 1)
