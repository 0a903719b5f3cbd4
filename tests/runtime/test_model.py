"""The model: what it accepts, what it returns, and that many threads may use it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import InputError, PlanError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tersor.runtime.plan.execute import Execution
from tersor.runtime.plan.planned import MOST_EXECUTIONS, Planned
from tests.runtime.small import image, small


@pytest.fixture
def graph() -> Graph:
    """As :func:`small`."""
    return small()


def test_what_it_says_of_itself(graph):
    with Model(graph, threads=1) as model:
        assert [v.name for v in model.inputs] == ["image"]
        assert [v.name for v in model.outputs] == ["features", "mean"]
        assert model.metadata == {"author": "test"}
        assert model.threads == 1
        assert Model(graph).threads >= 1
        named = "small\x1b[2J"
        assert repr(replace(graph, name=named)).startswith(r"Graph('small\x1b[2J', image: float32[batch, 3, 8, width] -> ")
        assert repr(graph).endswith(", nodes=3, tensors=1)")
        assert repr(model) == (
            "Model(image: float32[batch, 3, 8, width] -> features: float32[batch, 4, 8, width], mean: float32[batch, 4, 1, 1])"
        )


def test_results_are_fresh(graph):
    with Model(graph, threads=1) as model:
        first = model.run({"image": image()})
        kept = {name: value.copy() for name, value in first.items()}
        model.run({"image": image(seed=1)})
        for name, value in first.items():
            np.testing.assert_array_equal(value, kept[name])


def test_outputs_are_selected_by_name(graph):
    with Model(graph, threads=1) as model:
        assert list(model.run({"image": image()}, ["mean"])) == ["mean"]
        assert list(model.run({"image": image()}, ["mean", "features"])) == ["mean", "features"]
        with pytest.raises(InputError, match="features, mean"):
            model.run({"image": image()}, ["nothing"])


def test_out_is_written_and_returned(graph):
    with Model(graph, threads=1) as model:
        want = model.run({"image": image()})
        given = {"features": np.empty((1, 4, 8, 10), np.float32), "mean": np.empty((1, 4, 1, 1), np.float32)}
        for names in (["features"], ["mean"], ["features", "mean"]):
            got = model.run({"image": image()}, out={n: given[n] for n in names})
            for name in want:
                assert (got[name] is given[name]) == (name in names)
                np.testing.assert_array_equal(got[name], want[name])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.complex64])
def test_out_of_another_type_is_refused_where_the_shape_is_known_late(dtype):
    nodes = (Node("NonZero", "n", ("x",), ("i",)), Node("Cast", "c", ("i",), ("y",), {"to": 1}))
    values = (Value("x", TensorType("float32", (3,))),), (Value("y", TensorType("float32", None)),)
    with Model(Graph("g", *values, nodes, {}), threads=1) as model, pytest.raises(InputError, match="the output is float32"):
        model.run({"x": np.ones(3, np.float32)}, out={"y": np.empty((1, 3), dtype)})


@pytest.mark.parametrize("runs", [0, -1])
def test_a_trace_has_runs(graph, runs):
    with Model(graph) as model, pytest.raises(InputError, match="1 run at least"):
        model.trace({"image": np.zeros((1, 3, 8, 5), np.float32)}, runs)


@pytest.mark.parametrize("threads", [1.5, "2", True, 0, 1025, 1 << 70])
def test_threads_are_a_positive_integer(graph, threads):
    with pytest.raises(PlanError, match=f"threads must be an integer from 1 to 1024, not {threads!r}"):
        Model(graph, threads=threads)


def test_inputs_need_not_be_contiguous(graph):
    with Model(graph, threads=1) as model:
        x = image(2, 20)
        got, want = model.run({"image": x[::2, :, :, ::2]}), model.run({"image": x[::2, :, :, ::2].copy()})
        np.testing.assert_array_equal(got["features"], want["features"])


def test_plan_without_shapes_takes_symbolic_sizes_as_one(graph):
    with Model(graph, threads=1) as model:
        plan = model.plan()
        assert repr(plan) == str(plan)
        assert plan.slots[plan.inputs["image"]].shape == (1, 3, 8, 1)
        for bad in ({"image": (1, 3, 9, 1)}, {"picture": (1,)}):
            with pytest.raises(InputError):
                model.plan(bad)


def test_closed_model_does_not_run(graph):
    model = Model(graph, threads=1)
    model.run({"image": image()})
    model.close()
    model.close()
    with pytest.raises(PlanError, match="closed"):
        model.run({"image": image()})


def test_closing_waits_for_who_looks_up_a_plan(graph):
    class Watched(OrderedDict):
        def move_to_end(self, key: Any, last: bool = True) -> None:
            closing.start()
            closing.join(0.2)
            super().move_to_end(key, last)

    model = Model(graph, threads=1)
    model.plan({"image": (1, 3, 8, 11)})
    closing, want = Thread(target=model.close), model.run({"image": image()})
    model._plans._plans = Watched(model._plans._plans)
    np.testing.assert_array_equal(model.run({"image": image()}, ["mean"])["mean"], want["mean"])
    closing.join()
    assert not model._plans._plans


@pytest.mark.parametrize(("of", "name", "outputs"), [(Execution, "run", ["mean"]), (Planned, "repeat", None)])
def test_threads_end_with_the_last_run_of_a_closed_model(graph, monkeypatch, of, name, outputs):
    def closed_meanwhile(*arguments: Any) -> dict[str, np.ndarray]:
        model.close()
        return run(*arguments)

    before, model, run = {*enumerate_threads()}, Model(graph, threads=2), getattr(of, name)
    model.run({"image": image()})
    monkeypatch.setattr(of, name, closed_meanwhile)
    model.run({"image": image()}, outputs)
    for thread in {*enumerate_threads()} - before:
        thread.join(20)
    assert {*enumerate_threads()} <= before
    with pytest.raises(PlanError, match="closed"):
        model.run({"image": image()})


@pytest.mark.parametrize("bad", [{"threads": 0}, {"plans": 0}])
def test_counts_must_be_positive(graph, bad):
    with pytest.raises(PlanError, match=r"at least 1|from 1 to"):
        Model(graph, **bad)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_threads_may_run_one_model(graph, threads):
    images = [image(1 + i % 2, 8 + i % 5, seed=i) for i in range(10)]
    with Model(graph, threads=threads) as model:  # as many: what a plan chooses depends on them, and the last bits on that
        want = [model.run({"image": x}) for x in images]
    wrong: list[int] = []
    with Model(graph, threads=threads, plans=3) as model:

        def work(first: int) -> None:
            for step in range(15):
                i = (first + step) % len(images)
                got = model.run({"image": images[i]})
                wrong.extend([i] * any(not np.array_equal(got[name], want[i][name]) for name in got))

        workers = [Thread(target=work, args=(i,)) for i in range(2 * MOST_EXECUTIONS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []


def test_import_is_light():
    code = "import sys, tersor.runtime.model as m; print([n for n in ('numba', 'onnx', 'torch', 'scipy') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_model_without_inputs_takes_none():
    node = Node("Relu", "n", ("w",), ("y",), {})
    kind = TensorType("float32", (2,))
    alone = Graph("g", (), (Value("y", kind),), (node,), {"w": DenseTensor.of(np.array([-1, 2], np.float32))})
    with Model(alone, threads=1) as model:
        assert model.run({})["y"].tolist() == [0, 2]
        with pytest.raises(InputError, match="no input 'x'"):
            model.run({"x": np.ones(2, np.float32)})


def test_models_are_not_copied(graph):
    with Model(graph, threads=1) as model:
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                attempt(model)


def test_outputs_may_come_one_by_one(graph):
    with Model(graph, threads=1) as model:
        names, number, arrays = iter(["mean"]), 3, [np.zeros(1)]
        run: Any = model.run
        assert list(run({"image": image()}, names)) == ["mean"]
        with pytest.raises(InputError, match="outputs must be a list of names"):
            run({"image": image()}, number)
        with pytest.raises(InputError, match="out must be arrays by the names"):
            run({"image": image()}, out=arrays)
