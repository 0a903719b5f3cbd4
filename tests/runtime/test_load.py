"""``load``: what it refuses before a model is made."""

from __future__ import annotations

import io
from typing import get_args

import pytest

from tersor.format_spec.container import MANIFEST, ContainerWriter
from tersor.format_spec.errors import UnsupportedOperator
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.manifest import encode_manifest
from tersor.runtime import load
from tersor.runtime.load import Memory


def written(*nodes: Node) -> bytes:
    """A file whose graph takes a flag ``c`` and ``x`` and returns ``y``; no operator is checked."""
    number = TensorType("float32", (1,))
    inputs = Value("c", TensorType("bool", ())), Value("x", number)
    file = io.BytesIO()
    writer = ContainerWriter(file)
    writer.add(MANIFEST, encode_manifest(Graph("g", inputs, (Value("y", number),), nodes), []))
    writer.finish()
    return file.getvalue()


ODD = Node("Frobnicate", "middle", ("x",), ("y",))
RELU = Node("Relu", "middle", ("x",), ("y",))


def in_a_branch(node: Node) -> Node:
    branch = Graph("", (), (Value("y", TensorType("float32", (1,))),), (node,))
    return Node("If", "", ("c",), ("y",), {"then_branch": branch, "else_branch": branch})


@pytest.mark.parametrize("memory", get_args(Memory))
def test_an_operator_that_the_runtime_lacks_is_named(memory: Memory):
    for node in (ODD, in_a_branch(ODD)):
        with pytest.raises(UnsupportedOperator, match=r"'middle'.*Frobnicate"):
            load(written(node), memory=memory)
    for node in (RELU, in_a_branch(RELU)):
        load(written(node), memory=memory).close()


@pytest.mark.parametrize("memory", get_args(Memory))
def test_a_model_has_the_threads_that_are_asked_for(memory: Memory):
    with load(written(RELU), threads=3, memory=memory) as model:
        assert model.threads == 3
