"""What is foreseen of a model is what it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Recipe, pack
from tersor.runtime import load
from tersor.runtime.jit.jitted import Jitted, kind_of
from tersor.runtime.kernels.conv import pack as packing
from tersor.runtime.kernels.conv.sparse import conv
from tersor.runtime.kernels.likely import likely
from tersor.runtime.orders import workers

SHAPE = (1, 16, 20, 20)


@pytest.fixture
def network(pruned) -> Graph:
    """A convolutional network with every operator of which something is foreseen."""
    rng = np.random.default_rng(0)
    first, second = pruned(rng, (256, 16, 5, 5), 0.2), pruned(rng, (32, 256, 3, 3), 0.2)
    nodes = (
        Node("Conv", "a", ("x", "first"), ("a",), {"kernel_shape": (5, 5), "pads": (2, 2, 2, 2)}),
        Node("LRN", "n", ("a",), ("n",), {"size": 5}),
        Node("MaxPool", "p", ("n",), ("p",), {"kernel_shape": (3, 3), "strides": (2, 2)}),
        Node("Conv", "b", ("p", "second"), ("b",), {"strides": (2, 2)}),
        Node("MaxPool", "q", ("b",), ("q",), {"kernel_shape": (2, 2)}),
        Node("GlobalAveragePool", "m", ("q",), ("m",)),
        Node("Softmax", "s", ("m",), ("s",), {"axis": 1}),
    )
    values = (Value("x", TensorType("float32", SHAPE)),), (Value("s", TensorType("float32", (1, 32, 1, 1))),)
    tensors = {"first": DenseTensor.of(first), "second": DenseTensor.of(second)}
    return Graph("net", *values, nodes, tensors, {}, OPSET)


@pytest.fixture
def called(monkeypatch) -> set[tuple[str, ...]]:
    """(module, name, *kinds) of every kernel that is looked up."""
    found, bind = set(), Jitted.bind

    def note(self, *arguments):
        found.add((self.py_func.__module__, self.py_func.__name__, *map(kind_of, arguments)))
        return bind(self, *arguments)

    monkeypatch.setattr(Jitted, "bind", note)
    for known in (conv._convolver, packing.packing_code, workers._patience):  # what other tests looked up
        known.cache_clear()
    return found


def test_everything_that_is_foreseen_is_used(network, tmp_path, monkeypatch, called):
    path = tmp_path / "net.tersor"
    pack(network, path, Recipe.lossless())
    called.clear()
    with load(path, threads=2) as model:
        with monkeypatch.context() as context:
            context.setattr(Jitted, "has", lambda *_: False)
            tasks = likely(model._graph)
        model.run({"x": np.ones(SHAPE, np.float32)})
    foreseen = {(task.module, task.kernel, *task.kinds) for task in tasks}
    assert foreseen <= called
    names = [task.kernel for task in tasks]
    of_layers = {"convolver", "packer", "normaliser", "window_pooler", "averager", "normaliser_of_rows"}
    assert of_layers | {"carry_out", "follow"} < set(names)
    assert names[-1].startswith("decode_")
    assert names.count("window_pooler") == 2
    assert len(tasks) == len({task.file for task in tasks})


def test_of_convolutions_that_may_be_made_by_winograds_method_little_is_foreseen(network, monkeypatch):
    monkeypatch.setattr(Jitted, "has", lambda *_: False)
    convolution = replace(network.nodes[3], attributes={})
    assert [task.kernel for task in likely(replace(network, nodes=(convolution,)))] == ["carry_out", "follow"]
    for attributes in ({"strides": (2, 1)}, {"group": 2}, {"kernel_shape": (1, 1)}):
        changed = replace(network, nodes=(replace(convolution, attributes=attributes),))
        assert "convolver" in [task.kernel for task in likely(changed)]


@pytest.mark.parametrize("attributes", [
    {"kernel_shape": ()}, {"kernel_shape": 3}, {"kernel_shape": "ab"}, {"kernel_shape": (1.5, 2.5)}, {"kernel_shape": (2, 0)},
    {"kernel_shape": (2, 2), "strides": ()}, {"kernel_shape": (2, 2), "strides": (1, -1)},
    {"kernel_shape": (2, 2), "dilations": (1.5,)},
])  # fmt: skip
def test_nothing_is_foreseen_of_a_pool_that_will_be_refused(network, monkeypatch, attributes):
    monkeypatch.setattr(Jitted, "has", lambda *_: False)
    node = Node("MaxPool", "pool", ("x",), ("y",), attributes)
    assert [task.kernel for task in likely(replace(network, nodes=(node,)))] == []


def test_nothing_is_foreseen_of_what_is_there(network, tmp_path, monkeypatch):
    path = tmp_path / "net.tersor"
    pack(network, path, Recipe.lossless())
    with load(path, threads=2) as model:
        model.run({"x": np.ones(SHAPE, np.float32)})
        assert likely(model._graph) == []


def test_decoders_that_are_needed_later_come_first(monkeypatch):
    monkeypatch.setattr("tersor.runtime.kernels.likely._codecs", lambda graph: iter([6, 1, 8, 6, 5]))
    monkeypatch.setattr(Jitted, "has", lambda *_: False)
    monkeypatch.setattr("tersor.runtime.jit.cache.cache_folder", lambda: None)
    tasks = likely(Graph("empty", (), (), (), {}, {}, OPSET))
    assert [task.kernel for task in tasks] == ["decode_grouped", "decode_blocks"]
