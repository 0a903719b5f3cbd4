"""Numbers and tables of the context-mixed codec that encoder, decoder and reference share; ``SPEC.md`` gives them meaning.

Everything is an integer. A probability is that of a one bit, in 65536ths; stretched, it is about ``256 ln(p / (1 - p))``.
"""

from __future__ import annotations

import numpy as np

KERNEL_ZEROS_FLAG = 8
"""Flag bit: a decision before each kernel says whether all of it is zero."""

REFERENCES_FLAG = 16
"""Flag bit: a row may name earlier rows of its block that it resembles."""

INPUTS = 4
"""Predictions mixed for one decision."""

CONTEXTS = 256
"""Contexts of one input within a plane."""

PLANES = 22
"""Kinds of decision that have contexts of their own."""

ZERO_PLANE, LAST_UNARY_PLANE, SIGN_PLANE, KERNEL_PLANE = 0, 19, 20, 21
"""Planes; "the magnitude exceeds b" is plane ``min(b, LAST_UNARY_PLANE)``."""

MAX_KERNEL = 256
"""Positions of the largest kernel."""

LONE_FINE, LONE_NEAR = 20 * 128, 20 * 256
"""Lone counters of the two predictions of a step that is not mixed."""

REFERENCE_COUNTERS = 2
"""Lone counters of the decisions whether a row names a first and a second row."""

MAX_STEPS = 64
"""Steps of the longest unary code: what codebooks need more of is left to low bits."""

MAX_LOW_BITS = 10
"""Low bits of a magnitude at most: ``MAX_STEPS << MAX_LOW_BITS`` is the largest codebook."""

WINDOW = 1024
"""Rows back that a reference may reach."""

LEAST, MOST = 16, 65520
"""Smallest and largest probability that is coded with; those of mixed decisions lie between them by themselves."""

LEAST_COST = 22711
"""Decisions that one byte of data can hold at most: ``8 / -log2(MOST / 65536)``, rounded up."""

COUNT_LIMIT = 255
"""A counter's rate falls until it has been used so many times."""

FIRST_COUNTER = 1 << 31
"""A counter at the start: 22 bits of probability (one half), 10 bits of count (none)."""

SURE = (1 << 22) - 1
"""The largest probability of a counter."""

FIRST_WEIGHT, LEAST_WEIGHT, MOST_WEIGHT = 4915, -32768, 32767
"""A mixer weight at the start, the least and the largest one, in 16384ths."""

RATE, EXTRA_RATE, RATE_DELAY = 10, 2500, 22
"""Learning rate of the mixer: ``RATE + EXTRA_RATE // (decisions so far in the block + RATE_DELAY)``.

The delay keeps 65535 times the rate, in 256ths, below 32768: it then fits a vector's 16 bits.
"""

KNOTS = (
    32, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743, 32768,
    40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65504,
)  # fmt: skip
"""The logistic function at -2048, -1920, ..., 2048, in 65536ths."""

KERNEL_SET, SIGN_SETS, STEP_SETS = 4, 5, 21
"""Weight sets: the first four are those of the zero decision; one for kernels, 16 for signs, 15 times 16 for steps."""

SETS, REFINEMENTS = STEP_SETS + 15 * 16, 66
"""Weight sets of the mixer, and rows of the table that corrects it."""


def _squash() -> np.ndarray:
    x = np.arange(4096)
    knots, below, part = np.array(KNOTS), x >> 7, x & 127
    return (knots[below] * (128 - part) + knots[below + 1] * part + 64) >> 7


def _logarithm(x: int) -> int:
    """Two steps an octave, from 0 to 15."""
    bits = max(x.bit_length() - 2, 0)
    return 0 if x == 0 else min(2 * bits + max((x >> bits) - 1, 1), 15)


def _fine(x: int) -> int:
    return 2 * x if x < 16 else 24 + x // 2 if x < 64 else min(48 + x // 8, 79)


SQUASH = _squash().astype(np.uint16)
"""(4096,) uint16: probability of the stretched value ``index - 2048``."""

STRETCH = np.clip(np.searchsorted(_squash(), np.arange(4096) * 16 + 8) - 2048, -2047, 2047).astype(np.int16)
"""(4096,) int16: smallest value in -2047..2047 whose squash reaches the probability ``16 index + 8``."""

COUNT_RATES = (40960 // (10 * np.arange(COUNT_LIMIT + 1) + 21)).astype(np.int16)
"""(256,) int16: share of its error that a counter takes after so many uses, in 4096ths."""

MIXING_RATES = (RATE + EXTRA_RATE // (np.arange(EXTRA_RATE + 1) + RATE_DELAY)).astype(np.int16)
"""(2501,) int16: learning rate of the mixer after so many decisions; the last entry is that of more."""

RECIPROCALS = 65536 // np.maximum(np.arange(MAX_KERNEL + 5), 1)
"""(261,) int64: 65536 over the index, rounded down (entry 0 is not used)."""

LOGARITHMS = np.array([_logarithm(x) for x in range(16 * MAX_STEPS + 1)], np.uint8)
"""(1025,) uint8: magnitudes, in sixteenths of a level, in steps of half an octave."""

FINE = np.array([_fine(x) for x in range(249)], np.uint8)
"""(249,) uint8: magnitudes in finer steps; larger ones take the last entry."""

for _table in (SQUASH, STRETCH, COUNT_RATES, MIXING_RATES, RECIPROCALS, LOGARITHMS, FINE):
    _table.flags.writeable = False
