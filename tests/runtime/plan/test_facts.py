"""What is known before a run."""

from __future__ import annotations

import numpy as np

from tersor.runtime.model import Model
from tests.runtime.plan.small_graphs import floats, graph, node


def test_constants_are_computed_once_for_all_shapes():
    nodes = [node("Add", "k k", "k2"), node("Mul", "x k2", "y")]
    with Model(graph(nodes, {"x": (None, 3)}, ["y"], k=floats(3)), threads=1) as model:
        (one,), (other,) = (model.plan({"x": (batch, 3)}).constants.values() for batch in (1, 2))
        assert np.shares_memory(one, other)
