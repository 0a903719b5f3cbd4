"""Work shared out in machine code: every piece is done once, whoever takes part."""

from __future__ import annotations

import os
import sys
import time
from threading import Thread
from threading import enumerate as enumerate_threads

import numpy as np
import pytest

from tersor.runtime.kernels._atomic import add_at, code_of, number_at
from tersor.runtime.kernels._jit import jit
from tersor.runtime.kernels.team import CALLS, ENDED, LED, PROCESSOR, WORK, alone, follow, lead, make_team
from tersor.runtime.plan.trace import Recorder
from tersor.runtime.plan.workers import Workers

LOOKS = 1000


@jit
def mark(lanes, order):
    """Take pieces, counted in the first number, of as many as the second says; count each in a number of its own."""
    piece = add_at(order, 1)
    while piece < number_at(order, 1):
        for _ in range(1000):
            add_at(order + 8 * (2 + piece), 1)
        piece = add_at(order, 1)


@jit
def marker(lanes):
    """Address of :func:`mark`."""
    return code_of(lanes, mark)


def order_of(pieces: int) -> np.ndarray:
    """What :func:`mark` is called with."""
    return np.array([0, pieces, *[0] * pieces], np.int64)


@pytest.fixture(scope="module")
def code() -> int:
    return marker(((),))


def test_one_thread_does_everything(code):
    order = order_of(5)
    alone(code, order.ctypes.data)
    assert order[2:].tolist() == [1000] * 5


def test_a_team_without_followers(code):
    team, order = make_team(), order_of(3)
    assert lead(team, code, order.ctypes.data, LOOKS) == 0
    assert order[2:].tolist() == [1000] * 3
    assert team[LED] == 0


def test_followers_join_what_is_open(code):
    team, orders, joined = make_team(), [], 0
    follow(team, 0, 1)  # compiled before threads need it
    followers = [Thread(target=follow, args=(team, 0, 1 << 60)) for _ in range(2)]
    for follower in followers:
        follower.start()
    while joined == 0 or len(orders) < 200:
        orders.append(order_of(40))
        joined += lead(team, code, orders[-1].ctypes.data, LOOKS)
    team[CALLS] = 1
    for follower in followers:
        follower.join()
    assert all(order[2:].tolist() == [1000] * 40 for order in orders)
    assert joined <= 2 * len(orders)
    assert team[LED] == team[ENDED] == team[WORK] % 2 == 0


def test_who_cannot_lead_works_alone(code):
    team, order = make_team(), order_of(4)
    team[LED] = 1
    assert lead(team, code, order.ctypes.data, LOOKS) == 0
    assert order[2:].tolist() == [1000] * 4
    assert team[LED] == 1


def test_followers_lose_patience():
    team = make_team()
    follow(team, 0, 10)
    assert np.array_equal(team, make_team())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processors")
def test_followers_give_up_on_the_processor_of_who_leads(code):
    team, usable = make_team(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})
    lead(team, code, order_of(3).ctypes.data, LOOKS)
    assert team[PROCESSOR] == min(usable)
    assert follow(team, 0, 1 << 60)
    team[PROCESSOR] = -1
    assert not follow(team, 0, 10)
    os.sched_setaffinity(0, usable)


@pytest.mark.skipif(sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_helpers_wake_on_another_processor(code):
    workers, usable, end = Workers(2), os.sched_getaffinity(0), time.monotonic() + 60
    left: set[int] = set()
    while not left and time.monotonic() < end:
        workers.share(code, order_of(3).ctypes.data)
        time.sleep(0.005)
        helpers = [thread.native_id for thread in enumerate_threads() if thread.name == "tersor 1"]
        left = usable - set.intersection(*(os.sched_getaffinity(number) for number in helpers if number))
    workers.close()
    assert left


@pytest.mark.parametrize("count", [1, 2, 4])
def test_workers_share_work_of_many_callers(code, count):
    workers, orders = Workers(count), [[order_of(9) for _ in range(50)] for _ in range(6)]

    def run(own: list[np.ndarray]) -> None:
        for order in own:
            workers.share(code, order.ctypes.data)

    callers = [Thread(target=run, args=(own,)) for own in orders]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    workers.close()
    assert all(order[2:].tolist() == [1000] * 9 for own in orders for order in own)


def test_a_recorder_notes_who_shares(code):
    workers, order = Workers(2), order_of(6)
    recorder = Recorder(workers)
    recorder.share(code, order.ctypes.data)
    workers.close()
    assert order[2:].tolist() == [1000] * 6
    assert "thread 0" in {span.lane for span in recorder.spans()}
