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
from tersor.runtime.kernels.order import CODE, PIECES, SHARED, WORK, order_of
from tersor.runtime.kernels.team import (
    ARGUMENT,
    BUSY,
    CALLS,
    ENDED,
    FUNCTION,
    JOINED,
    LED,
    NUMBER,
    OPEN,
    PROCESSOR,
    alone,
    carry_out,
    follow,
    lead,
    make_team,
    none_joined,
    take,
)
from tersor.runtime.kernels.team import WORK as IN_WORK
from tersor.runtime.plan.trace import STEPS, Recorder
from tersor.runtime.plan.workers import Workers

LOOKS = 1000
ONE_PROCESSOR = len(os.sched_getaffinity(0) if sys.platform == "linux" else range(os.cpu_count() or 1)) < 2


@jit
def mark(lanes, order, member):
    """Take the pieces of an order; count each in a number of its own, from where its work is on."""
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        for _ in range(1000):
            add_at(number_at(order, WORK) + 8 * piece, 1)
        piece = take(order, member)


@jit
def marker(lanes):
    """Address of :func:`mark`."""
    return code_of(lanes, mark)


@jit
def want(lanes, order, member):
    """Take one piece of an order, count it, and ask for more memory than there is."""
    piece = take(order, member)
    if piece < number_at(order, PIECES):
        add_at(number_at(order, WORK) + 8 * piece, 1000)
        room = np.empty(1 << 50, np.int8)
        room[piece] = 1


@jit
def wanter(lanes):
    """Address of :func:`want`."""
    return code_of(lanes, want)


@jit
def tell(lanes, order, member):
    """Write who this is where the work of an order is."""
    add_at(number_at(order, WORK), member)


@jit
def teller(lanes):
    """Address of :func:`tell`."""
    return code_of(lanes, tell)


class Job:
    """Work for :func:`mark`: an order, and how often each of its pieces was done, in thousands."""

    def __init__(self, code: int, pieces: int) -> None:
        self._done = np.zeros(pieces, np.int64)
        self.order = order_of({CODE: code, SHARED: 1, PIECES: pieces, WORK: self._done.ctypes.data})

    @property
    def done(self) -> list[float]:
        return (self._done / 1000).tolist()


@pytest.fixture(scope="module")
def code() -> int:
    return marker(((),))


def test_one_thread_does_everything(code):
    job = Job(code, 5)
    alone(code, job.order.ctypes.data, 0)
    assert job.done == [1] * 5


def test_a_team_without_followers(code):
    team, job = make_team(), Job(code, 3)
    assert lead(team, code, job.order.ctypes.data, LOOKS) == 0
    assert job.done == [1] * 3
    assert team[LED] == 0


@pytest.mark.parametrize("shared", [0, 1])
def test_orders_in_a_row(code, shared):
    team, jobs = make_team(), [Job(code, pieces) for pieces in (3, 1, 7)]
    orders = np.array([job.order for job in jobs])
    orders[:, SHARED] = shared
    for times in (1, 2):  # an order can be carried out again
        carry_out(team, orders, LOOKS)
        assert [job.done for job in jobs] == [[times] * 3, [times], [times] * 7]
    assert np.array_equal(team[[LED, ENDED, BUSY]], [0, 0, 0])


@pytest.mark.parametrize("shared", [0, 1])
@pytest.mark.parametrize("traced", [False, True])
def test_no_memory_is_an_error(code, shared, traced):
    workers, jobs = Workers(2), [Job(code, 3), Job(wanter(((),)), 5), Job(code, 3)]
    orders = np.array([job.order for job in jobs])
    orders[:, SHARED] = shared
    for times in (1, 2):
        with pytest.raises(MemoryError, match="no memory"):
            (Recorder(workers) if traced else workers).carry_out(orders)
        assert [sum(job.done) for job in (jobs[0], jobs[2])] == [3 * times, 0]
        assert times <= sum(jobs[1].done) <= 2 * times
    team = workers._started().team
    workers.close()
    assert np.array_equal(team[[LED, ENDED, BUSY]], [0, 0, 0])


def test_followers_stay_while_orders_are_carried_out():
    team, gave_up = make_team(), []
    follow(team, none_joined(), 0, 1)
    team[BUSY] = 1
    follower = Thread(target=lambda: gave_up.append(follow(team, none_joined(), 0, 10)))
    follower.start()
    time.sleep(0.05)
    assert follower.is_alive()
    team[BUSY] = 0
    follower.join(60)
    assert gave_up == [False]


@pytest.mark.skipif(ONE_PROCESSOR, reason="there is one processor")
def test_followers_join_what_is_open(code):
    team, jobs, joined, end = make_team(), [], 0, time.monotonic() + 60
    follow(team, none_joined(), 0, 1)  # compiled before threads need it

    def serve() -> None:
        own = none_joined()
        while follow(team, own, 0, 1 << 60):
            time.sleep(0)

    followers = [Thread(target=serve) for _ in range(2)]
    for follower in followers:
        follower.start()
    while (joined == 0 or len(jobs) < 200) and time.monotonic() < end:
        jobs.append(Job(code, 40))
        joined += lead(team, code, jobs[-1].order.ctypes.data, LOOKS)
    team[CALLS] = 1
    for follower in followers:
        follower.join()
    assert joined > 0
    assert all(job.done == [1] * 40 for job in jobs)
    assert joined <= 2 * len(jobs)
    assert team[LED] == team[ENDED] == team[IN_WORK] % 2 == 0


