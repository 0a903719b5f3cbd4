"""Traces of runs: each step once, threads inside their step, and JSON that trace viewers take."""

from __future__ import annotations

import gc
import json
from itertools import pairwise

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tersor.runtime.plan.execute import Execution
from tersor.runtime.plan.trace import STEPS, summary


@pytest.fixture
def model():
    """conv 3x3 of 64 channels (enough work for two threads) -> sigmoid, on (1, 64, 40, 40)."""
    weight = np.random.default_rng(0).standard_normal((64, 64, 3, 3)).astype(np.float32)
    kind = TensorType("float32", (1, 64, 40, 40))
    nodes = [
        Node("Conv", "first", ("x", "w"), ("c",), {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}),
        Node("Sigmoid", "second", ("c",), ("y",), {}),
    ]
    graph = Graph("g", (Value("x", kind),), (Value("y", kind),), tuple(nodes), {"w": DenseTensor.of(weight)})
    with Model(graph, threads=2) as made:
        yield made


def test_every_step_once_a_run(model):
    x = {"x": np.ones((1, 64, 40, 40), np.float32)}
    trace = model.trace(x, runs=3)
    assert [row.op for row in trace.rows] == ["Conv", "Sigmoid"]
    for run in trace.runs:
        steps = [span for span in run if span.lane == STEPS]
        assert [span.step for span in steps] == [0, 1]
        assert steps[0].begin <= steps[0].end <= steps[1].begin <= steps[1].end
        parts = [span for span in run if span.lane != STEPS]
        assert {"thread 0"} <= {span.lane for span in parts} <= {"thread 0", "thread 1"}
        assert len([span for span in parts if span.step == 0]) == 2
        assert all(steps[p.step].begin <= p.begin <= p.end <= steps[p.step].end for p in parts)


def test_a_run_before_the_traced_ones_prepares_them(model, monkeypatch):
    runs = []
    run = Execution.run
    monkeypatch.setattr(Execution, "run", lambda *arguments: runs.append(1) or run(*arguments))
    assert len(model.trace({"x": np.ones((1, 64, 40, 40), np.float32)}, runs=2).runs) == 2
    assert len(runs) == 3
    assert len(model.trace({"x": np.ones((1, 64, 40, 40), np.float32)}).runs) == 1


def test_no_objects_are_collected_meanwhile(model, monkeypatch):
    enabled = []
    run = Execution.run
    monkeypatch.setattr(Execution, "run", lambda *arguments: enabled.append(gc.isenabled()) or run(*arguments))
    model.trace({"x": np.ones((1, 64, 40, 40), np.float32)})
    assert enabled == [False, False]
    assert gc.isenabled()


def test_summary_adds_up(model):
    trace = model.trace({"x": np.ones((1, 64, 40, 40), np.float32)}, runs=2)
    rows = summary(trace)
    assert sum(share for _, _, share, _ in rows) == pytest.approx(1)
    assert [seconds > 0 for _, seconds, _, _ in rows] == [True, True]
    done = 64 * 64 * 9 * 1600 * model.plan({"x": (1, 64, 40, 40)}).steps[0].kernel.density
    assert rows[0][3] == pytest.approx(done / rows[0][1])


def test_chrome_events(model):
    trace = model.trace({"x": np.ones((1, 64, 40, 40), np.float32)}, runs=2)
    found = json.loads(json.dumps(trace.chrome()))["traceEvents"]
    names = {event["args"]["name"] for event in found if event["ph"] == "M"}
    assert {STEPS, "thread 0"} <= names <= {STEPS, "thread 0", "thread 1"}
    complete = [event for event in found if event["ph"] == "X"]
    assert len(complete) == sum(map(len, trace.runs))
    steps = sorted((e for e in complete if e["cat"] == "step"), key=lambda e: e["ts"])
    assert [e["name"].partition(":")[0] for e in steps] == ["Conv", "Sigmoid"] * 2
    assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-3 for a, b in pairwise(steps))
