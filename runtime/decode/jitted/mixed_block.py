"""One block of the context-mixed codec, coded or decoded by the same code, so that the two cannot differ.

The reference that it equals is ``format_spec/codecs/_mixed_levels.py``, which names and explains what is computed here. What
only some decisions need is computed when they come: most positions are zero.
"""

from __future__ import annotations

import numpy as np

from ....format_spec.mixing import (
    FINE,
    FIRST_COUNTER,
    FIRST_WEIGHT,
    INPUTS,
    KERNEL_PLANE,
    KERNEL_SET,
    LAST_UNARY_PLANE,
    LONE_FINE,
    LONE_NEAR,
    PLANES,
    RECIPROCALS,
    REFERENCE_COUNTERS,
    REFINEMENTS,
    SETS,
    SIGN_PLANE,
    SIGN_SETS,
    SQUASH,
    STEP_SETS,
    WINDOW,
    ZERO_PLANE,
)
from ...jit.jitted import jit
from .mixed_contexts import ABOVE, ABOVE_RIGHT, LEFT, LEFT2, clip, lean, level_at, log_of, mean_of, places_of, sign_of
from .mixed_decisions import PLANE, ROW, TOP, code_bit, decide_alone, decide_by_two, foresee, settle

VALID, BAD_REFERENCE, BAD_RANK, BAD_LENGTH = 0, 1, 2, 3
"""What :func:`code_block` returns."""


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
def code_low_bits(given, low_bits, base, alone, coder, data, out, stop):
    """The low bits of a rank less one, most significant first, their counters from ``base`` on; (bits, coder)."""
    node = np.int64(1)
    for i in range(low_bits - 1, -1, -1):
        bit, coder = decide_alone(given >> i & 1, base + node, alone, coder, data, out, stop)
        node = node * 2 + bit
    return node - (1 << low_bits), coder