def test_nobody_joins_work_twice(code):
    team, job, joined = make_team(), Job(code, 3), none_joined()
    team[[FUNCTION, ARGUMENT]] = code, job.order.ctypes.data
    team[IN_WORK] = NUMBER + OPEN
    for _ in range(2):  # a follower that gave up comes back while the same work is open
        assert not follow(team, joined, 0, 10)
    assert team[IN_WORK] == NUMBER + OPEN + JOINED
    assert team[ENDED] == 1
    assert job.done == [1] * 3


def test_every_second_member_takes_pieces_from_the_back(code):
    order = Job(code, 5).order.ctypes.data
    assert [take(order, member) for member in (0, 1, 3, 2, 1, 0, 1, 2)] == [0, 4, 3, 1, 2, 5, 5, 5]


def test_who_leads_is_member_0_and_others_count_as_they_join():
    told, team = np.zeros(1, np.int64), make_team()
    order, code = order_of({WORK: told.ctypes.data}).ctypes.data, teller(((),))
    lead(team, code, order, LOOKS)
    assert told == 0
    team[[IN_WORK, PROCESSOR]] = NUMBER + OPEN, -1
    for joined in (1, 3):  # 1, then 1 + 2
        follow(team, none_joined(), 0, 10)
        assert told == joined


def test_who_cannot_lead_works_alone(code):
    team, job = make_team(), Job(code, 4)
    team[LED] = 1
    assert lead(team, code, job.order.ctypes.data, LOOKS) == 0
    assert job.done == [1] * 4
    assert team[LED] == 1


def test_followers_lose_patience():
    team = make_team()
    follow(team, none_joined(), 0, 10)
    assert np.array_equal(team, make_team())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processors")
def test_followers_give_up_on_the_processor_of_who_leads(code):
    team, job, usable = make_team(), Job(code, 3), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})
    try:
        lead(team, code, job.order.ctypes.data, LOOKS)
        assert team[PROCESSOR] == min(usable)
        assert follow(team, none_joined(), 0, 1 << 60)
        team[PROCESSOR] = -1
        assert not follow(team, none_joined(), 0, 10)
    finally:
        os.sched_setaffinity(0, usable)


@pytest.mark.skipif(sys.platform != "linux" or ONE_PROCESSOR, reason="there is one processor")
def test_helpers_wake_on_another_processor(code):
    workers, usable, end, before = Workers(2), os.sched_getaffinity(0), time.monotonic() + 60, {*enumerate_threads()}
    left: set[int] = set()
    while not left and time.monotonic() < end:
        workers.carry_out(Job(code, 3).order[None])
        time.sleep(0.005)
        helpers = [thread.native_id for thread in {*enumerate_threads()} - before if thread.name == "tersor 1"]
        left = usable - set.intersection(*(os.sched_getaffinity(number) for number in helpers if number))
    workers.close()
    assert left


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processors")
def test_helpers_that_cannot_leave_sleep(code, monkeypatch):
    workers, usable, end = Workers(2), os.sched_getaffinity(0), time.monotonic() + 20
    here, elsewhere = min(usable), max(usable) + 1

    def refuse(thread: int, processors: set[int]) -> None:
        raise PermissionError

    os.sched_setaffinity(0, {here})  # so that helpers start on the processor of who leads
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "sched_setaffinity", refuse)
            patch.setattr(os, "sched_getaffinity", lambda _: {here, elsewhere})
            for _ in range(5):
                workers.carry_out(Job(code, 9).order[None])
                time.sleep(0.01)
            (helper,) = workers._started().helpers
            while not (asleep := helper.asleep) and time.monotonic() < end:
                time.sleep(0.01)
            workers.close()
    finally:
        os.sched_setaffinity(0, usable)
    assert asleep


@pytest.mark.parametrize("count", [1, 2, 4])
def test_workers_share_work_of_many_callers(code, count):
    workers, jobs = Workers(count), [[Job(code, 9) for _ in range(50)] for _ in range(6)]

    def run(own: list[Job]) -> None:
        for job in own[:25]:
            workers.carry_out(job.order[None])
        workers.carry_out(np.array([job.order for job in own[25:]]))

    callers = [Thread(target=run, args=(own,)) for own in jobs]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    workers.close()
    assert all(job.done == [1] * 9 for own in jobs for job in own)


def test_a_recorder_notes_who_shares(code):
    workers, jobs = Workers(2), [Job(code, 6), Job(code, 2), Job(code, 1)]
    recorder = Recorder(workers)
    recorder.carry_out(np.array([job.order for job in jobs]), [(0, 1), (1, 3)])
    workers.close()
    assert [job.done for job in jobs] == [[1] * 6, [1] * 2, [1]]
    spans = recorder.spans()
    assert [span.step for span in spans if span.lane == STEPS] == [0, 1]
    assert "thread 0" in {span.lane for span in spans}
