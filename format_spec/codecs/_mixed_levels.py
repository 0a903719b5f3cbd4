"""One block of the context-mixed codec, plainly: which decisions describe its levels, and their contexts."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import FormatError
from ..mixed_head import MixedHead
from ..mixing import (
    FINE,
    KERNEL_PLANE,
    KERNEL_SET,
    KERNEL_ZEROS_FLAG,
    LAST_UNARY_PLANE,
    LOGARITHMS,
    LONE_FINE,
    LONE_NEAR,
    RECIPROCALS,
    REFERENCE_COUNTERS,
    REFERENCES_FLAG,
    SIGN_PLANE,
    SIGN_SETS,
    STEP_SETS,
    WINDOW,
    ZERO_PLANE,
)
from ._mixed_model import Decoder, Encoder, Model

logarithms, fine, reciprocals = LOGARITHMS.tolist(), FINE.tolist(), RECIPROCALS.tolist()


def log(x: int) -> int:
    """A magnitude in sixteenths, in half octaves."""
    return logarithms[x]


def mean(total: int, count: int) -> int:
    """``total / count`` in sixteenths."""
    return total * reciprocals[count] >> 12


def sign(x: int) -> int:
    """0, 1 or 2 for zero, positive, negative."""
    return 0 if x == 0 else 1 if x > 0 else 2


def clip(x: int, most: int) -> int:
    """``x`` between ``-most`` and ``most``, counted from 0."""
    return min(max(x, -most), most) + most


def lean(x: int, scale: int) -> int:
    """How far a signed mean leans beside a mean magnitude, 0 to 8."""
    steps = min(max(log(abs(x)) - log(scale) + 6, 0), 4)
    return 4 + steps if x > 0 else 4 - steps


@dataclass
class Block:
    """A block being coded or decoded. ``ranks`` (rows, columns): signed ranks; decoding fills them with what it finds.

    ``levels`` are what contexts see: the sign times ``1 + (rank - 1 >> low_bits)``. ``named``: for each row two pairs of a
    distance (0: none) and a sign.
    """

    head: MixedHead
    counts: tuple[int, int]
    ranks: list[list[int]]
    named: list[list[tuple[int, int]]]
    model: Model
    levels: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows, columns, kernel = len(self.ranks), len(self.ranks[0]), self.head.kernel
        self.levels = [[0] * columns for _ in range(rows)]
        self.groups = -(-columns // kernel)
        self.place = [k if kernel <= 16 else 16 * k // kernel for k in range(kernel)]
        self.column_mean, self.column_sum, self.group_mean = [16] * columns, [0] * columns, [16] * self.groups
        self.row_mean, self.row_sum = 64, 0

    def run(self) -> None:
        """Code or decode every row; stop where no byte is left, so that few bytes never take long."""
        for r, row in enumerate(self.levels):
            self.row, self.row_sum = row, 0
            self.up, self.up2 = self._similar(r)
            for g in range(self.groups):
                if self.model.coder.is_overrun:
                    raise FormatError("a block ends before its decisions do")
                self._kernel(r, g)

    def _similar(self, r: int) -> tuple[list[int], list[int]]:
        """The two earlier rows that this one may resemble, with their signs; zeros where there is none."""
        none = [0] * len(self.row)
        before = [self.levels[r - 1] if r > 0 else none, self.levels[r - 2] if r > 1 else none]
        if not self.head.flags & REFERENCES_FLAG or r == 0:
            return before[0], before[1]
        first = self._reference(r, 0)
        second = self._reference(r, 1) if r > 1 else (0, 1)
        up, up2 = before
        if first[0]:
            up = [x * first[1] for x in self.levels[r - first[0]]]
            up2 = before[0] if first[0] != 1 else before[1]
        if second[0]:
            up2 = [x * second[1] for x in self.levels[r - second[0]]]
        return up, up2

    def _reference(self, r: int, which: int) -> tuple[int, int]:
        distance, direction = self.named[r][which]
        if not self.model.alone(int(distance > 0), which):
            return 0, 1
        reach, value = min(r, WINDOW), 0
        for i in reversed(range((reach - 1).bit_length())):
            value = 2 * value + self.model.even(distance - 1 >> i & 1)
        if value >= reach:
            raise FormatError("a row names a row that is not there")
        return value + 1, -1 if self.model.even(int(direction < 0)) else 1

    def _sum(self, row: list[int], g: int) -> int:
        """Magnitudes of a kernel; none before the row's first."""
        kernel = self.head.kernel
        return sum(map(abs, row[g * kernel : (g + 1) * kernel])) if g >= 0 else 0

    def _kernel(self, r: int, g: int) -> None:
        begin, end = g * self.head.kernel, min((g + 1) * self.head.kernel, len(self.row))
        count, like, last = end - begin, self._sum(self.up, g), self._sum(self.row, g - 1)
        like_mean, last_mean = mean(like, count), mean(last, self.head.kernel)
        self.inside = self.balance = 0
        if self.head.flags & KERNEL_ZEROS_FLAG and not self._is_some(r, g, like, last, like_mean, begin, end):
            for c in range(begin, end):
                self.column_mean[c] += -self.column_mean[c] * 20 >> 8
        else:
            self.local = like_mean + last_mean + 2 * self.group_mean[g] >> 2
            for c in range(begin, end):
                must = bool(self.head.flags & KERNEL_ZEROS_FLAG) and c == end - 1 and self.inside == 0
                self._level(r, c, c - begin, must)
        inside = mean(self.inside, count)
        self.group_mean[g] += (inside - self.group_mean[g]) * 20 >> 8
        self.row_mean += (4 * inside - self.row_mean) * min(8 * count, 64) >> 8

    def _is_some(self, r: int, g: int, like: int, last: int, like_mean: int, begin: int, end: int) -> int:
        """Whether the kernel has a nonzero."""
        group, row = self.group_mean[g], self.row_mean >> 2
        contexts = [
            log(row) * 16 + log(group),
            min(like, 5) * 36 + min(self._sum(self.up2, g), 5) * 6 + min(last, 5),
            log(group) * 16 + log(like_mean),
            min(last, 5) * 6 + min(self._sum(self.row, g - 2), 5),
        ]
        return self.model.mixed(int(any(self.ranks[r][begin:end])), KERNEL_PLANE, contexts, KERNEL_SET, 65)

    def _level(self, r: int, c: int, k: int, must: bool) -> None:
        kernel, width = self.head.kernel, self.head.width
        row, column = self.row, k % width
        left, left2 = row[c - 1] if column else 0, row[c - 2] if k > 1 else 0
        above = row[c - width] if k >= width else 0
        above_right = row[c - width + 1] if k >= width and column < width - 1 else 0
        before = row[c - kernel] if c >= kernel else 0
        if kernel == 1:
            left, left2 = before, row[c - 2] if c > 1 else 0
        up, usual, mean_row = self.up[c], self.column_mean[c], self.row_mean >> 2
        near = 2 * (abs(left) + abs(above)) + abs(left2) + abs(above_right) + abs(before) + abs(up)
        near = log((16 * near + 2 * usual) * reciprocals[10] >> 16)
        expected = (mean_row + usual + 2 * self.local) >> 2
        size_contexts = [
            min(abs(left), 3) * 64 + min(abs(above), 3) * 16 + min(abs(left2), 3) * 4 + min(abs(above_right), 3),
            min(self.inside, 15) * 16 + self.place[k],
            log(usual) * 16 + min(abs(up), 3) * 4 + min(abs(self.up2[c]), 3),
            log(mean_row) * 16 + self.place[k],
        ]
        ls, us = sign(left), sign(above)
        sign_contexts = [
            ((ls * 3 + us) * 3 + sign(left2)) * 3 + sign(above_right),
            lean(self.row_sum, mean_row) * 9 + lean(self.column_sum[c], usual),
            clip(before, 4) * 9 + clip(up, 4),
            clip(self.balance, 4) * 9 + us * 3 + ls,
        ]
        rank, level = self.ranks[r][c], log(expected)
        chosen = int(k == 0) + 2 * (self.inside == 0)
        if must or self.model.mixed(int(rank != 0), ZERO_PLANE, size_contexts, chosen, level):
            negative = int(self.counts[0] == 0)
            if all(self.counts):
                negative = self.model.mixed(int(rank < 0), SIGN_PLANE, sign_contexts, SIGN_SETS + self.place[k], 64)
            lone = (fine[min(expected, 248)], min(abs(up), 15) * 16 + near)
            rank = self._rank(abs(rank), negative, size_contexts, level, lone)
            self.ranks[r][c] = -rank if negative else rank
            size = (rank - 1 >> self.head.low_bits) + 1
            row[c] = -size if negative else size
            self.inside += size
            self.balance += -1 if negative else 1
            seen = max(min(row[c], 20), -20) * 16
            self.row_sum += (seen - self.row_sum) >> 5
            self.column_sum[c] += (seen - self.column_sum[c]) >> 3
        self.column_mean[c] += (min(abs(row[c]), 20) * 16 - self.column_mean[c]) * 20 >> 8
        self.local += (16 * abs(row[c]) - self.local) >> 3

    def _rank(self, rank: int, negative: int, contexts: list[int], level: int, lone: tuple[int, int]) -> int:
        """How far from zero the level is, among those of its sign."""
        low_bits, step = self.head.low_bits, 0
        last_step = self.counts[negative] - 1 >> low_bits
        fine_base = REFERENCE_COUNTERS + (16 << low_bits)
        while step < last_step:
            plane, more = min(step + 1, LAST_UNARY_PLANE), int((rank - 1 >> low_bits) > step)
            if step < self.head.mixed_steps:
                i = min(step + 1, 15)
                more = self.model.mixed(more, plane, contexts, STEP_SETS + 16 * (i - 1) + level, min(i, 3) * 16 + level)
            else:
                places = (fine_base + plane * 128 + lone[0], fine_base + LONE_FINE + plane * 256 + lone[1])
                more = self.model.alone(more, *places)
            if not more:
                break
            step += 1
        node, base = 1, REFERENCE_COUNTERS + ((min(step, 7) * 2 + negative) << low_bits)
        for i in reversed(range(low_bits)):
            node = 2 * node + self.model.alone(rank - 1 >> i & 1, base + node)
        rank = (step << low_bits) + node - (1 << low_bits) + 1
        if rank > self.counts[negative]:
            raise FormatError("a level is not in the codebook")
        return rank


def _model(coder: Encoder | Decoder, head: MixedHead) -> Model:
    return Model(coder, REFERENCE_COUNTERS + (16 << head.low_bits) + LONE_FINE + LONE_NEAR)


def encode_block(head: MixedHead, counts: tuple[int, int], ranks: list[list[int]], named: list[list[tuple[int, int]]]) -> bytes:
    """The bytes of a block of signed ranks; ``counts``: positive and negative entries of the codebook."""
    coder = Encoder()
    Block(head, counts, ranks, named, _model(coder, head)).run()
    return coder.finish()


def decode_block(head: MixedHead, counts: tuple[int, int], rows: int, columns: int, data: bytes) -> list[list[int]]:
    """The signed ranks of a block.

    Raises:
        FormatError: a level or a reference is out of range, or the bytes are too few or too many.
    """
    coder = Decoder(data)
    block = Block(head, counts, [[0] * columns for _ in range(rows)], [[(0, 1)] * 2] * rows, _model(coder, head))
    block.run()
    if not coder.is_exact:
        raise FormatError("a block does not hold exactly its decisions")
    return block.ranks
