"""One row of a block of the context-mixed codec, coded or decoded by the same code; see :mod:`.mixed_block`.

What only some decisions need is computed when they come: most positions are zero.
"""

from __future__ import annotations

import numpy as np

from ....format_spec.mixing import (
    FINE,
    KERNEL_PLANE,
    KERNEL_SET,
    LAST_UNARY_PLANE,
    LONE_FINE,
    RECIPROCALS,
    REFERENCE_COUNTERS,
    SIGN_PLANE,
    SIGN_SETS,
    STEP_SETS,
    ZERO_PLANE,
)
from ...jit.jitted import jit
from .mixed_contexts import lean, level_at, log_of, mean_of, neighbours, note_level, sign_contexts
from .mixed_decisions import decide_alone, decide_by_two, foresee, settle

VALID, BAD_REFERENCE, BAD_RANK, BAD_LENGTH = 0, 1, 2, 3
"""What coding a row, or a block, comes to."""


@jit
def code_low_bits(given, low_bits, base, alone, coder, data, out, stop):
    """The low bits of a rank less one, most significant first, their counters from ``base`` on; (bits, coder)."""
    node = np.int64(1)
    for i in range(low_bits - 1, -1, -1):
        bit, coder = decide_alone(given >> i & 1, base + node, alone, coder, data, out, stop)
        node = node * 2 + bit
    return node - (1 << low_bits), coder


@jit(forceinline=True)
def code_mixed_steps(size, foreseen, contexts, level, most, model, tick, coder, data, out, stop):
    """Whether a level has more steps, at most ``most`` times, the first one ``foreseen``; (steps, whether there may be more,
    tick, coder)."""
    x0, x1, x2, x3 = contexts
    more, step = np.int64(1), np.int64(0)
    while more and step < most:
        if step > 0:
            i = min(step + 1, 15)
            plane, chosen = min(step + 1, LAST_UNARY_PLANE), STEP_SETS + 16 * (i - 1) + level
            foreseen = foresee(plane, x0, x1, x2, x3, chosen, min(i, 3) * 16 + level, model)
        more, coder = settle(np.int64(size > step + 1), foreseen, False, model, tick, coder, data, out, stop)
        tick += 1
        step += more
    return step, more, tick, coder


@jit(forceinline=True)
def code_lone_steps(size, step, most, around, before, up, usual, expected, low_bits, alone, coder, data, out, stop):
    """The steps of a level from ``step`` on, at most ``most``, each by the mean of two counters: one for the size that is
    ``expected``, one for those of its :func:`neighbours` and of the kernels before and above; (steps, coder)."""
    (left, left2, above, above_right), more = around, np.int64(1)
    near = 2 * (abs(left) + abs(above)) + abs(left2) + abs(above_right) + abs(before) + abs(up)
    near_log, fine_at = log_of((16 * near + 2 * usual) * RECIPROCALS[10] >> 16), REFERENCE_COUNTERS + (16 << low_bits)
    near_at = fine_at + LONE_FINE + min(abs(up), 15) * 16 + near_log
    fine_at += np.int64(FINE[np.uint64(min(expected, 248))])
    while more and step < most:
        plane = min(step + 1, LAST_UNARY_PLANE)
        more, coder = decide_by_two(
            np.int64(size > step + 1), fine_at + 128 * plane, near_at + 256 * plane, alone, coder, data, out, stop
        )
        step += more
    return step, coder


