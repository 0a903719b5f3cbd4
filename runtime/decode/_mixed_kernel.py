"""One block of the context-mixed codec, coded or decoded by the same kernel, so that the two cannot differ.

The reference that it equals is ``format_spec/codecs/_mixed_model.py``, which names and explains what is computed here.
What it inlines is in this file but for the vectors, see :func:`~tersor.runtime.kernels._jit.jit`.
"""

from __future__ import annotations

import numpy as np

from ...format_spec.mixing import (
    CONTEXTS,
    COUNT_LIMIT,
    COUNT_RATES,
    EXTRA_RATE,
    FINE,
    FIRST_COUNTER,
    FIRST_SETS,
    FIRST_WEIGHT,
    INPUTS,
    KERNEL_PLANE,
    LAST_UNARY_PLANE,
    LEAST,
    LOGARITHMS,
    LONE_FINE,
    LONE_NEAR,
    MOST,
    PLANES,
    RATE,
    RATE_DELAY,
    RECIPROCALS,
    REFERENCE_COUNTERS,
    REFINEMENTS,
    SECOND_SETS,
    SIGN_PLANE,
    SQUASH,
    STRETCH,
    WINDOW,
)
from ..kernels._jit import jit
from ._mixed_vectors import predict, train

VALID, BAD_REFERENCE, BAD_RANK, BAD_LENGTH = 0, 1, 2, 3
"""What :func:`code_block` returns."""

LOW, HIGH, WORD, AT, STOP, TICK = 0, 1, 2, 3, 4, 5
"""Places in the coder's state: the interval, the bytes being read, where the next byte is, where they end, decisions so far."""

TOP = 0xFFFFFFFF


@jit(forceinline=True)
def code_bit(bit, p, state, data, out, coding):
    """Code ``bit``, or decode and return it; ``p`` is the probability of a one."""
    low, high = state[LOW], state[HIGH]
    middle = low + ((high - low) * p >> 16)
    if not coding:
        bit = 1 if state[WORD] <= middle else 0
    if bit:
        high = middle
    else:
        low = middle + 1
    while (low ^ high) & 0xFF000000 == 0:
        if coding:
            if state[AT] < state[STOP]:
                out[state[AT]] = high >> 24
        else:
            byte = 0
            if state[AT] < state[STOP]:
                byte = data[state[AT]]
            state[WORD] = (state[WORD] << 8 & TOP) | byte
        state[AT] += 1
        low, high = low << 8 & TOP, (high << 8 & TOP) | 255
    state[LOW], state[HIGH] = low, high
    return bit


@jit(forceinline=True)
def decide(bit, plane, contexts, first, second, row, counters, weights, refined, lanes, state, data, out, coding):
    """Code or decode one mixed decision and learn from it; ``first``, ``second``, ``row``: weight sets, correction."""
    set_one, set_two = first * INPUTS, (FIRST_SETS + second) * INPUTS
    base = plane * (INPUTS * CONTEXTS)
    one, two = predict(counters, base, contexts, STRETCH, weights, set_one, set_two, lanes)
    one, two = min(max(one >> 16, -2047), 2047), min(max(two >> 16, -2047), 2047)
    place = ((one + two) >> 1) + 2048
    knot, part = place >> 7, place & 127
    corrected = (refined[row, knot] * (128 - part) + refined[row, knot + 1] * part) >> 7
    p = min(max((SQUASH[place] + corrected) >> 1, LEAST), MOST)
    bit = code_bit(bit, p, state, data, out, coding)
    target = 65535 if bit else 0
    knot += part > 64
    refined[row, knot] += (target - refined[row, knot]) >> 6
    rate = RATE
    if state[TICK] < EXTRA_RATE:
        rate += EXTRA_RATE // (state[TICK] + RATE_DELAY)
    state[TICK] += 1
    miss, miss2 = (target - SQUASH[one + 2048]) * rate >> 6, (target - SQUASH[two + 2048]) * rate >> 6
    train(target, miss, miss2, counters, base, contexts, COUNT_RATES, weights, set_one, set_two, lanes)
    return bit


@jit(forceinline=True)
def learn(counter, target):
    """The counter after one more bit."""
    count, p = counter & 1023, counter >> 10
    p += (((target << 6) - p) >> 3) * COUNT_RATES[count] >> 9
    p = min(max(p, 64), (1 << 22) - 64)
    return p << 10 | min(count + 1, COUNT_LIMIT)


