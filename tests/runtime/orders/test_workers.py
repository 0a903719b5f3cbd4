"""The thread pool."""

from __future__ import annotations

import os
import signal
import time
from threading import Barrier, Event, Thread, get_ident
from threading import enumerate as enumerate_threads
from weakref import ref

import pytest

from tersor.runtime.orders.workers import Workers, physical_cores
from tersor.runtime.plan.trace import Recorder


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_part_runs_once(count):
    workers, seen = Workers(count), []
    workers.each(seen.append, 7)
    workers.close()
    assert sorted(seen) == list(range(7))


def test_other_threads_take_part():
    workers, threads, both = Workers(2), set(), Barrier(2, timeout=60)

    def work(part: int) -> None:
        both.wait()
        threads.add(get_ident())

    workers.each(work, 2)
    workers.close()
    assert len(threads) == 2


def test_nobody_waits_for_a_thread_that_is_busy():
    workers, release, seen = Workers(2), Event(), []
    busy = Thread(target=workers.each, args=(lambda part: release.wait(60), 2))
    busy.start()
    workers.each(seen.append, 5)
    release.set()
    busy.join()
    workers.close()
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_threads_end_with_their_workers():
    before, workers = {*enumerate_threads()}, Workers(3)
    workers.each(lambda part: None, 3)
    started = {*enumerate_threads()} - before
    assert len(started) == 2
    del workers
    for thread in started:
        thread.join(60)
    assert not any(thread.is_alive() for thread in started)


def test_threads_end_with_their_workers_after_an_error():
    def fail(part: int) -> None:
        raise ValueError(part)

    before, workers = {*enumerate_threads()}, Workers(3)
    with pytest.raises(ValueError, match=r"\d"):
        workers.each(fail, 3)
    started = {*enumerate_threads()} - before
    assert started
    gone = ref(workers)
    del workers
    assert gone() is None
    for thread in started:
        thread.join(60)
    assert not any(thread.is_alive() for thread in started)


def test_threads_forget_what_they_did():
    workers, both, end = Workers(2), Barrier(2, timeout=60), time.monotonic() + 20

    def work(part: int) -> None:
        both.wait()

    gone = ref(work)
    workers.each(work, 2)
    del work
    while gone() is not None and time.monotonic() < end:  # the other thread may still be at its last line
        time.sleep(0.01)
    workers.close()
    assert gone() is None


def test_threads_end_after_a_trace():
    before, recorder = {*enumerate_threads()}, Recorder(Workers(2))
    both = Barrier(2, timeout=60)
    recorder.each(lambda part: both.wait(), 2)
    started = {*enumerate_threads()} - before
    assert started
    del recorder
    for thread in started:
        thread.join(20)
    assert not any(thread.is_alive() for thread in started)


def test_each_thread_has_a_lane_of_its_own(monkeypatch):
    class Slow(dict[int, str]):
        def __len__(self) -> int:
            found = super().__len__()
            time.sleep(0.1)
            return found

    workers, together = Workers(3), Barrier(3, timeout=60)
    recorder = Recorder(workers)
    monkeypatch.setattr(recorder, "_lanes", Slow(recorder._lanes))
    recorder.each(lambda part: together.wait(), 3)
    workers.close()
    assert sorted(span.lane for span in recorder.spans()) == ["thread 0", "thread 1", "thread 2"]


def test_no_parts_are_done_at_once():
    workers, seen = Workers(2), []
    caller = Thread(target=workers.each, args=(seen.append, 0), daemon=True)
    caller.start()
    caller.join(20)
    assert not caller.is_alive()
    assert seen == []


def test_an_error_reaches_the_caller_after_all_parts_ended():
    workers, done = Workers(2), []

    def work(part: int) -> None:
        done.append(part)
        if part != 1:
            raise ValueError(part)

    with pytest.raises(ValueError):
        workers.each(work, 3)
    workers.close()
    assert sorted(done) == [0, 1, 2]


def test_many_callers_at_once():
    workers, seen = Workers(3), []
    callers = [Thread(target=lambda: [workers.each(seen.append, 3) for _ in range(30)]) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    workers.close()
    assert len(seen) == 8 * 30 * 3


def test_closed_workers_start_again():
    workers, seen = Workers(2), []
    workers.each(seen.append, 2)
    workers.close()
    workers.each(seen.append, 2)
    workers.close()
    assert len(seen) == 4


def test_fewer_threads_than_wanted_do_the_work(monkeypatch):
    before, start, seen = {*enumerate_threads()}, Thread.start, []

    def refuse_others(thread: Thread) -> None:
        if thread.name != "tersor 1":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(Thread, "start", refuse_others)
    workers = Workers(4)
    workers.each(seen.append, 9)
    workers.each(seen.append, 9)
    started = {*enumerate_threads()} - before
    workers.close()
    assert sorted(seen) == sorted([*range(9)] * 2)
    assert [thread.name for thread in started] == ["tersor 1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own():
    workers = Workers(2)
    workers.each(lambda part: None, 2)
    child = os.fork()
    if child == 0:  # whatever happens there, it runs no other test
        status = 1
        try:
            signal.alarm(60)
            both = Barrier(2, timeout=20)
            workers.each(lambda part: both.wait(), 2)
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    workers.close()
    assert status == 0


@pytest.mark.parametrize(("usable", "cores"), [(set(), 1), ({5}, 1), ({2, 3}, 1), ({0, 1, 2, 3}, 2), ({1, 2, 7}, 3)])
def test_hardware_threads_of_one_core_count_once(usable: set[int], cores: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tersor.runtime.orders.workers._core_of", lambda cpu: f"{cpu // 2}")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: usable, raising=False)
    assert physical_cores() == cores
