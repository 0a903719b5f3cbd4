"""Threads that share out work in machine code: without Python between two layers, and awake for a moment after each.

Waking a thread takes longer than a small layer. One that *follows* looks for the next work in a loop until it lost patience;
one that *leads* opens work, does it with whoever joins, closes it, and waits for those who joined. The work takes its pieces
itself, by counting them.
"""

from __future__ import annotations

import numpy as np

from ._atomic import add_at, call_at, let_others_run, pause, processor, replace_at, seen_at, swap_at
from ._jit import jit
from ._memory import address

LINE = 8
"""Numbers in a cache line: those that different threads wait for lie in lines of their own."""

LED, WORK, ENDED, FUNCTION, ARGUMENT, CALLS, PROCESSOR = (LINE * k for k in range(7))
"""Places in a team, int64: whether somebody leads; the work, see below; how many who joined have ended; the address of its code
and what that is called with; how often followers were called back to Python; the processor of who led last, or -1."""

OPEN, JOINED, NUMBER = 1, 2, 1 << 32
"""The work as one number: whether it is open, plus twice the number of followers who joined, plus 2^32 times its number."""


LOOKS = 64
"""Looks for work between two at the processor."""


def make_team() -> np.ndarray:
    """A team that nobody leads."""
    team = np.zeros(7 * LINE, np.int64)
    team[PROCESSOR] = -1
    return team


@jit
def follow(team, calls, patience):
    """Join the work of ``team`` as it comes, until there was none for ``patience`` looks, or :data:`CALLS` is no longer
    ``calls``.

    Returns whether it gave up because this thread is on the processor of who leads, whom it would only hold up.
    """
    place = address(team)
    work, done, looked = place + 8 * WORK, -1, 0
    while looked < patience and seen_at(place + 8 * CALLS) == calls:
        if looked % LOOKS == 0 and 0 <= processor() == seen_at(place + 8 * PROCESSOR):
            return True
        now = seen_at(work)
        if now & OPEN != 0 and now // NUMBER != done and replace_at(work, now, now + JOINED):
            done, looked = now // NUMBER, 0
            call_at(seen_at(place + 8 * FUNCTION), seen_at(place + 8 * ARGUMENT))
            add_at(place + 8 * ENDED, 1)
        else:
            pause()
            looked += 1
    return False


@jit
def lead(team, function, argument, patience):
    """Call the machine code ``function`` on ``argument``, together with the followers unless somebody else leads them, and wait
    for those who joined. Returns how many they were.

    After each ``patience`` looks in vain others get the processor: a follower may need it.
    """
    place = address(team)
    if replace_at(place + 8 * LED, 0, 1) == 0:
        call_at(function, argument)
        return 0
    work, ended = place + 8 * WORK, place + 8 * ENDED
    swap_at(place + 8 * FUNCTION, function)
    swap_at(place + 8 * ARGUMENT, argument)
    swap_at(place + 8 * PROCESSOR, processor())
    number = seen_at(work) // NUMBER + 1
    swap_at(work, number * NUMBER + OPEN)
    call_at(function, argument)
    joined, looked = swap_at(work, number * NUMBER) % NUMBER // JOINED, 0
    while seen_at(ended) != joined:
        looked += 1
        if looked % patience == 0:
            let_others_run()
        else:
            pause()
    swap_at(ended, 0)
    swap_at(place + 8 * LED, 0)
    return joined


@jit
def alone(function, argument):
    """Call the machine code ``function`` on ``argument``."""
    call_at(function, argument)
