"""Weights of a fully connected layer in the order in which a batch of vectors meets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...jit.jitted import jit
from .lines import Lines
from .matrix import Layout

PANEL_ROWS = 2048
"""Rows whose sums are kept at once: with 64 vectors they take half of a 1 MiB second-level cache."""

RUN = 24
"""Weights of a run that make up for what it costs to load and store its sums."""

NEAR_BYTES, FAR_BYTES = 24 << 10, 128 << 10
"""Packed inputs of a block: at least what stays in a 32 KiB first-level cache, at most a part of a second-level one."""


@dataclass(frozen=True, eq=False)
class Runs(Layout):
    """Weights in panels of rows, blocks of ``width`` columns, and *runs*, the nonzeros of a row in a block.

    ``panels`` (panels + 1,) int64: the rows at which panels start. Within a panel and block, runs are sorted by length, so that
    the processor predicts where their loops end; a panel's first block has one for each row, which may be empty. ``first``
    (panels · blocks + 1,) int64: the runs at which blocks start; ``entry`` (panels,) int64: the entries at which panels do.
    ``row`` uint16 (one element more than runs), relative to the panel, and ``length`` uint16 describe a run, ``offset`` uint16,
    the column in the block, and ``code`` an entry.
    """

    width: int
    panels: np.ndarray
    first: np.ndarray
    entry: np.ndarray
    row: np.ndarray
    length: np.ndarray
    offset: np.ndarray
    code: np.ndarray
    codebook: np.ndarray


def block_width(lanes: int, density: float) -> int:
    """Columns of a block for ``lanes`` vectors: sparse matrices get wide ones, for runs to be long."""
    near, far = NEAR_BYTES // (4 * lanes), FAR_BYTES // (4 * lanes)
    return int(min(max(near, RUN / max(density, 1e-9)), far))


def make_runs(lines: Lines, width: int, panels: int) -> Runs:
    """Cut weights listed by rows into blocks of ``width`` columns and at least ``panels`` panels of rows, a multiple of it."""
    count = panels * max(1, -(-lines.rows // (panels * PANEL_ROWS)))
    cuts = (np.arange(count + 1) * lines.rows // count).astype(np.int64)
    sizes = np.zeros((max(1, -(-lines.columns // width)), lines.rows), np.int64)
    _count(lines.start, lines.minor, width, sizes)
    cursor, entry = np.empty_like(sizes), lines.start[cuts[:-1]].astype(np.int64)
    rows, lengths, counts = [], [], []
    for begin, end, before in zip(cuts, cuts[1:], entry, strict=False):
        order = np.argsort(sizes[:, begin:end], axis=1, kind="stable")
        ordered = np.take_along_axis(sizes[:, begin:end], order, axis=1)
        ends = before + np.cumsum(ordered).reshape(ordered.shape)
        np.put_along_axis(cursor[:, begin:end], order, ends - ordered, axis=1)
        wanted = ordered > 0
        wanted[0] = True
        rows.append(order[wanted])
        lengths.append(ordered[wanted])
        counts.append(wanted.sum(axis=1))
    offset, code = np.empty(len(lines.minor), np.uint16), np.empty(len(lines.minor), lines.code.dtype)
    _fill(lines.start, lines.minor, lines.code, width, cursor, offset, code)
    first = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    row, length = np.append(np.concatenate(rows), 0).astype(np.uint16), np.concatenate(lengths).astype(np.uint16)
    return Runs(width, cuts, first, entry, row, length, offset, code, lines.codebook)


@jit
def _count(start, minor, width, sizes):
    """Add up the entries of each (block of columns, row)."""
    for r in range(len(start) - 1):
        for entry in range(start[r], start[r + 1]):
            sizes[minor[entry] // width, r] += 1


@jit
def _fill(start, minor, code, width, cursor, offset_out, code_out):
    """Write each weight where ``cursor`` (block, row) stands, and move the cursor on."""
    for r in range(len(start) - 1):
        for entry in range(start[r], start[r + 1]):
            block = np.int64(minor[entry]) // width
            at = cursor[block, r]
            cursor[block, r] = at + 1
            offset_out[at] = minor[entry] - block * width
            code_out[at] = code[entry]
