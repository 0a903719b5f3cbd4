"""The cost model that chooses how a convolution is cut into tiles and blocks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from math import log, sqrt

from ...jit.host import first_cache
from ..tiles.cut import balanced
from .layout import MOST_VECTORS, Shape2D, Tiling, tiles

HEIGHTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20, 24, 28)
WIDTHS = (8, 16)

BLOCK_BYTES = (16 << 10, 24 << 10, 37 << 10, 50 << 10, 64 << 10, 128 << 10, 256 << 10)
"""Packed inputs of one block: those of the second fit a 32 KiB first-level cache beside the stream of weights, those of the
third one of 48 KiB, and those of the fourth nearly do."""

LOADS = (0.9, 0.9, *((0.9, 1.14) if first_cache() >= 48 << 10 else (1.3, 1.45)), 1.47, 2.0, 2.25, 2.5)
"""Cycles of a load, when there are many, by the :data:`BLOCK_BYTES` that the inputs of a block fit; last if they fit none."""

PACKED = 7, 10, 11.5
"""Cycles of packing a vector, by the first :data:`BLOCK_BYTES`, the last for all larger ones: what is packed takes the place of
other inputs in the cache, or of packed ones, which are then written to and read from the next one."""

STRIDED = 5
"""Cycles that it takes more where only every second element of a row is packed, or fewer."""

APART = 1.1
"""By how much a load takes longer whose input is read in place: there, inputs of one channel and the next lie far apart."""

REACHED, IN_PLACE = 10, 8
"""Cycles of reaching a channel whose inputs are read in place, and of each vector of them: for the first time, it comes from
another cache, and nobody has asked for it ahead of time, as packing does."""

HALVED = 0.7
"""What a load of half a register takes, of one of a whole."""

FORGOTTEN, AGAIN = 1_600_000, 350_000
"""A core that has multiplied no whole registers for the first of these cycles, about half a millisecond, needs about the second
until it does so at full speed again."""

WALKED = 1.12
"""By how much entries take longer among the other layers of a network than alone."""

MULTIPLY_ADD = 0.85
"""Cycles of a multiply-add whose input is in a register."""

SECOND_PRODUCT = 0.7
"""Cycles by which a load takes longer whose input is multiplied for both channels of a pair."""

ENTRY = 2.5
"""Cycles of an entry beside its vectors."""

PARTNERS, CHOSEN = 512, 0.44
"""Output channels among which pairs are chosen, at most; by how many standard deviations such pairs share more inputs than any
two channels, over the logarithm of the number of channels."""

MOST_PARTS, PART = 8, 256
"""Parts of the output channels for each thread, at most, where tiles are shared, and the vectors of sums of one, at least: the
fewer visits are sorted together, the worse a processor predicts where they end, which matters where they are short."""

VISITED = {1: 10, 2: 50}
"""Cycles that a visit takes beside its entries and sums, by its channels: two walk three lists."""

SUMMED = 4, 6
"""Cycles of each vector that a visit sums up: where one block holds all channels, and where sums are loaded from the
second-level cache and stored there."""

SHIFTED = {1: 28, 2: 70}
"""Cycles that it takes more for each shift of its sums, beside the shift itself: there are as many lists again."""

PARTIAL = 5
"""Cycles by which it takes longer to store a vector of a tile that reaches over an edge."""

VISIT_PREPARED, ENTRY_PREPARED, LISTED = 150, {1: 9, 2: 28}, 12
"""Cycles of preparing one visit, one weight by the channels of a tile, for the entries of two have to be merged, and more where
it is to be put in one of several lists. Where a visit begins is known from the first run, but takes memory, which is counted as
cycles here."""

NEAR, FAR = 1 << 17, 1 << 19
"""Elements of inputs or outputs that stay in the second-level cache, at most, and in one that all cores share."""

STORED = (5, 11, 40)
"""Cycles of a vector of outputs where they stay near, between, and where they are far, and not in one run."""

FETCHED = 30
"""Cycles by which it takes longer to pack a vector of inputs that are far, the first time."""

MOST_ENTRIES = 1 << 30
"""Weights whose words can be counted in 32 bits, whatever they hold."""


@lru_cache(maxsize=1024)  # streamed weights ask in every run
def choose(
    shape: Shape2D, nonzeros: int, registers: tuple[int, int], parts: int = 1, *, passing: bool = False
) -> Tiling | None:
    """The cheapest way to run a convolution that has ``nonzeros`` weights on ``parts`` threads; ``registers`` as from
    :func:`host_registers`.

    ``passing`` weights are prepared for each run, which counts: for single output channels it is quicker, and for few visits.
    There is no way for a kernel of more positions than offsets can tell apart, nor for more weights than can be counted.
    """
    if nonzeros > MOST_ENTRIES:
        return None

    def cycles(tiling: Tiling) -> float:
        return cost(shape, tiling, nonzeros, registers[1], parts, passing=passing)

    return min(_candidates(shape, registers), key=cycles, default=None)


def has_tilings(shape: Shape2D, registers: tuple[int, int]) -> bool:
    """Whether there is a way for the kernel's size."""
    return next(_candidates(shape, registers), None) is not None