@jit
def new_model():
    """Counters, weights and corrections of :func:`.mixed_decisions.foresee`, none of which has learnt."""
    refined = np.empty(REFINEMENTS * ROW, np.int32)
    for at in range(len(refined)):
        refined[at] = SQUASH[min(at % ROW * 128, 4095)]
    counters = np.full(PLANES * PLANE, FIRST_COUNTER, np.uint32)
    return counters, np.full(SETS * INPUTS, FIRST_WEIGHT, np.int16), refined


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
    rows, columns, is_coding = q.shape[0] - 1, q.shape[1], out is not None
    groups = (columns + kernel - 1) // kernel
    model = new_model()
    fine_base = REFERENCE_COUNTERS + (16 << low_bits)
    near_base = fine_base + LONE_FINE
    alone = np.full(near_base + LONE_NEAR, FIRST_COUNTER, np.uint32)
    sums = np.zeros((rows + 1, groups), np.uint16)
    column_mean, column_sum = np.full(columns, 16, np.int32), np.zeros(columns, np.int32)
    group_mean = np.full(groups, 16, np.int32)
    places, seen = places_of(kernel, width)
    small, similar = np.zeros((rows + 1, columns), np.uint8), np.zeros(columns, np.uint8)
    around_here = np.zeros(columns + max(width, 2), np.uint8)
    word, at, tick = np.int64(0), np.int64(begin), np.int64(0)
    if out is None:
        for _ in range(4):
            word = word << 8 | (np.int64(data[at]) if at < end else 0)
            at += 1
    coder = (np.int64(0), np.int64(TOP), word, at)
    row_mean = np.int64(64)
    last_place = np.int64(1) << 62 if is_coding else end + 4
    two_signs = positives > 0 and negatives > 0
    for r in range(rows):
        here, a, b, up_sign, row_sum = r + 1, r, max(r - 1, 0), np.int64(1), np.int64(0)
        if named and r > 0:
            status, coder = code_reference(references, r, 0, alone, coder, data, out, end)
            if status == VALID and r > 1:
                status, coder = code_reference(references, r, 1, alone, coder, data, out, end)
            if status != VALID:
                return status, coder[3]
            if references[r, 0]:
                a, up_sign = here - np.int64(references[r, 0]), np.int64(references[r, 1])
                b = r if a != r else b
            if r > 1 and references[r, 2]:
                b = here - np.int64(references[r, 2])
        line, up_line, own_sums, up_sums, up2_sums = q[here], q[a], sums[here], sums[a], sums[b]
        small_line = small[here]
        around_here[:] = 0
        for c in range(columns):
            similar[c] = small[a, c] << 2 | small[b, c]
        last, last2 = np.int64(0), np.int64(0)
        for g in range(groups):
            if coder[3] > last_place:
                return BAD_LENGTH, coder[3]
            c0 = g * kernel
            c1 = min(c0 + kernel, columns)
            like, group = np.int64(up_sums[np.uint64(g)]), np.int64(group_mean[np.uint64(g)])
            like_mean, row = mean_of(like, c1 - c0), row_mean >> 2
            row_log, some = log_of(row), np.int64(1)
            if kernel_zeros:
                group_log = log_of(group)
                x1 = min(like, 5) * 36 + min(np.int64(up2_sums[np.uint64(g)]), 5) * 6 + min(last, 5)
                some = np.int64(np.any(line[c0:c1])) if is_coding else some
                x0, x2, x3 = 16 * row_log + group_log, 16 * group_log + log_of(like_mean), 6 * min(last, 5) + min(last2, 5)
                foreseen = foresee(KERNEL_PLANE, x0, x1, x2, x3, KERNEL_SET, 65, model)
                some, coder = settle(some, foreseen, False, model, tick, coder, data, out, end)
                tick += 1
                if not some:
                    for c in range(np.uint64(c0), np.uint64(c1)):
                        column_mean[c] += -column_mean[c] * 20 >> 8
            local = (like_mean + mean_of(last, kernel) + 2 * group) >> 2
            inside, inside_part, balance = np.int64(0), np.int64(0), np.int64(0)
            for c in range(c0, c1 if some else c0):
                k = c - c0
                place_c = np.uint64(c)
                usual, spot = np.int64(column_mean[place_c]), places[np.uint64(k)]
                expected = (row + usual + 2 * local) >> 2
                level = log_of(expected)
                x0 = np.int64(around_here[place_c]) & seen[np.uint64(k)]
                x1, x3 = inside_part + spot, 16 * row_log + spot
                x2 = 16 * log_of(usual) + np.int64(similar[place_c])
                value = level_at(line, c) if is_coding else np.int64(0)
                size, bit = abs(value), np.int64(1)
                if not (kernel_zeros and c == c1 - 1 and inside == 0):
                    chosen = np.int64(k == 0) + 2 * np.int64(inside == 0)
                    foreseen = foresee(ZERO_PLANE, x0, x1, x2, x3, chosen, level, model)
                    bit, coder = settle(np.int64(size > 0), foreseen, False, model, tick, coder, data, out, end)
                    tick += 1
                if not bit:
                    column_mean[place_c] = usual + (-usual * 20 >> 8)
                    local += -local >> 3
                    continue
                left = level_at(line, c - 1) if seen[np.uint64(k)] & LEFT and c > 0 else np.int64(0)
                left2 = level_at(line, c - 2) if seen[np.uint64(k)] & LEFT2 and c > 1 else np.int64(0)
                above = level_at(line, c - width) if seen[np.uint64(k)] & ABOVE else np.int64(0)
                above_right = level_at(line, c - width + 1) if seen[np.uint64(k)] & ABOVE_RIGHT else np.int64(0)
                before, up = level_at(line, c - kernel) if g > 0 else np.int64(0), level_at(up_line, c) * up_sign
                negative = np.int64(positives == 0)
                foreseen = foresee(1, x0, x1, x2, x3, STEP_SETS + level, 16 + level, model)
                if two_signs:
                    left_sign, above_sign = sign_of(left), sign_of(above)
                    s0 = ((left_sign * 3 + above_sign) * 3 + sign_of(left2)) * 3 + sign_of(above_right)
                    s1 = lean(row_sum, row) * 9 + lean(np.int64(column_sum[place_c]), usual)
                    s2, s3 = clip(before, 4) * 9 + clip(up, 4), clip(balance, 4) * 9 + above_sign * 3 + left_sign
                    signs = foresee(SIGN_PLANE, s0, s1, s2, s3, SIGN_SETS + spot, 64, model)
                    negative, coder = settle(np.int64(value < 0), signs, True, model, tick, coder, data, out, end)
                    tick += 1
                ranks = negatives if negative else positives
                last_step, step, lone = (ranks - 1) >> low_bits, np.int64(0), min(mixed_steps, (ranks - 1) >> low_bits)
                more = np.int64(1)
                while more and step < lone:
                    if step > 0:
                        i = min(step + 1, 15)
                        plane, chosen = min(step + 1, LAST_UNARY_PLANE), STEP_SETS + 16 * (i - 1) + level
                        foreseen = foresee(plane, x0, x1, x2, x3, chosen, min(i, 3) * 16 + level, model)
                    more, coder = settle(np.int64(size > step + 1), foreseen, False, model, tick, coder, data, out, end)
                    tick += 1
                    step += more
                if more and step < last_step:
                    near = 2 * (abs(left) + abs(above)) + abs(left2) + abs(above_right) + abs(before) + abs(up)
                    near_log = log_of((16 * near + 2 * usual) * RECIPROCALS[10] >> 16)
                    fine_at = fine_base + np.int64(FINE[np.uint64(min(expected, 248))])
                    near_at = near_base + min(abs(up), 15) * 16 + near_log
                    while more and step < last_step:
                        plane = min(step + 1, LAST_UNARY_PLANE)
                        more, coder = decide_by_two(
                            np.int64(size > step + 1), fine_at + 128 * plane, near_at + 256 * plane,
                            alone, coder, data, out, end,
                        )  # fmt: skip
                        step += more
                if low_bits:
                    base = REFERENCE_COUNTERS + ((min(step, 7) * 2 + negative) << low_bits)
                    rest, coder = code_low_bits(np.int64(low[here, place_c]), low_bits, base, alone, coder, data, out, end)
                    low[here, place_c] = rest
                    if (step << low_bits) + rest >= ranks:
                        return BAD_RANK, coder[3]
                size = step + 1
                value = -size if negative else size
                line[place_c] = value
                least = min(size, 3)
                small_line[place_c] = least
                around_here[np.uint64(c + 1)] |= least << 6
                around_here[np.uint64(c + 2)] |= least << 2
                around_here[np.uint64(c + width)] |= least << 4
                around_here[np.uint64(c + width - 1)] |= least
                inside += size
                inside_part = 16 * min(inside, 15)
                balance += 1 - 2 * negative
                full = min(size, 20) * 16
                signed = -full if negative else full
                row_sum += (signed - row_sum) >> 5
                column_sum[place_c] += (signed - column_sum[place_c]) >> 3
                column_mean[place_c] = usual + ((full - usual) * 20 >> 8)
                local += (16 * size - local) >> 3
            own_sums[np.uint64(g)] = inside
            last, last2, inside_mean = inside, last, mean_of(inside, c1 - c0)
            group_mean[np.uint64(g)] = group + ((inside_mean - group) * 20 >> 8)
            row_mean += (4 * inside_mean - row_mean) * min(8 * (c1 - c0), 64) >> 8
    interval, _, _, at = coder
    if out is not None:
        if at < end:
            out[at] = (interval >> 24) + 1
        return VALID, at + 1
    return VALID if at - 3 == end else BAD_LENGTH, at - 3
