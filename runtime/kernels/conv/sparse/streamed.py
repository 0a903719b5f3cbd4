"""Convolutions from encoded weights: block after block is decoded, and its entries listed where tiles walk them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .....format_spec.coding import MAX_ALPHABET
from ....decode.coded import CodedTensor
from ....orders.made_once import made_once
from ....orders.order import address_of, whole_lines
from ....orders.workers import Workers
from ...matrices.streamed import cut_pieces, decoded_blocks
from .conv import SparseConv
from .convolve import PREPARED
from .entries import Blocks, list_rows, row_places
from .stream import Arrangement, check_fitting
from .visits import WORDS


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
    conv: SparseConv

    @property
    def bytes(self) -> int:
        """Memory of weights that is kept."""
        _, *others = self.places  # the first are the blocks, which ``made`` counts
        return self.coded.bytes + self.made.bytes + sum(part.nbytes for part in others if isinstance(part, np.ndarray))

    @property
    def words(self) -> int:
        """Bytes of the entries, whole cache lines."""
        return whole_lines(4 * int(self.made.start[-1]))

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory: entries, and that of the convolution."""
        return self.words + self.conv.scratch_bytes

    @made_once
    def pieces(self) -> list[tuple[int, int]]:
        """(first, stop) of the blocks of each piece of decoding."""
        return cut_pieces(self.coded, self.conv.parts)

    @made_once
    def places(self) -> tuple[Any, ...]:
        """See :func:`~tersor.runtime.kernels.conv.sparse.entries.row_places`."""
        shape = self.conv.shape
        return row_places(Blocks(self.made.block_channels, shape.C, shape.groups, shape.M), self.conv.tiling)

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (N, C, H, W) and ``y`` (N, M, OH, OW), C-contiguous.

        Raises:
            FormatError: a block's bits are malformed, or others than when the entries were arranged.
        """
        words, task = scratch[: self.words].view(np.uint32), self.conv.task.copy()
        workers.each(lambda piece: self._list(*self.pieces[piece], words), len(self.pieces))
        order = self.conv.order(x, y, residual, scratch[self.words :])
        task[WORDS], order[PREPARED] = address_of(words), address_of(task)
        workers.carry_out(order[None])

    def _list(self, first: int, stop: int, words: np.ndarray) -> None:
        made = self.made
        for major, ends, minors, codes in decoded_blocks(self.coded, first, stop):
            check_fitting(self._list_rows(major, ends, minors, codes, True, *self.places, made.begin, made.end, words))

    @made_once
    def _list_rows(self) -> Callable[..., bool]:
        return list_rows.once()
