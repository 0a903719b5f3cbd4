"""Recurrent layers whose every product threads share: one direction after another, step by step.

One of them *leads*: it posts a product as the next *turn*, computes its own share, and makes states of all. The others follow:
each computes its share of the turn that it sees into memory of its own. Who leads waits for a share as long as computing it
would take, and then does, and no longer counts on that thread until it has caught up: one that lost its processor holds up
nobody for long, and what it writes late nobody reads. Products with inputs, of many steps at once, are cut into parts that
whoever is free takes.
"""

from __future__ import annotations

from ...jit.jitted import jit
from ...orders.atomic import add_at, code_of, let_others_run, number_at, pause, put_at, seen_at
from ...orders.order import FACTS, OTHER, SCRATCH, TAKEN, X
from ...orders.team import take_part
from .cells import (
    BACKWARDS,
    BATCH,
    BIAS,
    CELL,
    COUNT,
    DIRECTIONS,
    HIDDEN,
    INPUTS,
    LAST_CELL,
    LAST_HIDDEN,
    MEMBERS,
    OF_GATES,
    OF_STATES,
    PACK,
    PACKS,
    PANELS,
    PATIENCE,
    PITCH,
    PLACE,
    ROWS,
    STEPS,
    TIME,
    copy_floats,
    end_step,
    move_states,
)  # fmt: skip
from .gates import GRU, GRU_LINEAR, reset_state
from .row_panels import multiply_panels

OF_INPUTS, OF_STATE, OF_RESET = range(3)
"""Products by the numbers of their packs."""

LINE = 64
"""Bytes of a cache line. Behind what all directions have in scratch memory there is, in lines of their own: the turn that was
posted last, (product, direction, step among those whose inputs are multiplied at once, or the first of all these, how many);
how many parts of a product with inputs are done; for each thread that follows, the last turn of which its share is. Then the
gates of each of these threads."""

END = 1 << 61
"""The turn after the last. Turns are numbered from 1 on, in the place of the pieces taken; below 0 while they are written."""

PARTS, LOOKS = 4, 10_000
"""Parts of a product with inputs for each thread; looks for the next turn between two at which others get the processor."""


def team_bytes(members: int, gates: int) -> int:
    """Bytes of scratch memory of so many threads, with ``gates`` bytes each, beside what all directions have."""
    return LINE * (1 + members) + (members - 1) * gates


@jit
def layer_sharer(inputs, states, cell, width):
    """As :func:`.cells.layer_runner`, where threads share every product; all weights are panels."""
    return code_of((inputs, states, cell, width), share_layer)


@jit
def share_layer(kinds, order, member):
    """Do the layer of the order at address ``order``, as the member who leads, or follow that one."""
    facts = number_at(order, FACTS)
    team = number_at(order, SCRATCH) + number_at(facts, DIRECTIONS) * number_at(facts, PLACE)
    if member == 0:
        _lead(kinds, order, facts, team)
    elif member < number_at(facts, MEMBERS):
        _follow(kinds, order, facts, team, member)


@jit
def _lead(kinds, order, facts, team):
    """Every direction, one after another."""
    turn = 1
    for member in range(1, number_at(facts, MEMBERS)):
        put_at(_share_of(team, member), -1)
    for direction in range(number_at(facts, DIRECTIONS)):
        turn = _lead_direction(kinds, order, facts, team, direction, turn)
    put_at(order + 8 * TAKEN, END)


@jit
def _lead_direction(kinds, order, facts, team, direction, turn):
    """As :func:`.cells.run_direction`; returns the number of the next turn."""
    time, most, backwards = number_at(facts, TIME), number_at(facts, STEPS), direction > number_at(facts, BACKWARDS)
    states = _place_of(order, facts, direction) + number_at(facts, OF_STATES)
    move_states(facts, direction, states, number_at(order, OTHER), number_at(order, CELL), False)
    for done in range(0, time, most):
        count = min(most, time - done)
        first = time - done - count if backwards else done
        put_at(team + LINE, 0)
        _post(order, team, turn, OF_INPUTS, direction, first, count)
        _multiply_inputs(kinds, order, facts, team, 0, turn, direction, first, count)
        _await(team + LINE, PARTS * number_at(facts, MEMBERS), END)
        turn += 1
        for number in range(count):
            at = count - 1 - number if backwards else number
            turn = _lead_step(kinds, order, facts, team, turn, direction, first + at, at)
    move_states(facts, direction, states, number_at(order, LAST_HIDDEN), number_at(order, LAST_CELL), True)
    return turn


