"""Weights of a fully connected layer in the order in which a batch of vectors meets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._jit import jit
from .lines import Lines
from .matrix import Layout
from .segment_tile import LANES, SEGMENT

PANEL_ROWS = 2048
"""Rows whose sums are kept at once: with 64 vectors they take half of a 1 MiB second-level cache."""

BLOCK_BYTES = 24 << 10
"""Packed inputs of one block: they stay in a 32 KiB first-level cache beside the weights and one row's sums."""

MOST_COLUMNS = 255
"""Columns of the widest block: their numbers, and one more for places that are not used, fit a byte."""

MOST_REGISTERS = 4
"""Registers of 16 vectors that a weight meets at most."""


@dataclass(frozen=True, eq=False)
class Segments(Layout):
    """See :func:`~tersor.runtime.kernels.segment_tile.multiply_segments`."""

    width: int
    panels: np.ndarray
    start: np.ndarray
    row: np.ndarray
    offset: np.ndarray
    code: np.ndarray
    codebook: np.ndarray


def registers(batch: int) -> int:
    """Registers that the vectors of a batch are spread over."""
    return min(MOST_REGISTERS, -(-batch // LANES))


def block_width(registers: int) -> int:
    """Columns of a block."""
    return min(MOST_COLUMNS, BLOCK_BYTES // (4 * LANES * registers))


def make_segments(lines: Lines, width: int, parts: int) -> Segments:
    """Cut weights listed by rows into blocks of ``width`` columns and panels of rows, a multiple of ``parts`` of them."""
    count = parts * max(1, -(-lines.rows // (parts * PANEL_ROWS)))
    panels = (np.arange(count + 1) * lines.rows // count).astype(np.int64)
    entries = np.zeros((max(1, -(-lines.columns // width)), lines.rows), np.int64)
    _count(lines.start, lines.minor, width, entries)
    first = np.zeros_like(entries)
    start = np.zeros((count, len(entries) + 1), np.int64)
    total = 0
    for panel in range(count):
        rows = slice(panels[panel], panels[panel + 1])
        needed = -(-entries[:, rows] // SEGMENT)
        ends = total + np.cumsum(needed.reshape(-1)).reshape(needed.shape)
        first[:, rows] = (ends - needed) * SEGMENT
        start[panel] = [total, *(ends[:, -1] if needed.size else [total] * len(entries))]
        total = int(start[panel, -1])
    row, offset = np.empty(total, np.uint16), np.full(total * SEGMENT, width, np.uint8)
    code = np.empty(total * SEGMENT, lines.code.dtype)
    local = (np.arange(lines.rows) - np.repeat(panels[:-1], np.diff(panels))).astype(np.uint16)
    _fill(lines.start, lines.minor, lines.code, width, first, local, row, offset, code)
    return Segments(width, panels, start, row, offset, code, lines.codebook)


@jit
def _count(start, minor, width, entries):
    """Add up the entries of each (block of columns, row)."""
    for r in range(len(start) - 1):
        for entry in range(start[r], start[r + 1]):
            entries[minor[entry] // width, r] += 1


@jit
def _fill(start, minor, code, width, cursor, local, row_out, offset_out, code_out):
    """Write each weight where ``cursor`` (block, row) stands, and move the cursor on. Unused places of a segment repeat the
    last code, so that they never bring in a weight that the row does not have."""
    for r in range(len(start) - 1):
        for entry in range(start[r], start[r + 1]):
            column = np.int64(minor[entry])
            block = column // width
            at = cursor[block, r]
            cursor[block, r] = at + 1
            row_out[at // SEGMENT] = local[r]
            offset_out[at] = column - block * width
            for place in range(at, (at // SEGMENT + 1) * SEGMENT):
                code_out[place] = code[entry]
