"""Shapes of a graph's values, as far as onnx infers them."""

from __future__ import annotations

from dataclasses import replace

from onnx import shape_inference

from ..format_spec.graph import Dimension, Graph, TensorType, Value
from .onnx_writer import to_onnx

_LARGE_BYTES = 1024
"""Shapes and axes are smaller: of larger tensors only types matter."""


def infer_shapes(graph: Graph) -> dict[str, tuple[Dimension, ...]]:
    """The shapes of inputs and intermediate values for which onnx infers one: sizes, or the names of symbolic ones."""
    large = {n: tensor for n, tensor in graph.initializers.items() if tensor.size * tensor.dtype.itemsize > _LARGE_BYTES}
    declared = (Value(name, TensorType(str(tensor.dtype), tensor.shape)) for name, tensor in large.items())
    small = {name: tensor for name, tensor in graph.initializers.items() if name not in large}
    model = to_onnx(replace(graph, inputs=(*graph.inputs, *declared), initializers=small))
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    values = [value for value in (*inferred.input, *inferred.value_info) if value.type.tensor_type.HasField("shape")]
    return {
        value.name: tuple(
            size.dim_value if size.HasField("dim_value") else size.dim_param or None
            for size in value.type.tensor_type.shape.dim
        )
        for value in values
    }