@jit(forceinline=True)
def decide_alone(bit, at, alone, state, data, out, coding):
    """Code or decode one decision predicted by one counter."""
    p = min(max(np.int64(alone[at]) >> 16, LEAST), MOST)
    bit = code_bit(bit, p, state, data, out, coding)
    alone[at] = learn(np.int64(alone[at]), 65535 if bit else 0)
    return bit


@jit(forceinline=True)
def decide_by_two(bit, one, two, alone, state, data, out, coding):
    """Code or decode one decision predicted by the mean of two counters."""
    p = min(max((np.int64(alone[one]) + np.int64(alone[two])) >> 17, LEAST), MOST)
    bit = code_bit(bit, p, state, data, out, coding)
    target = 65535 if bit else 0
    alone[one], alone[two] = learn(np.int64(alone[one]), target), learn(np.int64(alone[two]), target)
    return bit


@jit
def code_reference(references, r, which, alone, state, data, out, coding):
    """Which earlier row ``r`` names: distance (0: none) and sign, at ``references[r, 2 * which:]``."""
    reach = min(r, WINDOW)
    used = decide_alone(1 if references[r, 2 * which] else 0, which, alone, state, data, out, coding)
    if not used:
        references[r, 2 * which], references[r, 2 * which + 1] = 0, 1
        return VALID
    back, mask = np.int64(references[r, 2 * which]) - 1, 1
    value = np.int64(0)
    while mask < reach:
        mask <<= 1
    mask >>= 1
    while mask:
        value = value * 2 + code_bit(1 if back & mask else 0, 32768, state, data, out, coding)
        mask >>= 1
    if value >= reach:
        return BAD_REFERENCE
    opposite = code_bit(1 if references[r, 2 * which + 1] < 0 else 0, 32768, state, data, out, coding)
    references[r, 2 * which], references[r, 2 * which + 1] = value + 1, -1 if opposite else 1
    return VALID


@jit(forceinline=True)
def log_of(x):
    """Half octaves of a magnitude in sixteenths."""
    return LOGARITHMS[min(x, 256)]


@jit(forceinline=True)
def sign_of(x):
    """0, 1 or 2 for zero, positive, negative."""
    return 0 if x == 0 else 1 if x > 0 else 2


@jit(forceinline=True)
def clip(x, most):
    """``x`` in -most..most, from 0."""
    return min(max(x, -most), most) + most


@jit(forceinline=True)
def lean(x, scale):
    """How far a signed mean leans beside a mean magnitude, 0..8."""
    steps, size = np.int64(0), 8 * abs(x) + (scale >> 1)
    for i in range(1, 5):
        steps += size >= i * (scale + 1)
    return 4 + steps if x > 0 else 4 - steps


@jit(forceinline=True)
def total(q, r, begin, end):
    """Sum of magnitudes in columns of a row."""
    found = np.int64(0)
    for c in range(begin, end):
        found += abs(np.int64(q[r, c]))
    return found


