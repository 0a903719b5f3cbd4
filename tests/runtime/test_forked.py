"""A forked process waits for no thread of its parent's: it has none of them."""

from __future__ import annotations

import os
import signal
import time
from threading import Event, Thread

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.runtime.jit import jitted
from tersor.runtime.model import Model
from tersor.runtime.orders import made_once

GRAPH = Graph(
    "g",
    (Value("x", TensorType("float32", ("N",))),),
    (Value("y", TensorType("float32", ("N",))),),
    (Node("Softmax", "", ("x",), ("y",)),),
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("held", ["building", "lookup", "making"])
def test_a_forked_process_plans_whatever_threads_do_meanwhile(held: str) -> None:
    with Model(GRAPH, threads=1) as model:
        model.run({"x": np.ones(2, np.float32)})
        plans = model._plans
        locks = {"building": plans.building, "lookup": plans._lookup, "making": made_once._making}
        child = _fork_while_held(locks[held])
        if child == 0:  # whatever happens there, it runs no other test
            status = 1
            try:
                signal.alarm(60)
                status = 0 if np.array_equal(model.run({"x": np.zeros(4, np.float32)})["y"], np.full(4, 0.25)) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _fork_while_held(lock) -> int:
    """What ``os.fork`` returns, called while another thread holds ``lock``."""
    held, free = Event(), Event()

    def hold() -> None:
        with lock:
            held.set()
            free.wait()

    thread = Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child:
        free.set()
        thread.join()
    return child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_forks_when_code_that_is_being_compiled_is_complete() -> None:
    held, complete = Event(), Event()

    def compiling() -> None:
        with jitted._preparing:
            held.set()
            time.sleep(0.1)
            complete.set()

    thread = Thread(target=compiling)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if complete.is_set() and jitted._preparing.acquire(timeout=10) else 1)
    assert jitted._preparing.acquire(timeout=10)
    jitted._preparing.release()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
