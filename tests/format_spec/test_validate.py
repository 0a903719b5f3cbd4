from __future__ import annotations

import pytest

from tersor.format_spec.errors import FormatError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.validate import validate

X = Value("x", TensorType("float32", (1,)))
NODE = Node("RandomNormal", "", (), ("r",), {"shape": (1,)})


@pytest.mark.parametrize("graph", [Graph("g", (X,), (), ()), Graph("g", (), (), (NODE,)), Graph("g", (X,), (), (NODE,))])
def test_only_tensors_need_no_outputs(graph: Graph):
    with pytest.raises(FormatError, match="a graph without outputs has inputs or nodes; it may hold tensors only"):
        validate(graph)
