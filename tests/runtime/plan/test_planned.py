"""Arenas of a plan: runs that end badly, and processes that fork, leave room for others."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tersor.runtime.orders.workers import _Crew
from tersor.runtime.plan.planned import MOST_EXECUTIONS
from tests.runtime.small import W, image

X, Y = (Value(name, TensorType("float32", shape)) for name, shape in (("x", (1, 3, 8, 10)), ("y", (1, 4, 8, 10))))
GRAPH = Graph("g", (X,), (Y,), (Node("Conv", "c", ("x", "w"), ("y",), {"pads": (1, 1, 1, 1)}),), {"w": DenseTensor.of(W)}, {})


@pytest.mark.parametrize("outputs", [None, ["y"]])
def test_failed_runs_do_not_keep_others_from_running(monkeypatch, outputs):
    with Model(GRAPH, threads=1) as model:
        want = model.run({"x": image()})
        with monkeypatch.context() as patched:
            patched.setattr(_Crew, "carry_out", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
            for _ in range(MOST_EXECUTIONS + 1):
                with pytest.raises(MemoryError):
                    model.run({"x": image()}, outputs)
        np.testing.assert_array_equal(model.run({"x": image()})["y"], want["y"])


def test_arenas_that_nobody_has_make_room():
    with Model(GRAPH, threads=1) as model:
        for seed in range(MOST_EXECUTIONS + 2):
            model.run({"x": image(seed=seed)})
            assert model._plans.last is not None
            model._plans.last._take()  # as by an exception from a signal's handler, before the run begins


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_arenas_whatever_runs_meanwhile():
    with Model(GRAPH, threads=1) as model:
        want = model.run({"x": image()})["y"]
        planned = model._plans.last
        assert planned is not None
        taken = [planned._take() for _ in range(MOST_EXECUTIONS)]
        child = os.fork()
        if child == 0:  # whatever happens there, it runs no other test
            status = 1
            try:
                signal.alarm(60)
                status = 0 if np.array_equal(model.run({"x": image()})["y"], want) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(taken) == MOST_EXECUTIONS
