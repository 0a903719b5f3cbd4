"""Fully connected layers from encoded weights: block after block is decoded into scratch memory and multiplied.

The scan order of the file decides how. Rows: each is a sum. Columns: each that meets a nonzero activation is added to the
outputs; the others are decoded, for Huffman codes cannot be skipped, but not multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...format_spec.coding import CodecId
from ..decode._blocks import decode_blocks
from ..decode._masks import decode_grouped
from ..decode.coded import CodedTensor
from ..plan.workers import Workers
from ._jit import jit
from .products import Finish
from .walk import dot, scatter


@jit
def _multiply(x, y, first, majors, minor_length, ends, minors, codes, codebook, by_rows):
    """Products with the decoded majors ``first`` to ``first + majors``; without ``minors`` nothing is left out."""
    for b in range(len(x)):
        begin = 0
        for i in range(majors):
            end = ends[i] if len(minors) else (i + 1) * minor_length
            if by_rows:
                if len(minors):
                    y[b, first + i] = dot(x[b], minors, codes, codebook, begin, end)
                else:
                    total = np.float32(0)
                    for j in range(minor_length):
                        total += codebook[codes[begin + j]] * x[b, j]
                    y[b, first + i] = total
            elif x[b, first + i] != 0:
                if len(minors):
                    scatter(y[b], minors, codes, codebook, x[b, first + i], begin, end)
                else:
                    for j in range(minor_length):
                        y[b, j] += codebook[codes[begin + j]] * x[b, first + i]
            begin = end


@jit
def multiply_blocks(fixed, room, first, stop, block_majors, majors, minor_length, ends, minors, codes, codebook, by_rows, x, y):
    """Decode blocks ``first`` to ``stop`` of a tensor and multiply them; (block, status) as :func:`decode_blocks` gives them.

    ``fixed`` and ``room``: first and scratch arguments of that function. ``ends`` (majors of a block,) int64, ``minors`` uint32
    (empty when nothing is left out) and ``codes`` uint8 (entries of a block,) are scratch too. ``x`` (B, K) float32;
    ``y`` (B, M): by rows the rows of these blocks are written, by columns products are added to all.
    """
    none = codes[:0]
    for block in range(first, stop):
        here = min(block_majors, majors - block * block_majors)
        _, status = decode_blocks(
            *fixed, block, block + 1, block_majors, here, minor_length, *room, ends[:here], minors, codes, none
        )
        if status:
            return block, status
        _multiply(x, y, block * block_majors, here, minor_length, ends, minors, codes, codebook, by_rows)
    return 0, 0


@jit
def multiply_groups(fixed, room, first, stop, block_majors, majors, minor_length, ends, minors, codes, codebook, by_rows, x, y):
    """As :func:`multiply_blocks`, for the grouped codec."""
    for block in range(first, stop):
        here = min(block_majors, majors - block * block_majors)
        _, status = decode_grouped(
            *fixed, block, block + 1, block_majors, here, minor_length, *room, ends[:here], minors, codes
        )
        if status:
            return block, status
        _multiply(x, y, block * block_majors, here, minor_length, ends, minors, codes, codebook, by_rows)
    return 0, 0


@dataclass(frozen=True, eq=False)
class ByBlocks:
    """Products of vectors with an encoded matrix; ``by_rows`` when its majors are the outputs."""

    coded: CodedTensor
    by_rows: bool
    rows: int
    batch: int
    finish: Finish
    parts: int

    @cached_property
    def cuts(self) -> list[int]:
        """(parts + 1,): the blocks at which the threads' shares start, about equally many entries each."""
        ends = self.coded.entries.ends
        inner = np.searchsorted(ends[:-1], ends[-1] * np.arange(1, self.parts) / self.parts)
        return [0, *inner.tolist(), self.coded.block_count]

    @cached_property
    def scratch(self) -> int:
        """Bytes of scratch memory: sums of each thread, where several threads add to the same outputs."""
        return 0 if self.by_rows else 4 * self.parts * self.batch * self.rows

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (B, K) and ``y`` (B, M), C-contiguous.

        Raises:
            FormatError: a block's bits are malformed.
        """
        if self.by_rows:
            workers.each(lambda part: self._multiply(part, x, y), self.parts)
            sums = y[None]
        else:
            sums = scratch.view(np.float32).reshape(self.parts, *y.shape)
            sums[:] = 0
            workers.each(lambda part: self._multiply(part, x, sums[part]), self.parts)
        for b in range(len(x)):
            self.finish(sums[:, b], y[b], None if residual is None else residual[b], slice(None))

    def _multiply(self, part: int, x: np.ndarray, y: np.ndarray) -> None:
        coded, first, stop = self.coded, self.cuts[part], self.cuts[part + 1]
        if first == stop:
            return
        head, most = coded.head, int(coded.entries.counts[first:stop, 0].max())
        entries = np.empty(most if coded.leaves_zeros_out else 0, np.uint32), np.empty(most, np.uint8)
        run = multiply_groups if coded.record.codec == CodecId.GROUPED else multiply_blocks
        block, status = run(
            coded.fixed, coded.room(first, stop), first, stop, head.block_majors, coded.majors, coded.minor_length,
            np.empty(head.block_majors, np.int64), *entries, self.codebook, self.by_rows, x, y,
        )  # fmt: skip
        if status:
            raise coded.defect(block, status)

    @cached_property
    def codebook(self) -> np.ndarray:
        """Float32, C-contiguous."""
        return np.ascontiguousarray(self.coded.codebook, np.float32)