@jit
def _lead_step(kinds, order, facts, team, turn, direction, t, at):
    """Step ``t`` of a direction, number ``at`` of those whose inputs have been multiplied; returns the number of the next
    turn."""
    (_, panels, cell, _), place = kinds, _place_of(order, facts, direction)
    batch, size, padded = number_at(facts, BATCH), number_at(facts, HIDDEN), 4 * number_at(facts, PITCH)
    pitch, gates, hidden = 4 * number_at(facts, ROWS), place + number_at(facts, OF_GATES), place + number_at(facts, OF_STATES)
    _multiply(kinds, order, facts, team, OF_STATE, turn, direction, at)
    turn += 1
    if len(cell) == GRU:
        reset = hidden + batch * padded
        for i in range(batch):
            reset_state(panels[0], gates + i * pitch, hidden + i * padded, reset + i * padded, size)
        _multiply(kinds, order, facts, team, OF_RESET, turn, direction, at)
        turn += 1
    end_step(kinds, order, facts, direction, t, place + at * batch * pitch, gates, hidden)
    return turn


@jit
def _multiply(kinds, order, facts, team, product, turn, direction, at):
    """A product of a step, whoever makes the shares."""
    members, ready = number_at(facts, MEMBERS), 0
    for member in range(1, members):
        if seen_at(_share_of(team, member)) == turn - 1:
            ready |= 1 << member
    _post(order, team, turn, product, direction, at, 0)
    gates = _place_of(order, facts, direction) + number_at(facts, OF_GATES)
    _multiply_share(kinds, order, facts, 0, product, direction, at, gates)
    for member in range(1, members):
        looks = number_at(facts, PATIENCE) if ready >> member & 1 else 1
        if _await(_share_of(team, member), turn, looks):
            _fetch_share(kinds, facts, team, member, product, gates)
        else:
            _multiply_share(kinds, order, facts, member, product, direction, at, gates)


@jit
def _post(order, team, turn, product, direction, at, count):
    """Let others see a turn."""
    put_at(order + 8 * TAKEN, -turn)
    put_at(team, product)
    put_at(team + 8, direction)
    put_at(team + 16, at)
    put_at(team + 24, count)
    put_at(order + 8 * TAKEN, turn)


@jit
def _await(place, number, looks):
    """Look whether ``number`` is at ``place``, at most so many times; returns whether it is."""
    for looked in range(looks):
        if seen_at(place) == number:
            return True
        if looked % LOOKS == LOOKS - 1:
            let_others_run()
        else:
            pause()
    return False


@jit
def _follow(kinds, order, facts, team, member):
    """Compute shares of turns as they come, until the last."""
    done, own, looked = 0, _gates_of(facts, team, member), 0
    while True:
        turn = seen_at(order + 8 * TAKEN)
        if turn == END:
            return
        if turn <= 0 or turn == done:
            looked += 1
            if looked % LOOKS == 0:
                let_others_run()
            else:
                pause()
            continue
        product, direction, at, count = seen_at(team), seen_at(team + 8), seen_at(team + 16), seen_at(team + 24)
        if seen_at(order + 8 * TAKEN) != turn:
            continue
        if product == OF_INPUTS:
            _multiply_inputs(kinds, order, facts, team, member, turn, direction, at, count)
        else:
            _multiply_share(kinds, order, facts, member, product, direction, at, own)
        put_at(_share_of(team, member), turn)
        done, looked = turn, 0


