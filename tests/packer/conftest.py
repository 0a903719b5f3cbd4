from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor


def tensor(*shape: int) -> DenseTensor:
    return DenseTensor.of(np.zeros(shape, np.float32))


def node(op_type: str, inputs: str, output: str, **attributes: Any) -> Node:
    return Node(op_type, output, tuple(inputs.split()), (output,), attributes)


def value(name: str) -> Value:
    return Value(name, TensorType("float32", None))


@pytest.fixture
def graph() -> Graph:
    """Layers of every kind, one after the other, and an addition."""
    nodes = (
        node("Conv", "x conv1_w conv1_b", "a"),
        node("ConvTranspose", "a up_w", "b"),
        node("Flatten", "b", "c"),
        node("Gemm", "c fc6_w fc6_b", "d", transB=1),
        node("MatMul", "d fc8_w", "e"),
        node("MatMul", "e small_w", "f"),
        node("Gather", "table ids", "g"),
        node("Add", "f plain", "y"),
    )
    tensors = {
        "conv1_w": tensor(32, 3, 3, 3),
        "conv1_b": tensor(32),
        "up_w": tensor(32, 16, 3, 3),
        "fc6_w": tensor(50, 100),
        "fc6_b": tensor(50),
        "fc8_w": tensor(50, 20),
        "small_w": tensor(20, 2),
        "table": tensor(100, 8),
        "plain": tensor(40, 40),
    }
    return Graph("test", (value("x"), value("ids")), (value("y"), value("g")), nodes, tensors)
