"""What nobody reads is not computed."""

from __future__ import annotations

from tests.runtime.plan.small_graphs import check, floats, graph, kernels, node


def test_an_output_that_nobody_reads_is_not_made():
    nodes = [node("MaxPool", "x", "p i", kernel_shape=(2, 2)), node("Neg", "p", "y")]
    plan = check(graph(nodes, {"x": (1, 2, 8, 8)}, ["y"]), {"x": floats(1, 2, 8, 8)})
    assert kernels(plan)[0] != "MaxPool: reference"
    assert "i" not in {slot.name for slot in plan.slots}