def least_cost(shape: Shape2D, nonzeros: int, width: int, parts: int) -> float:
    """Cycles that no tiling has fewer of, see :func:`cost`: those of its multiply-adds."""
    return WALKED * nonzeros * min(*LOADS, MULTIPLY_ADD) * shape.N * shape.OH * shape.OW / width / parts


def _candidates(shape: Shape2D, registers: tuple[int, int]) -> Iterator[Tiling]:
    """Vectors of fewer lanes than registers have are for where one of them is enough."""
    count, width = registers
    size, together, outputs = shape.C // shape.groups, shape.M // shape.groups, shape.OH * shape.OW
    kernel = shape.kernel, shape.strides[0], shape.dilations[0]
    for V, T in product(WIDTHS, [T for T in (1, 2) if together >= T or T == 1]):
        for R in HEIGHTS:
            if T * R * max(1, V // width) > count - 3 - T:
                break
            if R <= shape.OH and shape.OH > 1 and min(width, shape.OW) <= V:
                spilled = T * R * max(1, V // width) > count - 6
                for shifts in (1,) if spilled else _shifts(shape, V):
                    yield from _blocked(Tiling(T, R, V, "rows", 1, *kernel, shifts=shifts), size)
            if outputs > (R - 1) * V and min(width, outputs) <= V:
                yield from _blocked(Tiling(T, R, V, "flat", 1, *kernel), size)
                plane = outputs // V
                # Only tiles that reach over no edge are read in place: a part of one would reach over the last plane's end.
                if shape.pointwise and plane <= MOST_VECTORS and outputs % (R * V) == 0:
                    yield from _blocked(Tiling(T, R, V, "direct", 1, *kernel, plane), size)


def _shifts(shape: Shape2D, V: int) -> list[int]:
    """Columns of the kernel between which sums may be shifted: the fewest for each number of copies; half of the lanes stay."""
    columns = shape.kernel[1]
    if shape.strides[1] > 1 or shape.dilations[1] > 1:
        return [1]
    return [n for n in range(1, min(columns, V // 2) + 1) if n == -(-columns // -(-columns // n))]


def _blocked(single: Tiling, channels: int) -> Iterator[Tiling]:
    """``single`` with the numbers of channels that fill each of :data:`BLOCK_BYTES`."""
    channel, vectors = _held(single) * single.V * 4, single.vectors
    for block in sorted({balanced(channels, max(1, size // channel)) for size in BLOCK_BYTES}):
        if block * vectors <= MOST_VECTORS:
            yield replace(single, block=block)


def _held(tiling: Tiling) -> int:
    """Vectors of a channel's inputs that a tile reads."""
    return tiling.R if tiling.shape == "direct" else tiling.vectors


def cost(shape: Shape2D, tiling: Tiling, nonzeros: int, width: int, parts: int = 1, *, passing: bool = False) -> float:
    """Estimated cycles of ``parts`` threads on cores whose vectors have ``width`` lanes.

    An entry costs its loads, which take longer than its multiply-adds. A visit mispredicts the ends of its loops and, unless
    one block holds all channels, loads and stores sums in the second-level cache; where sums are shifted, it has more loops.
    Every output is scaled and stored, by masks where a tile reaches over an edge; every packed vector is loaded and stored,
    rows of large tensors from and to memory. The numbers were fitted to the times of 1,400 tilings of 28 layers at three
    densities, those of shifts and memory to layers of four networks, and once more to 2,700 tilings of 86 layers, each among
    the other layers of its network, where entries take an eighth longer than alone; those of inputs that are read in place to
    360 tilings of 17 layers. Only their ratios count: a processor without neighbours takes two thirds of these cycles.
    """
    T, R, V, count = tiling.T, tiling.R, tiling.V, visit_count(shape, tiling)
    wide, channels = max(1, V // width), shape.C // shape.groups
    both = shared_entries(shape, tiling, nonzeros, parts) if T == 2 else 0.0
    in_place, held = tiling.shape == "direct", _held(tiling)
    size = bisect_left(BLOCK_BYTES, min(tiling.block, channels) * held * V * 4)
    load = LOADS[size] * (HALVED if width > V else 1) * (APART if in_place else 1)
    walked = WALKED * (
        (nonzeros - 2 * both) * (R * wide * load + ENTRY)
        + both * (R * wide * max(load + SECOND_PRODUCT, 2 * MULTIPLY_ADD) + ENTRY)
    )
    visited = count * (VISITED[T] + SUMMED[tiling.block < channels] * T * R * wide)
    visited += count * (tiling.shifts - 1) * (SHIFTED[T] + T * R * wide)
    twice = tiling.shifts > 1 and tiling.columns < shape.OW  # then cache lines are written by two tiles
    line = stored_line(shape) if tiling.shape == "rows" else min(STORED[1], stored_line(shape))
    stored = shape.M * R * wide * (line * (1 + twice) + PARTIAL * (1 - _inside(shape, tiling)))
    fetched = (shape.C * shape.H * shape.W > FAR) * FETCHED / tiling.copies
    vector = PACKED[min(size, len(PACKED) - 1)] + STRIDED * (shape.strides[1] > 1) + fetched
    brought = shape.C * (REACHED + held * wide * IN_PLACE if in_place else held * wide * vector)
    entry = ENTRY_PREPARED[T] + LISTED * (tiling.shifts > 1)
    prepared = VISIT_PREPARED * count + entry * nonzeros if passing else 0
    total = spread(tiles(shape, tiling), parts, parts, walked + visited + stored, brought + 1000) + prepared
    return total + AGAIN * (width > V and total > FORGOTTEN)


def shared_entries(shape: Shape2D, tiling: Tiling, nonzeros: int, parts: int = 1) -> float:
    """Estimated entries that are for both channels of their pair: of two random ones the mean, and more as they are chosen."""
    density, columns = nonzeros / max(1, shape.dense), min(tiling.block, shape.C // shape.groups) * shape.taps
    together = shape.M // max(shape.groups, shared_parts(shape, tiling, parts))
    chosen = CHOSEN * log(max(1, min(together, PARTNERS)))
    mean = columns * density**2
    both = mean + chosen * sqrt(mean) * (1 - density)
    return min(both, columns * density) / max(1, 2 * columns * density) * nonzeros


def shared_parts(shape: Shape2D, tiling: Tiling, threads: int) -> int:
    """Parts of the output channels, of which threads take some each where the tiles are not as many for each thread: of groups
    one for each thread, for the first block is of one group alone, and tells nothing of the time that others take."""
    if tiles(shape, tiling) % threads == 0:
        return 1
    if shape.groups > 1:
        return threads
    return threads * max(1, min(MOST_PARTS, shape.M * tiling.R // (PART * threads)))


def stored_line(shape: Shape2D) -> int:
    """Cycles of storing a vector of outputs among others of its row, by where they are kept."""
    outputs = shape.M * shape.OH * shape.OW
    return STORED[(outputs > NEAR) + (outputs > FAR)]


def visit_count(shape: Shape2D, tiling: Tiling) -> int:
    """Visits of one tile, if each channel, or pair, has weights in each block."""
    return -(-shape.M // tiling.T) * max(1, -(-shape.C // shape.groups // tiling.block))


def spread(count: int, parts: int, shares: int, divided: float, repeated: float) -> float:
    """Cycles until ``parts`` threads have done ``count`` equal pieces of work, when each of those that are left over is cut
    into ``shares``: they divide ``divided`` cycles of it and all repeat ``repeated``."""
    whole, left = divmod(count, parts)
    return whole * (divided + repeated) + -(-left * shares // parts) * (divided / shares + repeated)


def _inside(shape: Shape2D, tiling: Tiling) -> float:
    """Share of tiles that reach over no edge."""
    if tiling.shape == "rows":
        strips = -(-shape.OW // tiling.columns) if tiling.shifts > 1 else shape.OW // tiling.V
        return shape.N * (shape.OH // tiling.R) * strips / tiles(shape, tiling)
    return shape.N * (shape.OH * shape.OW // (tiling.R * tiling.V)) / tiles(shape, tiling)
