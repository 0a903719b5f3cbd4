"""Runs like the one before give what every run gives, and nothing else takes their way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import InputError, LimitError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tests.runtime.small import W, image


class Marked(np.ndarray):
    """An array of another class."""


def model_of(nodes: tuple[Node, ...], outputs: dict[str, tuple[Any, ...]], threads: int = 1, plans: int = 16) -> Model:
    values = tuple(Value(name, TensorType("float32", shape)) for name, shape in outputs.items())
    x = Value("x", TensorType("float32", ("batch", 3, 8, 10)))
    return Model(Graph("g", (x,), values, nodes, {"w": DenseTensor.of(W)}, {}), threads=threads, plans=plans)


CONV = Node("Conv", "conv", ("x", "w"), ("c",), {"pads": (1, 1, 1, 1)})
MEAN = Node("GlobalAveragePool", "mean", ("c",), ("m",))
FLAT = Node("Flatten", "flat", ("m",), ("f",))
IN_PARTS = (
    Node("Split", "split", ("x",), ("a", "b"), {"axis": 1, "num_outputs": 2}),
    Node("Relu", "one", ("a",), ("p",)),
    Node("Neg", "other", ("b",), ("q",)),
    Node("Concat", "both", ("q", "p"), ("t",), {"axis": 1}),
)


def has_repeated(model: Model, x: np.ndarray) -> bool:
    """Whether a run like the last one is one, for this input."""
    return model._repeat({"x": x}) is not None


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ((CONV,), {"c": ("batch", 4, 8, 10)}),
        ((CONV, MEAN), {"c": ("batch", 4, 8, 10), "m": ("batch", 4, 1, 1)}),
        ((CONV, MEAN, FLAT), {"f": ("batch", 4)}),
        (IN_PARTS, {"t": ("batch", 3, 8, 10)}),
    ],
)
def test_same_results(nodes, outputs, threads):
    with model_of(nodes, outputs, threads=threads) as model, model_of(nodes, outputs, threads=threads) as other:
        wanted = [other.run({"x": image(seed=seed)}, list(outputs)) for seed in range(5)]
        assert not has_repeated(model, image())
        found = [model.run({"x": image(seed=seed)}) for seed in range(5)]
        assert has_repeated(model, image())
    for want, got in zip(wanted, found, strict=True):
        assert list(got) == list(want)
        for name in got:
            assert got[name].shape == want[name].shape
            np.testing.assert_array_equal(got[name], want[name])


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ((CONV, MEAN, FLAT), {"m": ("batch", 4, 1, 1), "f": ("batch", 4)}),
        ((CONV, Node("Identity", "same", ("x",), ("y",))), {"c": ("batch", 4, 8, 10), "y": ("batch", 3, 8, 10)}),
        ((CONV, Node("Cos", "cos", ("c",), ("y",))), {"y": ("batch", 4, 8, 10)}),
    ],
    ids=["one array twice", "an input", "in Python"],
)
def test_other_plans_run_as_ever(nodes, outputs):
    with model_of(nodes, outputs) as model, model_of(nodes, outputs) as other:
        for seed in range(3):
            want, got = other.run({"x": image(seed=seed)}, list(outputs)), model.run({"x": image(seed=seed)})
            for name in want:
                np.testing.assert_array_equal(got[name], want[name])
                assert not np.may_share_memory(got[name], image(seed=seed))
        assert has_repeated(model, image())


def test_other_inputs_are_seen():
    with model_of((CONV,), {"c": ("batch", 4, 8, 10)}) as model:
        want = [model.run({"x": image()})["c"] for _ in range(2)][1]
        for same in (np.asfortranarray(image()), image().view(Marked), np.repeat(image(), 2, axis=3)[..., ::2]):
            assert not has_repeated(model, same)
            np.testing.assert_array_equal(model.run({"x": same})["c"], want)
        two = model.run({"x": image(batch=2)})["c"]
        assert two.shape == (2, 4, 8, 10)
        assert not has_repeated(model, image())
        np.testing.assert_array_equal(model.run({"x": image()})["c"], want)
        for wrong in ({}, {"y": image()}, {"x": image(), "y": image()}, {"x": image().astype(np.float64)}, {"x": want}):
            with pytest.raises(InputError):
                model.run(wrong)
        assert has_repeated(model, image())


def test_given_memory_and_chosen_outputs_are_minded():
    with model_of((CONV, MEAN), {"c": ("batch", 4, 8, 10), "m": ("batch", 4, 1, 1)}) as model:
        want, given = [model.run({"x": image()}) for _ in range(2)][1], np.empty((1, 4, 1, 1), np.float32)
        assert list(model.run({"x": image()}, ["m"])) == ["m"]
        assert model.run({"x": image()}, out={"m": given})["m"] is given
        np.testing.assert_array_equal(given, want["m"])


def test_a_plan_that_is_forgotten_is_not_kept():
    with model_of((CONV,), {"c": ("batch", 4, 8, 10)}, plans=1) as model:
        model.run({"x": image()})
        model.plan({"x": (2, 3, 8, 10)})
        assert not has_repeated(model, image())
        assert model._plans.last is None


def test_without_memory_for_outputs_the_error_says_so(monkeypatch):
    made, full, x = np.empty, [], image()

    def empty(*arguments: Any, **options: Any) -> np.ndarray:
        if full:
            raise MemoryError
        return made(*arguments, **options)

    monkeypatch.setattr(np, "empty", empty)
    with model_of((CONV,), {"c": ("batch", 4, 8, 10)}) as model:
        want = model.run({"x": x})["c"]
        assert has_repeated(model, x)
        full.append(True)
        assert not has_repeated(model, x)
        with pytest.raises(LimitError, match="output 'c' takes 1,280 bytes"):
            model.run({"x": x})
        full.clear()
        np.testing.assert_array_equal(model.run({"x": x})["c"], want)
