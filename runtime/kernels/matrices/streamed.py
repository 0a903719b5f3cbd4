"""Fully connected layers from encoded weights: block after block is decoded into scratch memory and multiplied.

The scan order of the file decides how. Rows: each is a sum. Columns: each that meets a nonzero activation is added to the
outputs; the others are decoded, for Huffman codes cannot be skipped, but not multiplied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ...decode.coded import CodedTensor
from ...emit.memory import address
from ...emit.walk import dot, scatter
from ...jit.jitted import jit
from ...orders.made_once import made_once
from ...orders.shared import pieces_for
from ...orders.workers import Workers
from .products import Finish

WIDE, BYTE = ((),) * 4, ((),)
"""Bytes of a minor and of a code."""


@jit
def multiply_majors(x, y, first, ends, minor_length, minors, codes, codebook, by_rows):
    """Products with the decoded majors from ``first`` on, of which each has its end among the entries in ``ends``.

    ``x`` (B, K) and ``y`` (B, M) float32. Without ``minors`` nothing is left out, and ``ends`` only tells how many majors there
    are. By rows the rows of these majors are written, by columns products are added to all.
    """
    index, entries, values = address(minors), address(codes), address(codebook)
    for b in range(len(x)):
        begin = 0
        for i in range(len(ends)):
            end = ends[i] if len(minors) else (i + 1) * minor_length
            if by_rows:
                if len(minors):
                    y[b, first + i] = dot(WIDE, BYTE, address(x[b]), index, entries, values, begin, end)
                else:
                    total = np.float32(0)
                    for j in range(minor_length):
                        total += codebook[codes[begin + j]] * x[b, j]
                    y[b, first + i] = total
            elif x[b, first + i] != 0:
                if len(minors):
                    scatter(WIDE, BYTE, address(y[b]), index, entries, values, x[b, first + i], begin, end)
                else:
                    for j in range(minor_length):
                        y[b, j] += codebook[codes[begin + j]] * x[b, first + i]
            begin = end


def cut_blocks(ends: np.ndarray, parts: int) -> list[tuple[int, int]]:
    """(first, stop) of the blocks of each of so many parts, of about equally many entries; ``ends`` (blocks + 1,) int64: where
    blocks begin among these."""
    inner = np.searchsorted(ends[:-1], ends[-1] * np.arange(1, parts) / parts)
    return [*pairwise([0, *inner.tolist(), len(ends) - 1])]


def cut_pieces(coded: CodedTensor, threads: int) -> list[tuple[int, int]]:
    """(first, stop) of the blocks of pieces that so many threads take one by one."""
    return cut_blocks(coded.entries.ends, pieces_for(threads, coded.block_count))


Decoded: TypeAlias = "tuple[int, np.ndarray, np.ndarray, np.ndarray]"
"""First major; int64 ends of all majors, uint32 minors and uint8 codes of entries, which the next block is decoded over."""


def decoded_blocks(coded: CodedTensor, first: int, stop: int) -> Iterator[Decoded]:
    """Decode blocks ``first`` to ``stop``, whose codes are bytes, one by one.

    Raises:
        FormatError: a block's bits are malformed.
    """
    if first == stop:
        return
    most, block_majors = int(coded.entries.counts[first:stop, 0].max()), coded.head.block_majors
    ends, minors = np.empty(block_majors, np.int64), np.empty(most if coded.leaves_zeros_out else 0, np.uint32)
    codes, scratch = np.empty(most, np.uint8), coded.scratch(first, stop)
    for block in range(first, stop):
        major = block * block_majors
        here = ends[: coded.majors - major]
        coded.decode_into(block, block + 1, scratch, here, minors, codes, codes[:0])
        yield major, here, minors, codes


@dataclass(frozen=True, eq=False)
class ByBlocks:
    """Products of vectors with an encoded matrix; ``by_rows`` when its majors are the outputs."""

    coded: CodedTensor
    by_rows: bool
    rows: int
    batch: int
    finish: Finish
    parts: int

    @made_once
    def pieces(self) -> list[tuple[int, int]]:
        """(first, stop) of the blocks of each piece of work: by columns every one has sums of its own."""
        return cut_pieces(self.coded, self.parts) if self.by_rows else cut_blocks(self.coded.entries.ends, self.parts)

    @made_once
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
            workers.each(lambda piece: self._multiply(piece, x, y), len(self.pieces))
            sums = y[None]
        else:
            sums = scratch.view(np.float32).reshape(self.parts, *y.shape)
            sums[:] = 0
            workers.each(lambda part: self._multiply(part, x, sums[part]), self.parts)
        for b in range(len(x)):
            self.finish(sums[:, b], y[b], None if residual is None else residual[b], slice(None))

    def _multiply(self, piece: int, x: np.ndarray, y: np.ndarray) -> None:
        coded = self.coded
        for major, ends, minors, codes in decoded_blocks(coded, *self.pieces[piece]):
            self._multiply_majors(x, y, major, ends, coded.minor_length, minors, codes, self.codebook, self.by_rows)

    @made_once
    def _multiply_majors(self) -> Callable[..., None]:
        return multiply_majors.once()

    @made_once
    def codebook(self) -> np.ndarray:
        """Float32, C-contiguous."""
        return np.ascontiguousarray(self.coded.codebook, np.float32)
