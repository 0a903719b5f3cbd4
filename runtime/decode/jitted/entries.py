"""Jitted reading of the entry table: counts and substream lengths of every block."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit

SHARED, SPARSE, PAPER, GROUPED, SIGNED = range(5)
"""Kinds of coded payloads, as decoders know them; the last is sparse with signs of zeros."""

SHORT = 1
"""Status: the data ends inside the entry table."""

INTEGER = 2
"""Status: an integer is not in its shortest form, or too large."""

COUNTS = 3
"""Status: a block's nonzeros and gaps do not fit its positions."""

LENGTH = 4
"""Status: a substream is longer than the payload."""


@jit
def _read_integer(data, at):
    """(value, offset after it, status) of the LEB128 integer at ``data[at]``; values from 2**56 on are too large."""
    value = np.int64(0)
    for index in range(8):
        if at + index >= len(data):
            return 0, at, SHORT
        byte = np.int64(data[at + index])
        value |= (byte & 127) << 7 * index
        if byte < 128:
            if index and byte == 0:
                return 0, at, INTEGER
            return value, at + index + 1, 0
    return 0, at, INTEGER


@jit
def read_entries(data, at, kind, group, sequences, split_from, positions, counts, first, lengths):
    """Read the entries of ``len(counts)`` blocks at ``data[at]``; return (offset after them or of the defect, status).

    ``positions`` (2,) int64: positions of every block but the last, and of the last; ``group``: those of a group (grouped).
    Filled in: ``counts`` (blocks, 2) int64 with nonzeros and gap symbols (grouped: groups), ``first`` (blocks * sequences + 1,)
    int64 with the index of each sequence's first substream, ``lengths`` with the substreams' bytes.
    """
    substream = 0
    for block in range(len(counts)):
        held = positions[1] if block == len(counts) - 1 else positions[0]
        nonzeros, gaps, start = held, held, at
        if kind != SHARED:
            nonzeros, at, status = _read_integer(data, at)
            if status:
                return at, status
            if kind == GROUPED:
                gaps = (held + group - 1) // group
            else:
                gaps, at, status = _read_integer(data, at)
            if status:
                return at, status
            fits = nonzeros <= held if kind == GROUPED else nonzeros <= gaps <= held and (nonzeros > 0 or gaps == 0)
            if not fits:
                return start, COUNTS
        counts[block, 0], counts[block, 1] = nonzeros, gaps
        for sequence in range(sequences):
            symbols = nonzeros if sequence > 0 and kind != SHARED and kind != PAPER else gaps
            if kind == SIGNED and sequence == 1:
                symbols = (held - nonzeros + 7) // 8
            first[block * sequences + sequence] = substream
            parts = 0 if symbols == 0 else 1 if symbols < split_from else 4
            for _ in range(parts):
                length, after, status = _read_integer(data, at)
                if status:
                    return at, status
                if length > len(data):
                    return at, LENGTH
                lengths[substream] = length
                substream, at = substream + 1, after
    first[len(counts) * sequences] = substream
    return at, 0