@jit
def _share_of(team, member):
    """Where a thread that follows says of which turn its share is."""
    return team + LINE * (1 + member)


@jit
def _gates_of(facts, team, member):
    """The gates of a thread that follows."""
    first, size = team + LINE * (1 + number_at(facts, MEMBERS)), number_at(facts, OF_STATES) - number_at(facts, OF_GATES)
    return first + (member - 1) * size


@jit
def _place_of(order, facts, direction):
    """The scratch memory of a direction: what its inputs give the gates, gates and states."""
    return number_at(order, SCRATCH) + direction * number_at(facts, PLACE)


@jit
def _multiply_inputs(kinds, order, facts, team, member, turn, direction, first, count):
    """Take parts of the product with the inputs of ``count`` steps from ``first`` on until none is left."""
    (lanes, across, _), pack, parts = kinds[0], facts + 8 * PACKS, PARTS * number_at(facts, MEMBERS)
    batch, columns, pitch = number_at(facts, BATCH), number_at(facts, INPUTS), 4 * number_at(facts, ROWS)
    panels, size = number_at(pack, COUNT), 4 * len(lanes) * len(across)
    x, place = number_at(order, X) + 4 * first * batch * columns, _place_of(order, facts, direction)
    bias = number_at(facts, BIAS) + 2 * pitch * direction
    part = take_part(order, turn, parts, member)
    while part < parts:
        begin, end = panels * part // parts, panels * (part + 1) // parts
        weights = number_at(pack, PANELS) + (direction * panels + begin) * columns * size
        shape, offset = (count * batch, columns, end - begin), begin * size
        multiply_panels(kinds[0], x, 4 * columns, shape, weights, bias + offset, 0, place + offset, pitch, False)
        add_at(team + LINE, 1)
        part = take_part(order, turn, parts, member)


@jit
def _bounds(facts, product, member):
    """(first, last) of the panels of a product that are a thread's share."""
    panels, members = number_at(facts + 8 * (PACKS + product * PACK), COUNT), number_at(facts, MEMBERS)
    return panels * member // members, panels * (member + 1) // members


@jit
def _multiply_share(kinds, order, facts, member, product, direction, at, gates):
    """Write a thread's share of the product with the state of a direction, or with the one that was reset, to ``gates``."""
    (_, panels, cell, _), pack, (begin, end) = kinds, facts + 8 * (PACKS + product * PACK), _bounds(facts, product, member)
    place, batch, columns = _place_of(order, facts, direction), number_at(facts, BATCH), number_at(facts, HIDDEN)
    padded, pitch, size = 4 * number_at(facts, PITCH), 4 * number_at(facts, ROWS), 4 * len(panels[0]) * len(panels[1])
    start, start_pitch = place + at * batch * pitch, pitch
    if len(cell) == GRU_LINEAR or product == OF_RESET:
        start, start_pitch = number_at(facts, BIAS) + (2 * direction + 1) * pitch, 0
    source, target = place + number_at(facts, OF_STATES), gates + begin * size
    if product == OF_RESET:
        source, target = source + batch * padded, target + 2 * padded
    weights = number_at(pack, PANELS) + (direction * number_at(pack, COUNT) + begin) * columns * size
    shape = batch, columns, end - begin
    multiply_panels(panels, source, padded, shape, weights, start + begin * size, start_pitch, target, pitch, at % 2 == 0)


@jit
def _fetch_share(kinds, facts, team, member, product, gates):
    """Copy a thread's share of a product to ``gates``."""
    panels, pitch, (begin, end) = kinds[1], 4 * number_at(facts, ROWS), _bounds(facts, product, member)
    size, own = len(panels[0]) * len(panels[1]), _gates_of(facts, team, member)
    offset = 4 * begin * size + (8 * number_at(facts, PITCH) if product == OF_RESET else 0)
    for i in range(number_at(facts, BATCH)):
        copy_floats(own + i * pitch + offset, gates + i * pitch + offset, (end - begin) * size)
