"""Recurrent layers in one order: products of many steps' inputs at once, of one step's state, and gates between them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...emit.intrinsic import intrinsic, types
from ...emit.memory import float_at, floats_at, place_at
from ...emit.vector import I64
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, OTHER, PIECES, SCRATCH, X, Y
from ...orders.team import take
from .gates import GRU, GRU_LINEAR, reset_state, step_cell
from .row_panels import multiply_panels

TOGETHER = 24
"""Vectors of inputs that are multiplied at once, about: what becomes of them stays in a cache until their steps come."""

CELL, LAST_HIDDEN, LAST_CELL, LENGTHS = range(FACTS + 1, FACTS + 5)
"""Numbers of an order: addresses of the initial cell states, the initial states of the output being the residual; of the last
states; of the lengths of sequences, int32; all 0 where there are none. ``x`` is (time, batch, inputs), ``y`` (time,
directions, batch, hidden), and may be 0, states are (directions, batch, hidden)."""

(
    TIME, BATCH, INPUTS, HIDDEN, DIRECTIONS, BACKWARDS, STEPS, PITCH, ROWS, BIAS, OF_GATES, OF_STATES, PLACE, MEMBERS, PATIENCE,
    PACKS,
) = range(16)  # fmt: skip
"""Facts, int64: sizes; the last direction that is forwards, less 1; steps whose inputs are multiplied at once; elements of a
row of states, and of one of gates; address of biases (directions, 2, ROWS); where in the scratch memory of a direction gates
and states begin, and its bytes; threads that share each product, and how often one looks for what another makes of it, where
they do, see :mod:`.together`; packs, see :data:`PACK`, of what is multiplied by inputs, by states, and, for a GRU that
resets before the product, by the state that was reset."""

PANELS, COUNT, HEIGHT, STARTS, CODE_ROWS, CODES, CODEBOOK, PACK = range(8)
"""A pack of matrices (directions, rows, columns), int64: address of panels, and their number for a direction; where there are
none, columns are walked: rows; addresses of (directions * columns + 1) int64 at which codes of a column start, of the rows of
codes, 0 where every row is there, of codes and of the codebook. The number of these facts."""


@intrinsic
def _code_at(typingctx: Any, width: Any, address: Any, index: Any) -> Any:
    """The code of ``len(width)`` bytes that is ``index`` codes after ``address``."""
    kind = ir.IntType(8 * len(width))

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, place, index = arguments
        return b.zext(b.load(b.gep(b.inttoptr(place, kind.as_pointer()), [index])), I64)

    return types.intp(width, types.intp, types.intp), codegen


@jit
def _add_columns(width, vector, columns, pack, direction, target, size):
    """Add the product of a matrix with the vector at an address to the row of ``size`` elements at ``target``; zeros cost
    nothing."""
    starts, rows, codes = number_at(pack, STARTS), number_at(pack, CODE_ROWS), number_at(pack, CODES)
    out, codebook = floats_at(target, size), floats_at(number_at(pack, CODEBOOK), 1)
    for column in range(columns):
        value = float_at(vector + 4 * column)
        if value == 0:
            continue
        place = direction * columns + column
        start, end = number_at(starts, place), number_at(starts, place + 1)
        if rows != 0:
            for entry in range(start, end):
                out[place_at(rows, entry)] += codebook[_code_at(width, codes, entry)] * value
        else:
            for row in range(end - start):
                out[row] += codebook[_code_at(width, codes, start + row)] * value


@jit
def _multiply(kinds, width, x, step, shape, pack, direction, start, start_pitch, target, pitch, turned):
    """Write ``shape`` (vectors, columns) products with vectors at ``x``, added to rows at ``start``, to rows at ``target``;
    the distances are in bytes."""
    (vectors, columns), count = shape, number_at(pack, COUNT)
    if len(width) == 0 or number_at(pack, PANELS) != 0:
        panels = number_at(pack, PANELS) + 4 * direction * count * columns * len(kinds[0]) * len(kinds[1])
        multiply_panels(kinds, x, step, (vectors, columns, count), panels, start, start_pitch, target, pitch, turned)
    if len(width) != 0 and number_at(pack, PANELS) == 0:
        height = number_at(pack, HEIGHT)
        for i in range(vectors):
            copy_floats(start + i * start_pitch, target + i * pitch, height)
            _add_columns(width, x + i * step, columns, pack, direction, target + i * pitch, height)


@jit
def copy_floats(source, target, count):
    """Copy so many elements; zeros where the source is 0, nothing where the target is."""
    if target == 0:
        return
    out = floats_at(target, count)
    if source == 0:
        for k in range(count):
            out[k] = 0
    else:
        values = floats_at(source, count)
        for k in range(count):
            out[k] = values[k]


@jit
def layer_runner(inputs, states, cell, width):
    """Address of the code that carries out an order: ``inputs`` and ``states`` are the kinds of their panels; lengths of tuples
    are the kind of the ``cell`` and the ``width`` of codes, 0 where all weights are panels."""
    return code_of((inputs, states, cell, width), run_layer)


@jit
def run_layer(kinds, order, member):
    """Take directions of the layer of the order at address ``order`` until none is left."""
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        run_direction(kinds, order, number_at(order, FACTS), piece)
        piece = take(order, member)


@jit
def run_direction(kinds, order, facts, direction):
    """Every step of one direction, from the initial states to the last ones."""
    (inputs, _, _, width), given = kinds, number_at(order, SCRATCH) + direction * number_at(facts, PLACE)
    time, batch, columns = number_at(facts, TIME), number_at(facts, BATCH), number_at(facts, INPUTS)
    pitch, most = 4 * number_at(facts, ROWS), number_at(facts, STEPS)
    states, backwards = given + number_at(facts, OF_STATES), direction > number_at(facts, BACKWARDS)
    bias = number_at(facts, BIAS) + 2 * pitch * direction
    move_states(facts, direction, states, number_at(order, OTHER), number_at(order, CELL), False)
    for done in range(0, time, most):
        count = min(most, time - done)
        first = time - done - count if backwards else done
        x = number_at(order, X) + 4 * first * batch * columns
        shape = count * batch, columns
        pack = facts + 8 * PACKS
        _multiply(inputs, width, x, 4 * columns, shape, pack, direction, bias, 0, given, pitch, False)
        for number in range(count):
            at = count - 1 - number if backwards else number
            _run_step(kinds, order, facts, direction, first + at, given + at * batch * pitch, given, bias + pitch)
    move_states(facts, direction, states, number_at(order, LAST_HIDDEN), number_at(order, LAST_CELL), True)


@jit
def _length_at(lengths, i):
    """An int32."""
    length = place_at(lengths, i)
    return length - (1 << 32) if length >= 1 << 31 else length


@jit
def move_states(facts, direction, states, hidden, cell, back):
    """Copy the states (2, batch, PITCH) of a direction from the arrays at two addresses, or ``back`` to them."""
    batch, size, pitch = number_at(facts, BATCH), number_at(facts, HIDDEN), number_at(facts, PITCH)
    if not back:
        copy_floats(0, states, 2 * batch * pitch)
    for i in range(2 * batch):
        array, place = hidden if i < batch else cell, states + 4 * i * pitch
        if array != 0:
            other = array + 4 * (direction * batch + i % batch) * size
            copy_floats(place if back else other, other if back else place, size)


@jit
def _run_step(kinds, order, facts, direction, t, given, place, shift):
    """Step ``t`` of a direction: ``given`` is what its inputs give the gates, ``place`` scratch memory, ``shift`` the second
    bias."""
    _, panels, cell, width = kinds
    batch, size, padded = number_at(facts, BATCH), number_at(facts, HIDDEN), 4 * number_at(facts, PITCH)
    pitch, gates, hidden = 4 * number_at(facts, ROWS), place + number_at(facts, OF_GATES), place + number_at(facts, OF_STATES)
    pack, shape, turned = facts + 8 * (PACKS + PACK), (batch, size), t % 2 == 0
    start, start_pitch = (shift, 0) if len(cell) == GRU_LINEAR else (given, pitch)
    _multiply(panels, width, hidden, padded, shape, pack, direction, start, start_pitch, gates, pitch, turned)
    if len(cell) == GRU:
        reset = hidden + batch * padded  # where an LSTM has its cell state
        for i in range(batch):
            reset_state(panels[0], gates + i * pitch, hidden + i * padded, reset + i * padded, size)
        pack, target = pack + 8 * PACK, gates + 2 * padded
        _multiply(panels, width, reset, padded, shape, pack, direction, shift, 0, target, pitch, turned)
    end_step(kinds, order, facts, direction, t, given, gates, hidden)


@jit
def end_step(kinds, order, facts, direction, t, given, gates, hidden):
    """Make the states ``hidden`` those after step ``t``, of ``gates`` and what its inputs give them, and write those that are
    the output, or zeros where a sequence has ended."""
    (_, panels, cell, _), lengths = kinds, number_at(order, LENGTHS)
    batch, size, padded = number_at(facts, BATCH), number_at(facts, HIDDEN), 4 * number_at(facts, PITCH)
    pitch = 4 * number_at(facts, ROWS)
    for i in range(batch):
        output = number_at(order, Y) + 4 * ((t * number_at(facts, DIRECTIONS) + direction) * batch + i) * size
        output, state = output if number_at(order, Y) != 0 else 0, hidden + i * padded
        if lengths != 0 and t >= _length_at(lengths, i):
            copy_floats(0, output, size)
        else:
            step_cell(panels[0], cell, gates + i * pitch, given + i * pitch, state, state + batch * padded, size)
            copy_floats(state, output, size)
