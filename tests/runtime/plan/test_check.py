"""What a model says of arrays, names and shapes that it cannot take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import InputError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.runtime.model import Model
from tests.runtime.small import image, small


@pytest.fixture
def graph() -> Graph:
    """As :func:`small`."""
    return small()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "'image' is missing"),
        ({"picture": image()}, "no input 'picture'; it takes image: float32\\[batch, 3, 8, width\\]"),
        ({"image": image().astype(image().dtype.newbyteorder())}, "float32\\[1, 3, 8, 10\\] in foreign byte order, the model"),
        ({"image": image().astype(np.float64)}, "float64\\[1, 3, 8, 10\\], the model takes float32\\[batch, 3, 8, width\\]"),
        ({"image": image()[0]}, "float32\\[3, 8, 10\\]"),
        ({"image": image()[:, :2]}, "float32\\[1, 2, 8, 10\\]"),
        ({"image": image().tolist()}, "a numpy array float32\\[batch, 3, 8, width\\], as numpy.asarray makes it, not list"),
        ({"image": image(), "extra": image()}, "'extra'"),
    ],
)
def test_wrong_inputs_say_what_was_expected(graph, inputs, message):
    with Model(graph, threads=1) as model, pytest.raises(InputError, match=message):
        model.run(inputs)


@pytest.mark.parametrize("inputs", [np.zeros(3, np.float32), [np.zeros(3, np.float32)], None])
def test_inputs_are_arrays_by_name(graph, inputs):
    with Model(graph) as model:
        for _ in range(2):
            with pytest.raises(InputError, match=r"inputs must be a dict of arrays by name, .* not (ndarray|list|NoneType)"):
                model.run(inputs)
            model.run({"image": np.zeros((1, 3, 8, 5), np.float32)})


def test_outputs_are_named_in_a_list(graph):
    with (
        Model(graph) as model,
        pytest.raises(InputError, match=r"outputs must be a list of names, as in .*, not 'mean'"),
    ):
        model.run({"image": np.zeros((1, 3, 8, 5), np.float32)}, "mean")


@pytest.mark.parametrize("shape", [("N", 3, 8, 5), (-1, 3, 8, 5), (2.5, 3, 8, 5), 2])
def test_shapes_to_plan_for_are_integers(graph, shape):
    number: Any = np.int64
    with Model(graph, threads=number(1)) as model:
        assert model.plan({"image": (number(2), 3, 8, 5)}).steps
        with pytest.raises(InputError, match=r"'image' cannot have shape .*: a sequence of integers from 0 on is expected"):
            model.plan({"image": shape})


def test_an_input_of_unknown_rank_has_to_be_given_a_shape():
    x, y = (Value(name, TensorType("float32", None)) for name in "xy")
    with Model(Graph("g", (x,), (y,), (Node("Relu", "", ("x",), ("y",)),)), threads=1) as model:
        assert model.plan({"x": (2, 3)}).steps
        with pytest.raises(InputError, match="input 'x' has no declared shape; give one"):
            model.plan()


@pytest.mark.parametrize(
    "array",
    [
        np.empty((1, 4, 8, 9), np.float32),
        np.empty((1, 4, 8, 10), np.float64),
        np.empty((1, 4, 8, 20), np.float32)[..., ::2],
        np.broadcast_to(np.float32(0), (1, 4, 8, 10)),
        [[1.0]],
    ],
)
def test_unsuitable_out_is_refused(graph, array):
    with Model(graph, threads=1) as model, pytest.raises(InputError, match="out\\['features'\\]"):
        model.run({"image": image()}, out={"features": array})


def test_out_may_not_overlap_or_be_unknown(graph):
    room = np.empty(4 * 8 * 10, np.float32)
    given = room.reshape(1, 4, 8, 10)
    with Model(graph, threads=1) as model:
        with pytest.raises(InputError, match="overlaps"):
            model.run({"image": room[:240].reshape(1, 3, 8, 10)}, out={"features": given})
        with pytest.raises(InputError, match="overlaps"):
            model.run({"image": image()}, out={"features": given, "mean": room[:4].reshape(1, 4, 1, 1)})
        with pytest.raises(InputError, match="not among"):
            model.run({"image": image()}, ["mean"], out={"features": given})
