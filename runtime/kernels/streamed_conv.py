"""Convolutions from encoded weights: block after block is decoded, and its entries listed where tiles walk them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...format_spec.coding import MAX_ALPHABET
from ..decode.coded import CodedTensor
from ..plan.workers import Workers
from ._property import made_once
from .conv import Conv
from .convolve import PREPARED
from .entries import Blocks, list_rows, row_places
from .order import address_of
from .stream import Arrangement, check_fitting
from .streamed import cut_blocks, decoded_blocks
from .visits import WORDS

MOST_PIECES = 4
"""Pieces of decoding for each thread, at most: one that wakes up late leaves more to the others."""


def lists_rows(coded: CodedTensor) -> bool:
    """Whether blocks are rows of nonzero weights with codes of a byte: those of output channels one by one."""
    head, record = coded.head, coded.record
    rows = head.order == "rows" and record.row_axes == (0,)
    return rows and coded.leaves_zeros_out and head.k <= MAX_ALPHABET and not np.any(coded.codebook == 0)


@dataclass(frozen=True, eq=False)
class StreamedConv:
    """The convolution ``conv``, by tiles of one output channel, whose entries are ``coded``, and arranged as ``made`` says.

    The entries of ``conv`` itself are none.
    """

    coded: CodedTensor
    made: Arrangement
    conv: Conv

    @property
    def bytes(self) -> int:
        """Memory of weights that is kept."""
        return self.coded.bytes + self.made.bytes

    @property
    def words(self) -> int:
        """Bytes of the entries, whole cache lines."""
        return -(-4 * int(self.made.start[-1]) // 64) * 64

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory: entries, and that of the convolution."""
        return self.words + self.conv.scratch_bytes

    @made_once
    def cuts(self) -> list[int]:
        """The blocks at which pieces of decoding start."""
        threads, blocks = self.conv.parts, self.coded.block_count
        return cut_blocks(self.coded, 1 if threads == 1 else min(blocks, MOST_PIECES * threads))

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (N, C, H, W) and ``y`` (N, M, OH, OW), C-contiguous.

        Raises:
            FormatError: a block's bits are malformed, or others than when the entries were arranged.
        """
        words, task, shape = scratch[: self.words].view(np.uint32), self.conv.task.copy(), self.conv.shape
        where = row_places(Blocks(self.made.block_channels, shape.C, shape.groups, shape.M), self.conv.tiling)
        pieces = [*pairwise(self.cuts)]
        workers.each(lambda piece: self._list(pieces[piece], where, words), len(pieces))
        order = self.conv.order(x, y, residual, scratch[self.words :])
        task[WORDS], order[PREPARED] = address_of(words), address_of(task)
        workers.carry_out(order[None])

    def _list(self, piece: tuple[int, int], where: tuple[Any, ...], words: np.ndarray) -> None:
        made = self.made
        for major, ends, minors, codes in decoded_blocks(self.coded, *piece):
            check_fitting(self._list_rows(major, ends, minors, codes, True, *where, made.begin, made.end, words))

    @made_once
    def _list_rows(self) -> Callable[..., bool]:
        return list_rows.once()
