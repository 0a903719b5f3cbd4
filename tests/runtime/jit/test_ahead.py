"""Kernels that will be needed are handed to another process, while this one compiles the first."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

from tersor.runtime.jit import ahead
from tersor.runtime.jit.aside import Task
from tersor.runtime.jit.jitted import jit


def add_one(number):
    return number + 1


class Recorded:
    """Stands for another process that has made nothing."""

    def __init__(self, tasks):
        self.tasks = list(tasks)

    def add(self, tasks):
        self.tasks += tasks
        return True

    def spare(self, file):
        return None

    def take(self, file):
        return None


@pytest.fixture
def foreseen(monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.ahead._aside", None)
    monkeypatch.setattr("tersor.runtime.jit.aside.Aside", Recorded)
    monkeypatch.setattr("tersor.runtime.jit.aside.possible", lambda: True)
    monkeypatch.setattr("tersor.runtime.jit.cache.cache_folder", lambda: None)


def expecting(name: str, threads: int) -> AbstractContextManager[None]:
    """Where a kernel ``name`` is needed."""
    return ahead.expecting(lambda: [Task(name, "m", "k", ())], threads)


@pytest.mark.usefixtures("foreseen")
def test_tasks_are_handed_out_when_a_kernel_has_to_be_compiled_and_once():
    with expecting("one", 2), expecting("alone", 1):
        assert ahead._aside is None
        assert jit(add_one)(1) == 2
        with expecting("other", 2):
            assert jit(add_one)(1.5) == 2.5
        assert jit(add_one)(np.float32(1)) == 2
    recorded: Any = ahead._aside
    assert [task.file for task in recorded.tasks] == ["one", "other"]
    assert ahead._expected == []


@pytest.mark.usefixtures("foreseen")
def test_nothing_is_handed_out_afterwards():
    with expecting("one", 2):
        pass
    assert jit(add_one)(1) == 2
    assert ahead._aside is None


@pytest.mark.usefixtures("foreseen")
def test_what_is_foreseen_later_is_handed_out_while_there_is_another_process():
    kernel = jit(add_one)
    ahead.foresee(kernel, (1,))
    assert ahead._aside is None
    with expecting("one", 2):
        assert kernel(1) == 2
    ahead.foresee(kernel, (1,))  # is there
    ahead.foresee(kernel, (1.5,))
    recorded: Any = ahead._aside
    assert [task.file for task in recorded.tasks[:-1]] == ["one"]
    assert recorded.tasks[-1] == Task.of(kernel, (float,))


@pytest.mark.usefixtures("foreseen")
def test_waiting_is_spent_on_other_kernels(monkeypatch):
    kernel = jit(add_one)
    monkeypatch.setattr(sys.modules[__name__], "spare_kernel", kernel, raising=False)
    spare = iter([Task("spare", __name__, "spare_kernel", (int,)), None])
    monkeypatch.setattr(Recorded, "spare", lambda self, file: next(spare, None))
    with expecting("one", 2):
        assert jit(add_one)(1.5) == 2.5
    assert list(kernel._entries) == [(int,)]


@pytest.mark.usefixtures("foreseen")
def test_machine_code_is_never_replaced(monkeypatch):
    kernel, first = jit(add_one), []

    def spare(self: Recorded, file: str) -> None:
        monkeypatch.setattr(Recorded, "spare", lambda self, file: None)
        first.append(kernel.bind(1))  # while it is being compiled already

    monkeypatch.setattr(Recorded, "spare", spare)
    with expecting("one", 2):
        assert kernel(1) == 2
    assert first == [kernel.bind(1)]


@pytest.mark.usefixtures("foreseen")
def test_a_process_that_cannot_be_started_is_done_without(monkeypatch):
    def refuse(tasks):
        raise PermissionError

    monkeypatch.setattr("tersor.runtime.jit.aside.Aside", refuse)
    with expecting("one", 2):
        assert jit(add_one)(1) == 2
    assert ahead._aside is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_compiles_for_itself(monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.ahead._aside", object())
    child = os.fork()
    if child == 0:
        os._exit(ahead._aside is not None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ahead._aside is not None
