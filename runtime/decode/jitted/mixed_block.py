"""One block of the context-mixed codec, coded or decoded by the same code, so that the two cannot differ.

The reference that it equals is ``format_spec/codecs/_mixed_levels.py``, which names and explains what is computed here.
"""

from __future__ import annotations

import numpy as np

from ....format_spec.mixing import (
    FIRST_COUNTER,
    FIRST_WEIGHT,
    INPUTS,
    LONE_FINE,
    LONE_NEAR,
    PLANES,
    REFERENCE_COUNTERS,
    REFINEMENTS,
    SETS,
    SQUASH,
    WINDOW,
)
from ...jit.jitted import jit
from .mixed_contexts import places_of
from .mixed_decisions import PLANE, ROW, TOP, code_bit, decide_alone
from .mixed_row import BAD_LENGTH, BAD_REFERENCE, VALID, code_row


@jit
def code_reference(references, r, which, alone, coder, data, out, stop):
    """Which earlier row ``r`` names: distance (0: none) and sign, at ``references[r, 2 * which:]``; (status, coder)."""
    reach, distance, sign = min(r, WINDOW), np.int64(references[r, 2 * which]), np.int64(references[r, 2 * which + 1])
    used, coder = decide_alone(np.int64(distance > 0), which, alone, coder, data, out, stop)
    if not used:
        references[r, 2 * which], references[r, 2 * which + 1] = 0, 1
        return VALID, coder
    mask, value = np.int64(1), np.int64(0)
    while mask < reach:
        mask <<= 1
    mask >>= 1
    while mask:
        bit, coder = code_bit(np.int64((distance - 1) & mask != 0), 32768, True, coder, data, out, stop)
        value = value * 2 + bit
        mask >>= 1
    if value >= reach:
        return BAD_REFERENCE, coder
    opposite, coder = code_bit(np.int64(sign < 0), 32768, True, coder, data, out, stop)
    references[r, 2 * which], references[r, 2 * which + 1] = value + 1, -1 if opposite else 1
    return VALID, coder


@jit
def new_model():
    """Counters, weights and corrections of :func:`.mixed_decisions.foresee`, none of which has learnt."""
    refined = np.empty(REFINEMENTS * ROW, np.int32)
    for at in range(len(refined)):
        refined[at] = SQUASH[min(at % ROW * 128, 4095)]
    counters = np.full(PLANES * PLANE, FIRST_COUNTER, np.uint32)
    return counters, np.full(SETS * INPUTS, FIRST_WEIGHT, np.int16), refined


@jit
def new_coder(data, out, begin, end):
    """The coder of a block that takes ``begin:end``, before its first decision."""
    word, at = np.int64(0), np.int64(begin)
    if out is None:
        for _ in range(4):
            word = word << 8 | (np.int64(data[at]) if at < end else 0)
            at += 1
    return np.int64(0), np.int64(TOP), word, at


@jit
def rows_before(references, r, named, alone, coder, data, out, stop):
    """Two rows of ``q`` that resemble row ``r`` of the block: those that it names, or those before it; (status, the first one,
    the second one, the sign of the first one's levels, coder)."""
    a, b, sign = r, max(r - 1, 0), np.int64(1)
    if not named or r == 0:
        return VALID, a, b, sign, coder
    status, coder = code_reference(references, r, 0, alone, coder, data, out, stop)
    if status == VALID and r > 1:
        status, coder = code_reference(references, r, 1, alone, coder, data, out, stop)
    if status != VALID:
        return status, a, b, sign, coder
    if references[r, 0]:
        a, sign = r + 1 - np.int64(references[r, 0]), np.int64(references[r, 1])
        b = r if a != r else b
    if r > 1 and references[r, 2]:
        b = r + 1 - np.int64(references[r, 2])
    return VALID, a, b, sign, coder


@jit
def code_block(
    q, low, references, kernel, width, low_bits, mixed_steps, positives, negatives, kernel_zeros, named,
    data, out, begin, end,
):  # fmt: skip
    """Code the levels ``q`` of one block, or decode them when ``out`` is ``None``.

    ``q`` (rows + 1, columns) int8: row 0 is zero and stands for rows that are not there; a level is the sign times
    ``1 + (rank - 1 >> low_bits)``. ``low`` (rows + 1, columns) uint16: low bits of ``rank - 1``, read when there are any.
    ``references`` (rows, 4) int32: distance and sign of two earlier rows, distance 0 for none; read when ``named``.
    The block takes ``begin:end`` of ``data`` (bytes,) uint8, read-only, or of ``out``, uint8: what does not fit there is
    counted but not written.
    Returns (status, offset after the block's last byte).
    """
    rows, columns = q.shape[0] - 1, q.shape[1]
    groups, head = (columns + kernel - 1) // kernel, (kernel, width, low_bits, mixed_steps, positives, negatives, kernel_zeros)
    model = new_model()
    alone = np.full(REFERENCE_COUNTERS + (16 << low_bits) + LONE_FINE + LONE_NEAR, FIRST_COUNTER, np.uint32)
    sums = np.zeros((rows + 1, groups), np.uint16)
    column_mean, column_sum = np.full(columns, 16, np.int32), np.zeros(columns, np.int32)
    group_mean = np.full(groups, 16, np.int32)
    places, seen = places_of(kernel, width)
    small, similar = np.zeros((rows + 1, columns), np.uint8), np.zeros(columns, np.uint8)
    around_here = np.zeros(columns + max(width, 2), np.uint8)
    coder, tick, row_mean = new_coder(data, out, begin, end), np.int64(0), np.int64(64)
    for r in range(rows):
        status, a, b, up_sign, coder = rows_before(references, r, named, alone, coder, data, out, end)
        if status != VALID:
            return status, coder[3]
        around_here[:] = 0
        for c in range(columns):
            similar[c] = small[a, c] << 2 | small[b, c]
        here = r + 1
        status, row_mean, tick, coder = code_row(
            q[here], low[here if low_bits else 0], q[a], up_sign, sums[here], sums[a], sums[b], small[here], similar,
            around_here, column_mean, column_sum, group_mean, row_mean, places, seen, head, model, alone, tick, coder,
            data, out, end,
        )  # fmt: skip
        if status != VALID:
            return status, coder[3]
    interval, _, _, at = coder
    if out is not None:
        if at < end:
            out[at] = (interval >> 24) + 1
        return VALID, at + 1
    return VALID if at - 3 == end else BAD_LENGTH, at - 3
