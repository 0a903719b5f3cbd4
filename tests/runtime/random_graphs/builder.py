"""A graph that grows node by node.

It grows from :data:`Draw`, which either numpy or hypothesis feeds, so that hypothesis can shrink a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeException

MOST_ELEMENTS = 4096
MOST_MAGNITUDE = 1e4

REFUSALS = (Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeException)
"""What ONNX Runtime raises for a geometry that does not work out."""

Draw: TypeAlias = "Callable[[int], int]"
"""n -> an integer in [0, n)."""


@dataclass(frozen=True)
class Made:
    """A value of the graph: ``array`` is what ONNX's definition gives for the graph's inputs, by ONNX Runtime.

    ``exact`` values have the same bits in every implementation: only they may meet an operator that jumps.
    """

    name: str
    array: np.ndarray
    exact: bool


@dataclass
class Builder:
    """A graph that grows; every new node is run at once, so that the next one can be chosen to fit."""

    draw: Draw
    rng: np.random.Generator
    opset: int = 18
    values: list[Made] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)

    def pick(self, options: Sequence[Any]) -> Any:
        """One of ``options``."""
        return options[self.draw(len(options))]

    def input(self, array: np.ndarray) -> None:
        """Add a graph input."""
        name = f"x{len(self.inputs)}"
        self.inputs[name] = array
        self.values.append(Made(name, array, True))

    def weight(self, array: np.ndarray) -> str:
        """Add an initializer; half of the floating ones are pruned and shared."""
        if array.dtype == np.float32 and array.size > 4 and self.draw(2):
            array = np.where(np.abs(array) > 0.6, np.round(array * 4) / 4, 0).astype(np.float32)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def normal(self, *shape: int) -> str:
        """A float32 weight."""
        return self.weight(self.rng.standard_normal(shape).astype(np.float32))

    def floats(self, *ranks: int, exact: bool = False) -> Made | None:
        """One of the float32 values, of one of ``ranks`` where given, ``exact`` where asked for."""
        fitting = [
            v
            for v in self.values
            if v.array.dtype == np.float32 and (not ranks or v.array.ndim in ranks) and (v.exact or not exact) and v.array.size
        ]
        return self.pick(fitting) if fitting else None

    def add(self, op_type: str, inputs: Sequence[str], *, exact: bool = False, outputs: int = 1, **attributes: Any) -> bool:
        """Append a node, unless it does not fit or its outputs are too large or not finite; say whether it was."""
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(op_type, list(inputs), names, name=f"n{len(self.nodes)}", **attributes)
        try:
            arrays = answer(self.model([*self.nodes, node], [onnx.ValueInfoProto(name=name) for name in names]), self.inputs)
        except REFUSALS:
            return False
        for array in arrays:
            finite = array.dtype.kind != "f" or (np.isfinite(array).all() and np.abs(array).max(initial=0) < MOST_MAGNITUDE)
            if array.size > MOST_ELEMENTS or not finite:
                return False
        self.nodes.append(node)
        known = {v.name: v for v in self.values}
        exact = exact and all(known[name].exact for name in inputs if name in known)
        self.values += [Made(name, array, exact) for name, array in zip(names, arrays, strict=True)]
        return True

    def cast(self, dtype: type, *, exact: bool = True) -> bool:
        """Append a cast of the newest value to ``dtype``; say whether it was."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", [self.values[-1].name], exact=exact, to=to)

    def whole(self, values: Sequence[Made]) -> onnx.ModelProto:
        """The graph so far as a model that answers ``values``: their types are known, their shapes are not."""
        return self.model(self.nodes, [helper.make_tensor_value_info(v.name, _element(v.array), None) for v in values])

    def model(self, nodes: Sequence[onnx.NodeProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """``nodes`` as a model at :attr:`opset`."""
        inputs = [helper.make_tensor_value_info(name, _element(array), array.shape) for name, array in self.inputs.items()]
        graph = helper.make_graph(nodes, "random", inputs, outputs, self.weights)
        return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", self.opset)])


def _element(array: np.ndarray) -> int:
    return helper.np_dtype_to_tensor_dtype(array.dtype)


Rule: TypeAlias = "Callable[[Builder], bool]"
"""Adds a node or a few, if it finds values that fit."""


def answer(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """ONNX Runtime's outputs, without its rewriting of the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(array) for array in session.run(None, inputs)]
