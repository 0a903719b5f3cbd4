"""Another process compiles what it is asked for, and ends whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tersor.runtime.jit.aside import Aside, Task, possible
from tersor.runtime.jit.jitted import example_of, kind_of
from tersor.runtime.jit.link import link
from tersor.runtime.kernels.matrices.products import finish

VECTOR, BOUNDS = np.ones(3, np.float32), np.array([0, 9], np.float32)
ARGUMENTS = (), VECTOR[None], VECTOR, VECTOR[:0], VECTOR, VECTOR, BOUNDS
FINISH = Task("finish", finish.__module__, "finish", tuple(map(kind_of, ARGUMENTS)))

ORPHAN = """
import os, sys
from tersor.runtime.jit.aside import Aside, Task
aside = Aside([Task("f", "tersor.runtime.decode.jitted.blocks", "decode_blocks", ())] * 9)
print(aside._process.pid, flush=True)
os.kill(os.getpid(), 9) if sys.argv[1] == "killed" else sys.exit()
"""

FORKED = """
import os, signal, sys
from tersor.runtime.jit.aside import Aside
aside = Aside([])
with aside._changed:
    aside._changed.wait_for(lambda: aside._ended, 60)
while not aside._process._waitpid_lock.locked() and aside._process.returncode is None:
    pass
child = os.fork()
if child == 0:
    signal.alarm(20)
    sys.exit()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.aside.PATIENCE", 60.0)


def ended(aside: Aside) -> int:
    """The exit status of a process, waited for."""
    return aside._process.wait(timeout=60)


def begun(*tasks: Task) -> Aside:
    """A process that is at its first task."""
    aside = Aside(tasks)
    with aside._changed:
        assert aside._changed.wait_for(lambda: aside._current is not None, timeout=60)
    return aside


def test_the_code_runs_here():
    aside = begun(FINISH)
    code = aside.take("finish")
    assert code is not None
    y = np.ones(3, np.float32)
    entry = link(code, finish.py_func)
    assert entry is not None
    entry((), VECTOR[None], y, VECTOR[:0], VECTOR, VECTOR, BOUNDS)
    assert y.tolist() == [2, 2, 2]
    assert ended(aside) == 0
    assert not aside.add([FINISH])
    assert aside.take("finish") is None


def test_what_is_taken_before_its_turn_is_left_to_the_caller():
    aside = begun(FINISH, Task("second", FINISH.module, FINISH.kernel, FINISH.kinds))
    assert aside.take("second") is None
    assert aside.take("finish") is not None
    assert ended(aside) == 0


def test_nobody_waits_for_long(monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.aside.PATIENCE", 0.0)
    aside = begun(FINISH, FINISH)
    assert aside.take("finish") is None
    assert ended(aside) != 0
    assert aside.take("finish") is None


def test_who_would_wait_takes_the_last_task():
    aside = begun(FINISH, *(Task(f"{n}", FINISH.module, FINISH.kernel, FINISH.kinds) for n in range(2)))
    assert aside.spare("another") is None
    assert [task.file for task in (aside.spare("finish"), aside.spare("finish")) if task is not None] == ["1", "0"]
    assert aside.spare("finish") is None
    assert aside.take("finish") is not None
    assert ended(aside) == 0


def test_nobody_gets_the_task_that_is_waited_for():
    other = Task("other", FINISH.module, FINISH.kernel, FINISH.kinds)
    aside = begun(FINISH, other)
    assert aside.add([FINISH, other])
    assert aside.spare("finish") == other
    assert aside.spare("finish") is None
    assert aside.take("finish") is not None
    assert ended(aside) == 0


@pytest.mark.parametrize("task", [Task("f", "tersor.no_such_module", "f", ()), Task("f", finish.__module__, "finish", (int,))])
def test_a_kernel_that_fails_is_left_to_the_caller(task):
    aside = begun(task, FINISH)
    assert aside.take("f") is None
    with aside._changed:
        assert aside._changed.wait_for(lambda: aside._ended, timeout=60)
    assert aside.take("finish") is not None
    assert ended(aside) == 0


def test_a_process_that_ends_leaves_the_rest_to_the_caller():
    aside = begun(FINISH, Task("second", FINISH.module, FINISH.kernel, FINISH.kinds))
    aside._process.kill()
    ended(aside)
    assert aside.take("finish") is None
    assert aside.take("second") is None


def test_no_interpreter_that_starts_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(OSError, match="python"):
        Aside([FINISH])


@pytest.mark.skipif(os.name != "posix", reason="looks for a process by its number")
@pytest.mark.parametrize("how", ["killed", "ended"])
def test_the_process_does_not_outlive_its_parent(how):
    done = subprocess.run([sys.executable, "-c", ORPHAN, how], capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if how == "killed" else 0)
    assert done.stderr == ""
    for _ in range(600):
        if not running(int(done.stdout)):
            return
        time.sleep(0.1)
    raise AssertionError("it still runs")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_does_not_wait_for_it():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0


def running(number: int) -> bool:
    """Whether a process does more than wait for somebody to ask for its exit status."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("name", "processors", "expected"),
    [("python3", 2, True), ("Python.exe", 8, True), ("python3", 1, False), ("blender", 2, False), ("", 2, False)],
)
def test_where_another_process_is_possible(monkeypatch, name, processors, expected):
    monkeypatch.setattr(sys, "executable", f"/bin/{name}" if name else None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert possible() is expected
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not possible()


def test_examples_have_their_kinds():
    array = np.zeros((3, 4))
    frozen = array.copy()
    frozen.flags.writeable = False
    for value in (array, frozen, array.T, array[0], 1, 1.0, True, None, BOUNDS[1], ((), (1,)), array.astype(">f8")):
        assert kind_of(example_of(kind_of(value))) == kind_of(value)
