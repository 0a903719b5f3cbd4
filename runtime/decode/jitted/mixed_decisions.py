"""Binary decisions of the context-mixed codec, coded or decoded by the same code, so that the two cannot differ.

The reference that they equal is ``format_spec/codecs/_mixed_model.py``. A *coder* is (low, high, word, at): the interval, the
four bytes being read, and where the next byte is. Tables and arrays are read at unsigned places, which Numba need not wrap.
"""

from __future__ import annotations

import numpy as np

from ....format_spec.mixing import (
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
from ...jit.jitted import jit
from .mixed_vectors import settled, train_counters, train_weights

TOP = 0xFFFFFFFF
ROW = len(KNOTS)
"""Entries of a row of corrections."""

PLANE = INPUTS * CONTEXTS + 16
"""From a plane's counters to the next one's: contexts that several planes share must not be whole pages apart in memory."""


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
def _stretched(counter):
    return np.int64(STRETCH[np.uint64(counter >> 20)])


@jit(forceinline=True)
def _weighed(inputs, weights, first):
    """The mixer's value before its bounds."""
    s0, s1, s2, s3 = inputs
    total = s0 * np.int64(weights[np.uint64(first)]) + s1 * np.int64(weights[np.uint64(first + 1)])
    total += s2 * np.int64(weights[np.uint64(first + 2)]) + s3 * np.int64(weights[np.uint64(first + 3)])
    return total >> 14


@jit(forceinline=True)
def foresee(plane, x0, x1, x2, x3, chosen, row, model):
    """Predict one mixed decision from its contexts, weight set and row of corrections; what :func:`settle` takes.

    ``model`` is (counters, weights, corrections). It is apart from settling so that the processor predicts several decisions
    at a time, when none of them changes the others'. Numbers that are needed early stay out of vectors: they take long to get
    there and back.
    """
    counters, weights, refined = model
    base, first = plane * PLANE, chosen * INPUTS
    places = base + x0, base + CONTEXTS + x1, base + 2 * CONTEXTS + x2, base + 3 * CONTEXTS + x3
    c0, c1 = np.int64(counters[np.uint64(places[0])]), np.int64(counters[np.uint64(places[1])])
    c2, c3 = np.int64(counters[np.uint64(places[2])]), np.int64(counters[np.uint64(places[3])])
    inputs = _stretched(c0), _stretched(c1), _stretched(c2), _stretched(c3)
    place = min(max(_weighed(inputs, weights, first), -2047), 2047) + 2048
    expected, nearest = np.int64(SQUASH[np.uint64(place)]), row * ROW + ((place + 63) >> 7)
    p = (expected + np.int64(refined[np.uint64(nearest)])) >> 1
    return p, expected, nearest, places, (c0, c1, c2, c3), inputs, first


@jit(forceinline=True)
def settle(bit, foreseen, is_steady, model, tick, coder, data, out, stop):
    """Code or decode a foreseen decision, ``tick`` mixed ones being before it, and learn. Returns the bit and the coder."""
    counters, weights, refined = model
    p, expected, nearest, places, found, inputs, first = foreseen
    bit, coder = code_bit(bit, p, is_steady, coder, data, out, stop)
    target, correction = 65535 * bit, np.int64(refined[np.uint64(nearest)])
    refined[np.uint64(nearest)] = correction + ((target - correction) >> 6)
    rate = np.int64(MIXING_RATES[np.uint64(min(tick, EXTRA_RATE))])
    train_weights((target - expected) * rate >> 8, inputs, weights, first)
    train_counters(bit, found, counters, places)
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
