"""Operators that hold graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from .builder import Builder, Rule


def branch(b: Builder) -> bool:
    """A choice between two subgraphs that capture the value and a weight."""
    x = b.floats()
    if x is None:
        return False
    number, w = len(b.nodes), b.normal(*x.array.shape[-1:])
    info = [onnx.ValueInfoProto(name=f"b{number}_{i}") for i in range(2)]
    for value in info:
        value.type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, x.array.shape))
    bodies = [
        helper.make_graph([helper.make_node(op, [x.name, w], [value.name])], value.name, [], [value])
        for op, value in zip(("Add", "Mul"), info, strict=True)
    ]
    return b.add("If", [b.weight(np.array(bool(b.draw(2))))], then_branch=bodies[0], else_branch=bodies[1])


def loop(b: Builder) -> bool:
    """A few turns, each with its own result beside what is carried."""
    x = b.floats()
    if x is None:
        return False
    n, w = len(b.nodes), b.normal(*x.array.shape[-1:])
    state, kept = _value(f"s{n}", TensorProto.FLOAT, x.array.shape), _value(f"k{n}", TensorProto.FLOAT, x.array.shape)
    new, go, on = _value(f"r{n}", TensorProto.FLOAT, x.array.shape), *(_value(f"{c}{n}", TensorProto.BOOL, ()) for c in "go")
    nodes = [
        helper.make_node("Identity", [go.name], [on.name]),
        helper.make_node("Add", [state.name, w], [f"a{n}"]),
        helper.make_node("Tanh", [f"a{n}"], [new.name]),
        helper.make_node("Mul", [new.name, x.name], [kept.name]),
    ]
    body = helper.make_graph(nodes, "turn", [_value(f"i{n}", TensorProto.INT64, ()), go, state], [on, new, kept])
    return b.add("Loop", [b.weight(np.array(1 + b.draw(3))), "", x.name], outputs=2, body=body)


def scan(b: Builder) -> bool:
    """Running sums along the first axis, forwards or backwards."""
    x = b.floats(2, 3, 4)
    if x is None:
        return False
    n, row = len(b.nodes), x.array.shape[1:]
    state, piece, new, kept = (_value(f"{c}{n}", TensorProto.FLOAT, row) for c in "spnk")
    nodes = [helper.make_node("Add", [state.name, piece.name], [new.name]), helper.make_node("Sin", [new.name], [kept.name])]
    body = helper.make_graph(nodes, "step", [state, piece], [new, kept])
    back = [b.draw(2)]
    given = {"num_scan_inputs": 1, "scan_input_directions": back, "scan_output_directions": back}
    return b.add("Scan", [b.normal(*row), x.name], outputs=2, body=body, **given)


def _value(name: str, element: int, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


RULES: tuple[Rule, ...] = (branch, branch, loop, scan)
