from __future__ import annotations

import pytest

from tersor.format_spec.graph import Graph
from tests.packer.parts import node, tensor, value


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
