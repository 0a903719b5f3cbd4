"""Threads that share out work in machine code: without Python between two layers, and awake for a moment after each.

Waking a thread takes longer than a small layer. One that *follows* looks for the next work in a loop until it lost patience;
one that *leads* opens work, does it with whoever joins, closes it, and waits for those who joined. The work takes its pieces
itself, by counting them.
"""

from __future__ import annotations

import numpy as np

from ..emit.memory import address
from ..jit.jitted import jit
from .atomic import add_at, byte_at, call_for, let_others_run, number_at, pause, processor, put_at, replace_at, seen_at, swap_at
from .order import BACK, CODE, COUNTED, FAILED, ORDER, PIECES, SHARED, TAKEN, WANTED, X

LINE = 8
"""Numbers in a cache line: those that different threads wait for lie in lines of their own."""

LINES = 5
"""Lines of a team."""

LED, WORK, ENDED, CALLS, BUSY = (LINE * k for k in range(LINES))
"""Places in a team, int64: whether somebody leads; the work, see below; how often followers who joined work have ended; how
often they were called back to Python; how many threads carry out orders."""

FUNCTION, ARGUMENT, PROCESSOR = (WORK + k for k in range(1, 4))
"""Who looks at the work has these with it, in one line: the address of its code and what that is called with; the processor of
who led last, or -1."""

OPEN, JOINED, NUMBER = 1, 2, 1 << 32
"""The work as one number: whether it is open, plus twice the number of followers who joined, plus 2^32 times its number."""

NOTHING = -1
"""The number of no work."""

NEXT_TILE, FRONT = 1 << 40, 1 << 20
"""What members count of tiles that they share: one tile further, and one of its parts taken from the front; those taken from
the back are the rest."""

LOOKS = 64
"""Looks for work between two at the processor."""


def make_team() -> np.ndarray:
    """A team that nobody leads."""
    team = np.zeros(LINES * LINE, np.int64)
    team[PROCESSOR] = -1
    return team


def none_joined() -> np.ndarray:
    """What a thread that has joined no work yet hands to :func:`follow`."""
    return np.full(1, NOTHING, np.int64)


@jit
def follow(team, joined, calls, patience):
    """Join the work of ``team`` as it comes, until there was none for ``patience`` looks and nobody is busy with orders, or
    :data:`CALLS` is no longer ``calls``.

    ``joined`` (1,) int64 is the number of the work that this thread joined last, :data:`NOTHING` before the first. The thread
    keeps it from call to call: who joins work takes one of as many places in its scratch memory as there are threads, so that
    a thread that joined twice would leave another one none.

    Returns whether it gave up because this thread is on the processor of who leads, whom it would only hold up.
    """
    place = address(team)
    work, looked = place + 8 * WORK, 0
    while seen_at(place + 8 * CALLS) == calls:
        if looked == patience:
            if seen_at(place + 8 * BUSY) == 0:
                return False
            let_others_run()
            looked = 0
        if looked % LOOKS == 0 and 0 <= processor() == seen_at(place + 8 * PROCESSOR):
            return True
        now = seen_at(work)
        if now & OPEN != 0 and now // NUMBER != joined[0] and replace_at(work, now, now + JOINED):
            joined[0], looked = now // NUMBER, 0
            call_for(seen_at(place + 8 * FUNCTION), seen_at(place + 8 * ARGUMENT), now % NUMBER // JOINED + 1)
            add_at(place + 8 * ENDED, 1)
        else:
            pause()
            looked += 1
    return False


@jit
def lead(team, function, argument, patience):
    """Call the machine code ``function`` on ``argument``, together with the followers unless somebody else leads them, and wait
    for those who joined. Returns how many they were. Who leads is member 0, the others are 1 and so on as they join.

    After each ``patience`` looks in vain others get the processor: a follower may need it.
    """
    place = address(team)
    if replace_at(place + 8 * LED, 0, 1) == 0:
        call_for(function, argument, 0)
        return 0
    work, ended = place + 8 * WORK, place + 8 * ENDED
    number, before, core = seen_at(work) // NUMBER + 1, seen_at(ended), processor()
    put_at(place + 8 * FUNCTION, function)
    put_at(place + 8 * ARGUMENT, argument)
    put_at(place + 8 * PROCESSOR, core)
    put_at(work, number * NUMBER + OPEN)
    call_for(function, argument, 0)
    joined, looked = swap_at(work, number * NUMBER) % NUMBER // JOINED, 0
    while seen_at(ended) != before + joined:
        looked += 1
        if looked % patience == 0:
            let_others_run()
        else:
            pause()
    put_at(place + 8 * LED, 0)
    return joined


@jit
def carry_out(team, orders, patience):
    """Carry out ``orders`` (n, ORDER) int64 in turn; what threads share is led, see :func:`lead`. Returns whether all were
    done: the first one that fails is the last. One without code says whether those behind it are left out, see
    :data:`~tersor.runtime.orders.order.CODE`."""
    busy, done, i = address(team) + 8 * BUSY, True, 0
    add_at(busy, 1)
    while i < len(orders):
        order = address(orders) + 8 * ORDER * i
        i += 1
        if number_at(order, CODE) == 0:
            if min(1, byte_at(number_at(order, X))) != number_at(order, WANTED):
                i += number_at(order, PIECES)
            continue
        put_at(order + 8 * TAKEN, 0)
        put_at(order + 8 * COUNTED, 0)
        if number_at(order, SHARED) != 0:
            lead(team, number_at(order, CODE), order, patience)
        else:
            call_for(number_at(order, CODE), order, 0)
        if seen_at(order + 8 * TAKEN) >= FAILED:
            done = False
            break
    add_at(busy, -1)
    return done


@jit
def alone(function, argument, member):
    """Call the machine code ``function`` on ``argument`` for one member."""
    call_for(function, argument, member)


@jit
def take(order, member):
    """The piece of the order at address ``order`` that a member does next, or the number of pieces when all are taken.

    Every second member takes pieces from the back: what a thread reads it has written itself, most of it, and has in a cache of
    its own.
    """
    pieces, backwards = number_at(order, PIECES), member % 2
    taken = add_at(order + 8 * TAKEN, BACK if backwards else 1)
    front, back = taken % BACK, taken // BACK
    if front + back >= pieces:
        return pieces
    return pieces - 1 - back if backwards else front


@jit
def take_part(order, tile, parts, member):
    """Which of the ``parts`` of a tile a member does next, or ``parts`` when all are taken: of tiles that members share, who
    come to number ``tile`` when all of the one before are taken. From the front or the back, as in :func:`take`."""
    place, backwards = order + 8 * COUNTED, member % 2
    while True:
        seen = seen_at(place)
        front, back = (seen % NEXT_TILE // FRONT, seen % FRONT) if seen // NEXT_TILE == tile else (0, 0)
        if seen // NEXT_TILE > tile or front + back >= parts:
            return parts
        if replace_at(place, seen, tile * NEXT_TILE + (front + 1 - backwards) * FRONT + back + backwards) != 0:
            return parts - 1 - back if backwards else front
