"""Binary decisions of the context-mixed codec, coded or decoded by the same code, so that the two cannot differ.

The reference that they equal is ``format_spec/codecs/_mixed_model.py``. A *coder* is (low, high, word, at): the interval, the
four bytes being read, and where the next byte is. Tables and arrays are read at unsigned places, which Numba need not wrap.
"""

from __future__ import annotations

import numpy as np

from ...format_spec.mixing import (
    CONTEXTS,
    COUNT_LIMIT,
    COUNT_RATES,
    EXTRA_RATE,
    INPUTS,
    KNOTS,
    LEAST,
    MIXING_RATES,
    MOST,
    SQUASH,
    STRETCH,
    SURE,
)
from ..kernels._jit import jit
from ._mixed_vectors import predict, settled, train

TOP = 0xFFFFFFFF
ROW = len(KNOTS)
"""Entries of a row of corrections."""

MOST_MISS = (1 << 15) - 1


LANES = 2 * INPUTS
"""Places of ``lanes`` that one foreseen decision takes."""


@jit(forceinline=True)
def _narrowed(bit, low, middle, high, is_steady):
    """The bit and the part of the interval that it leaves.

    A branch is predicted by the processor, which is quick when the bit is likely; ``is_steady`` chooses without one.
    """
    if is_steady:
        return bit, low if bit else middle + 1, middle if bit else high
    if bit:
        return settled(1), low, middle
    return settled(0), middle + 1, high


@jit(forceinline=True)
def code_bit(bit, p, is_steady, coder, data, out, stop):
    """Code ``bit``, or decode it when ``out`` is ``None``; ``p`` is the probability of a one. Returns the bit and the coder.

    Bytes go to ``out`` or come from ``data``, at places below ``stop``: others are counted but not written, and read as 0.
    """
    low, high, word, at = coder
    middle = low + ((high - low) * p >> 16)
    if out is None:
        bit = np.int64(word <= middle)
    bit, low, high = _narrowed(bit, low, middle, high, is_steady)
    while (low ^ high) & 0xFF000000 == 0:
        if out is not None:
            if at < stop:
                out[np.uint64(at)] = high >> 24
        else:
            byte = np.int64(0)
            if at < stop:
                byte = np.int64(data[np.uint64(at)])
            word = (word << 8 & TOP) | byte
        at += 1
        low, high = low << 8 & TOP, (high << 8 & TOP) | 255
    return bit, (low, high, word, at)


@jit(forceinline=True)
def foresee(plane, x0, x1, x2, x3, chosen, row, model, lane):
    """Predict one mixed decision from its contexts, weight set and row of corrections; what :func:`settle` takes.

    ``model`` is (counters, weights, corrections, lanes); the prediction keeps ``LANES`` places of lanes from ``lane`` on. It is
    apart from settling so that the processor predicts several decisions at a time, when none of them changes the others'.
    """
    counters, weights, refined, lanes = model
    base, weight = plane * (INPUTS * CONTEXTS), chosen * INPUTS
    a0, a1, a2, a3 = base + x0, base + CONTEXTS + x1, base + 2 * CONTEXTS + x2, base + 3 * CONTEXTS + x3
    mixed = predict(counters, a0, a1, a2, a3, STRETCH, weights, weight, lanes, lane) >> 14
    place = min(max(mixed, -2047), 2047) + 2048
    expected, knot, part = np.int64(SQUASH[np.uint64(place)]), place >> 7, place & 127
    at = row * ROW + knot
    below, above = np.int64(refined[np.uint64(at)]), np.int64(refined[np.uint64(at + 1)])
    p = (expected + ((below * (128 - part) + above * part) >> 7)) >> 1
    return min(max(p, LEAST), MOST), expected, at + (part > 64), a0, a1, a2, a3, weight


@jit(forceinline=True)
def settle(bit, foreseen, is_steady, model, lane, tick, coder, data, out, stop):
    """Code or decode a foreseen decision, ``tick`` mixed ones being before it, and learn. Returns the bit and the coder."""
    counters, weights, refined, lanes = model
    p, expected, nearest, a0, a1, a2, a3, weight = foreseen
    bit, coder = code_bit(bit, p, is_steady, coder, data, out, stop)
    target, found = 65535 * bit, np.int64(refined[np.uint64(nearest)])
    refined[np.uint64(nearest)] = found + ((target - found) >> 6)
    rate = np.int64(MIXING_RATES[np.uint64(min(tick, EXTRA_RATE))])
    miss = min(max((target - expected) * rate >> 8, -MOST_MISS), MOST_MISS)
    train(bit, miss, counters, a0, a1, a2, a3, COUNT_RATES, weights, weight, lanes, lane)
    return bit, coder


@jit(forceinline=True)
def learned(counter, bit):
    """The counter after one more bit."""
    count, mask = counter & 1023, -bit & SURE
    p = (counter >> 10) ^ mask
    p -= (p >> 3) * np.int64(COUNT_RATES[np.uint64(count)]) >> 9
    return (p ^ mask) << 10 | min(count + 1, COUNT_LIMIT)


@jit(forceinline=True)
def decide_alone(bit, place, alone, coder, data, out, stop):
    """Code or decode one decision predicted by one counter; returns the bit and the coder."""
    at = np.uint64(place)
    counter = np.int64(alone[at])
    bit, coder = code_bit(bit, min(max(counter >> 16, LEAST), MOST), False, coder, data, out, stop)
    alone[at] = learned(counter, bit)
    return bit, coder


@jit(forceinline=True)
def decide_by_two(bit, one, two, alone, coder, data, out, stop):
    """Code or decode one decision predicted by the mean of two counters; returns the bit and the coder."""
    first, second = np.uint64(one), np.uint64(two)
    a, b = np.int64(alone[first]), np.int64(alone[second])
    bit, coder = code_bit(bit, min(max((a + b) >> 17, LEAST), MOST), False, coder, data, out, stop)
    alone[first], alone[second] = learned(a, bit), learned(b, bit)
    return bit, coder
