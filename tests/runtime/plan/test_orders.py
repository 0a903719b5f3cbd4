"""Orders carried out by the thread pool."""

from __future__ import annotations

import os
import sys
import time
from threading import Thread
from threading import enumerate as enumerate_threads

import numpy as np
import pytest

from tersor.runtime.orders.order import SHARED
from tersor.runtime.orders.team import BUSY, LED
from tersor.runtime.orders.workers import Workers
from tersor.runtime.plan.trace import STEPS, Recorder
from tests.runtime.jobs import ONE_PROCESSOR, Job, marker, wanter


@pytest.fixture(scope="module")
def code() -> int:
    return marker(((),))


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
    assert np.array_equal(team[[LED, BUSY]], [0, 0])


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