@jit
def code_block(
    q, low, references, kernel, width, low_bits, mixed_steps, positives, negatives, kernel_zeros, named,
    data, out, begin, end, coding,
):  # fmt: skip
    """Code (``coding``) or decode the levels ``q`` of one block.

    ``q`` (rows + 1, columns) int8: row 0 is zero and stands for rows that are not there; a level is the sign times
    ``1 + (rank - 1 >> low_bits)``. ``low`` (rows + 1, columns) uint16: low bits of ``rank - 1``, read when there are any.
    ``references`` (rows, 4) int32: distance and sign of two earlier rows, distance 0 for none; read when ``named``.
    The block takes ``begin:end`` of ``data`` (bytes,) uint8, read-only, or of ``out``, uint8: what does not fit there is
    counted but not written.
    Returns (status, offset after the block's last byte).
    """
    rows, columns = q.shape[0] - 1, q.shape[1]
    counters = np.full(PLANES * INPUTS * CONTEXTS, FIRST_COUNTER, np.uint32)
    fine_base = REFERENCE_COUNTERS + (16 << low_bits)
    near_base = fine_base + LONE_FINE
    alone = np.full(near_base + LONE_NEAR, FIRST_COUNTER, np.uint32)
    weights = np.full((FIRST_SETS + SECOND_SETS) * INPUTS, FIRST_WEIGHT, np.int32)
    refined = np.empty((REFINEMENTS, 33), np.int64)
    for knot in range(33):
        refined[:, knot] = SQUASH[min(knot * 128, 4095)]
    lanes, x = np.zeros(2 * INPUTS, np.int32), np.zeros(INPUTS, np.int64)
    state = np.zeros(6, np.int64)
    state[HIGH], state[AT], state[STOP] = TOP, begin, end
    if not coding:
        for _ in range(4):
            state[WORD] = state[WORD] << 8 | (data[state[AT]] if state[AT] < end else 0)
            state[AT] += 1
    groups = (columns + kernel - 1) // kernel
    column_mean, column_sum = np.full(columns, 16, np.int64), np.zeros(columns, np.int64)
    group_mean = np.full(groups, 16, np.int64)
    place = np.empty(kernel, np.int64)
    for k in range(kernel):
        place[k] = k if kernel <= 16 else 16 * k // kernel
    row_mean = np.int64(64)
    last_place = np.int64(1) << 62 if coding else end + 4
    two_signs = positives > 0 and negatives > 0
    for r in range(rows):
        row_sum, at, a, b, fa, fb = np.int64(0), r + 1, r, max(r - 1, 0), 1, 1
        if named and r > 0:
            status = code_reference(references, r, 0, alone, state, data, out, coding)
            if status == VALID and r > 1:
                status = code_reference(references, r, 1, alone, state, data, out, coding)
            if status != VALID:
                return status, state[AT]
            if references[r, 0]:
                a, fa = at - references[r, 0], references[r, 1]
                b = r if a != r else b
            if r > 1 and references[r, 2]:
                b, fb = at - references[r, 2], references[r, 3]
        for g in range(groups):
            if state[AT] > last_place:
                return BAD_LENGTH, state[AT]
            c0 = g * kernel
            c1 = min(c0 + kernel, columns)
            count = c1 - c0
            like, last = total(q, a, c0, c1), np.int64(0)
            if g > 0:
                last = total(q, at, c0 - kernel, c0)
            like_mean, last_mean = like * RECIPROCALS[count] >> 12, last * RECIPROCALS[kernel] >> 12
            around, like_log = like_mean + last_mean + 2 * group_mean[g], log_of(like_mean)
            if kernel_zeros:
                before_last = np.int64(0)
                if g > 1:
                    before_last = total(q, at, c0 - 2 * kernel, c0 - kernel)
                row, group, last_log = row_mean >> 2, group_mean[g], log_of(last_mean)
                x[0] = log_of(row) * 16 + log_of(group)
                x[1] = log_of(group) * 16 + like_log
                x[2] = min(like, 5) * 36 + min(total(q, b, c0, c1), 5) * 6 + min(last, 5)
                x[3] = log_of((group + row) >> 1)
                x[4] = min(last, 5) * 6 + min(before_last, 5)
                x[5] = log_of((2 * group + row + like_mean) >> 2) * 16 + last_log
                x[6] = log_of(group)
                x[7] = log_of(row)
                some = 1 if coding and total(q, at, c0, c1) else 0
                some = decide(some, KERNEL_PLANE, x, 5, 272, 65, counters, weights, refined, lanes, state, data, out, coding)
                if not some:
                    for c in range(c0, c1):
                        column_mean[c] -= column_mean[c] * 20 >> 8
                    group_mean[g] -= group_mean[g] * 20 >> 8
                    row_mean -= row_mean * min(count, 64) >> 8
                    continue
            inside, balance = np.int64(0), np.int64(0)
            for c in range(c0, c1):
                k = c - c0
                column = k % width
                left = np.int64(q[at, c - 1]) if column > 0 else 0
                left2 = np.int64(q[at, c - 2]) if k > 1 else 0
                above = np.int64(q[at, c - width]) if k >= width else 0
                above_left = np.int64(q[at, c - width - 1]) if k > width and column > 0 else 0
                above_right = np.int64(q[at, c - width + 1]) if k >= width and column < width - 1 else 0
                before = np.int64(q[at, c - kernel]) if g > 0 else 0
                before2 = np.int64(q[at, c - 2 * kernel]) if g > 1 else 0
                up, up2 = np.int64(q[a, c]) * fa, np.int64(q[b, c]) * fb
                if kernel == 1:
                    left, left2 = before, before2
                left_size, above_size, before_size, up_size = abs(left), abs(above), abs(before), abs(up)
                row, usual = row_mean >> 2, column_mean[c]
                inside_log = log_of(inside * RECIPROCALS[k] >> 12) if k > 0 else 0
                local = (16 * inside + around) * RECIPROCALS[k + 4] >> 16
                near = 2 * (left_size + above_size) + abs(above_left) + abs(above_right) + before_size + up_size
                near = (16 * near + 2 * usual) * RECIPROCALS[10] >> 16
                expected = (row + usual + 2 * local) >> 2
                level = log_of(expected)
                x[0] = min(left_size, 3) * 64 + min(above_size, 3) * 16 + min(abs(left2), 3) * 4 + min(abs(above_right), 3)
                x[1] = inside_log * 16 + place[k]
                x[2] = min(up_size, 3) * 64 + min(abs(up2), 3) * 16 + min(before_size, 3) * 4 + min(abs(before2), 3)
                x[3] = log_of(usual) * 16 + inside_log
                x[4] = log_of(local) * 16 + log_of(4 * (before_size + abs(before2) + left_size + abs(left2)))
                x[5] = log_of(row) * 16 + place[k]
                x[6] = FINE[min(expected, 248)]
                near_log = log_of(near)
                x[7] = near_log * 16 + like_log
                value = np.int64(q[at, c])
                size, bit = abs(value), 1
                if not (kernel_zeros and c == c1 - 1 and inside == 0):
                    chosen = (1 if k == 0 else 0) + (2 if inside == 0 else 0)
                    bit = decide(
                        1 if size else 0,
                        0,
                        x,
                        chosen,
                        level,
                        level,
                        counters,
                        weights,
                        refined,
                        lanes,
                        state,
                        data,
                        out,
                        coding,
                    )
                if bit:
                    b0, b1, b2, b3, b4, b5, b6, b7 = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
                    negative = 1 if positives == 0 else 0
                    if two_signs:
                        ls, us, vs = sign_of(left), sign_of(above), sign_of(up)
                        tilt = clip(balance, 4)
                        x[0] = ((ls * 3 + us) * 3 + sign_of(left2)) * 3 + sign_of(above_right)
                        x[1] = clip(up, 3) * 7 + clip(up2, 3)
                        x[2] = lean(row_sum, row) * 9 + lean(column_sum[c], usual)
                        x[3] = tilt * 9 + us * 3 + ls
                        x[4] = clip(left, 4) * 9 + clip(above, 4)
                        x[5] = place[k] * 9 + vs * 3 + ls
                        x[6] = ((sign_of(above_left) * 3 + ls) * 3 + us) * 3 + vs
                        x[7] = clip(before, 4) * 9 + clip(up, 4)
                        negative = decide(
                            1 if value < 0 else 0, SIGN_PLANE, x, 4, 256 + place[k], 64,
                            counters, weights, refined, lanes, state, data, out, coding,
                        )  # fmt: skip
                    x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7] = b0, b1, b2, b3, b4, b5, b6, b7
                    ranks = negatives if negative else positives
                    last_step, step = (ranks - 1) >> low_bits, np.int64(0)
                    while step < last_step:
                        plane = min(step + 1, LAST_UNARY_PLANE)
                        if step < mixed_steps:
                            more = decide(
                                1 if size > step + 1 else 0, plane, x, 5 + plane, min(step + 1, 15) * 16 + level,
                                min(step + 1, 3) * 16 + level, counters, weights, refined, lanes, state, data, out, coding,
                            )  # fmt: skip
                        else:
                            fine_at = fine_base + plane * 128 + x[6]
                            near_at = near_base + plane * 256 + min(up_size, 15) * 16 + near_log
                            more = decide_by_two(1 if size > step + 1 else 0, fine_at, near_at, alone, state, data, out, coding)
                        if not more:
                            break
                        step += 1
                    if low_bits:
                        node, base = np.int64(1), REFERENCE_COUNTERS + ((min(step, 7) * 2 + negative) << low_bits)
                        for i in range(low_bits - 1, -1, -1):
                            node = node * 2 + decide_alone(low[at, c] >> i & 1, base + node, alone, state, data, out, coding)
                        low[at, c] = node - (1 << low_bits)
                        if (step << low_bits) + low[at, c] >= ranks:
                            return BAD_RANK, state[AT]
                    size = step + 1
                    value = -size if negative else size
                    q[at, c] = value
                    inside += size
                    balance += 1 if value > 0 else -1
                seen = min(size, 20) * 16
                signed = seen if value > 0 else -seen
                row_sum += (signed - row_sum) >> 5
                column_sum[c] += (signed - column_sum[c]) >> 3
                column_mean[c] += (seen - column_mean[c]) * 20 >> 8
                row_mean += (4 * seen - row_mean) >> 5
            group_mean[g] += ((inside * RECIPROCALS[count] >> 12) - group_mean[g]) * 20 >> 8
    if coding:
        if state[AT] < end:
            out[state[AT]] = (state[LOW] >> 24) + 1
        return VALID, state[AT] + 1
    return VALID if state[AT] - 3 == end else BAD_LENGTH, state[AT] - 3