@jit
def code_row(
    line, low_line, up_line, up_sign, own_sums, up_sums, up2_sums, small_line, similar, around_here,
    column_mean, column_sum, group_mean, row_mean, places, seen, head, model, alone, tick, coder, data, out, stop,
):  # fmt: skip
    """Code or decode the levels ``line`` of one row, and their low bits; (status, ``row_mean`` after it, tick, coder).

    ``up_line`` are the levels of a row that resembles it, times ``up_sign``; ``up_sums`` and ``up2_sums`` the sums of kernels
    there, and in another such row; ``similar`` the sizes of both rows' levels, as :func:`note_level` has them. ``column_mean``,
    ``group_mean`` and ``row_mean`` are sizes, ``column_sum`` levels. ``head``: the numbers of :func:`.mixed_block.code_block`.
    The levels of a kernel are coded in this loop: by a function of their own, they take a tenth to a third longer.
    """
    kernel, width, low_bits, mixed_steps, positives, negatives, kernel_zeros = head
    columns, groups, row_sum = len(line), len(own_sums), np.int64(0)
    last_place = np.int64(1) << 62 if out is not None else stop + 4
    two_signs = positives > 0 and negatives > 0
    last, last2 = np.int64(0), np.int64(0)
    for g in range(groups):
        if coder[3] > last_place:
            return BAD_LENGTH, row_mean, tick, coder
        c0 = g * kernel
        c1 = min(c0 + kernel, columns)
        like, group = np.int64(up_sums[np.uint64(g)]), np.int64(group_mean[np.uint64(g)])
        like_mean, row = mean_of(like, c1 - c0), row_mean >> 2
        row_log, some = log_of(row), np.int64(1)
        if kernel_zeros:
            group_log = log_of(group)
            x1 = min(like, 5) * 36 + min(np.int64(up2_sums[np.uint64(g)]), 5) * 6 + min(last, 5)
            some = np.int64(np.any(line[c0:c1])) if out is not None else some
            x0, x2, x3 = 16 * row_log + group_log, 16 * group_log + log_of(like_mean), 6 * min(last, 5) + min(last2, 5)
            foreseen = foresee(KERNEL_PLANE, x0, x1, x2, x3, KERNEL_SET, 65, model)
            some, coder = settle(some, foreseen, False, model, tick, coder, data, out, stop)
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
            value = level_at(line, c) if out is not None else np.int64(0)
            size, bit = abs(value), np.int64(1)
            if not (kernel_zeros and c == c1 - 1 and inside == 0):
                chosen = np.int64(k == 0) + 2 * np.int64(inside == 0)
                foreseen = foresee(ZERO_PLANE, x0, x1, x2, x3, chosen, level, model)
                bit, coder = settle(np.int64(size > 0), foreseen, False, model, tick, coder, data, out, stop)
                tick += 1
            if not bit:
                column_mean[place_c] = usual + (-usual * 20 >> 8)
                local += -local >> 3
                continue
            around = neighbours(line, c, width, seen[np.uint64(k)])
            before, up = level_at(line, c - kernel) if g > 0 else np.int64(0), level_at(up_line, c) * up_sign
            negative = np.int64(positives == 0)
            foreseen = foresee(1, x0, x1, x2, x3, STEP_SETS + level, 16 + level, model)
            if two_signs:
                row_lean, column_lean = lean(row_sum, row), lean(np.int64(column_sum[place_c]), usual)
                s0, s1, s2, s3 = sign_contexts(around, before, up, balance, row_lean, column_lean)
                signs = foresee(SIGN_PLANE, s0, s1, s2, s3, SIGN_SETS + spot, 64, model)
                negative, coder = settle(np.int64(value < 0), signs, True, model, tick, coder, data, out, stop)
                tick += 1
            ranks = negatives if negative else positives
            last_step = (ranks - 1) >> low_bits
            step, more, tick, coder = code_mixed_steps(
                size, foreseen, (x0, x1, x2, x3), level, min(mixed_steps, last_step), model, tick, coder, data, out, stop
            )
            if more and step < last_step:
                step, coder = code_lone_steps(
                    size, step, last_step, around, before, up, usual, expected, low_bits, alone, coder, data, out, stop
                )
            if low_bits:
                base = REFERENCE_COUNTERS + ((min(step, 7) * 2 + negative) << low_bits)
                rest, coder = code_low_bits(np.int64(low_line[place_c]), low_bits, base, alone, coder, data, out, stop)
                low_line[place_c] = rest
                if (step << low_bits) + rest >= ranks:
                    return BAD_RANK, row_mean, tick, coder
            size = step + 1
            value = -size if negative else size
            line[place_c] = value
            note_level(size, c, width, small_line, around_here)
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
    return VALID, row_mean, tick, coder
