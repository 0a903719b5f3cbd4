"""A model without its weights: small enough for onnx's C++ passes, which refuse more than 2 GB of protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
    shape_inference,
)

from ..format_spec.errors import ConversionError
from ..format_spec.tensors import DenseTensor
from .constants import MOST_DIMENSIONS, from_constant_node, from_sparse_proto, from_tensor_proto
from .nodes import is_default_domain, walk

_KEPT_BYTES = 1024
"""Tensors up to this size stay in the skeleton: shape inference reads the shapes and axes among them."""

IR_VERSION = 10
"""Of every model built here: readers refuse a newer one than they know, and nothing in a graph needs one."""


@dataclass
class Skeleton:
    """A model's nodes, inputs and outputs at ``opset``; its tensors stand aside by name.

    ``ranks`` are types that onnx cannot infer by itself. Every method that hands the nodes to onnx declares the tensors as
    initializers when small and as inputs otherwise.
    """

    name: str
    opset: int
    inputs: list[ValueInfoProto]
    outputs: list[ValueInfoProto]
    nodes: list[NodeProto]
    tensors: dict[str, DenseTensor] = field(default_factory=dict)
    ranks: dict[str, ValueInfoProto] = field(default_factory=dict)

    def to_model(self) -> ModelProto:
        """A model of the nodes with the default domain at ``opset``.

        All tensors are declared, read or not, so that no pass gives one of their names to something new.
        """
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, value_info=list(self.ranks.values()))
        _declare(graph, self.tensors)
        return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", self.opset)])

    def infer(self) -> ModelProto:
        """The model with the types and shapes that onnx infers, those of subgraphs included.

        Raises:
            ConversionError: types that contradict one another, or what onnx's C++ code would not survive.
        """
        self._check_inferable()
        known = not any(map(_is_long_list, self.inputs))
        while True:
            try:
                model = shape_inference.infer_shapes(self.to_model(), data_prop=known)
            except (RuntimeError, ValueError, shape_inference.InferenceError) as error:
                raise ConversionError(f"onnx finds the model's types inconsistent: {error}") from error
            ranks = _reshape_ranks(model.graph)
            if ranks.keys() <= self.ranks.keys():
                return model
            self.ranks |= ranks

    def _check_inferable(self) -> None:
        """Raise :class:`ConversionError` for what ends the process in onnx's inference, which runs in it."""
        for value in self.inputs:
            if not value.type.WhichOneof("value"):
                raise ConversionError(f"input {value.name!r} has no type")
        for node in walk(self.nodes):
            counts = [attribute.i for attribute in node.attribute if attribute.name == "num_outputs"]
            if node.op_type == "Split" and any(count < len(node.output) for count in counts):
                raise ConversionError(f"node {node.name!r} (Split): num_outputs = {counts[0]}, with {len(node.output)} outputs")

    def take_nodes(self, graph: GraphProto, folder: Path | None = None) -> None:
        """Make the nodes of ``graph`` the skeleton's own; constants that it added, whose external data lies in ``folder``, join
        the tensors."""
        for proto in graph.initializer:
            if proto.name not in self.tensors:
                self.tensors[proto.name] = from_tensor_proto(proto, folder)
        self.nodes = list(_without_constants(graph.node, self.tensors, folder))


def _is_long_list(value: ValueInfoProto) -> bool:
    """Whether an input is a row of so many integers that they are no shape: onnx would make a symbol for each."""
    tensor = value.type.tensor_type
    integers = tensor.elem_type in (TensorProto.INT64, TensorProto.INT32)
    return integers and len(tensor.shape.dim) == 1 and tensor.shape.dim[0].dim_value > MOST_DIMENSIONS


def strip(model: ModelProto, nodes: Iterable[NodeProto], folder: Path | None, opset: int) -> Skeleton:
    """Take ``model``, its ``nodes`` in their order, apart, without changing it; ``folder`` is where its external data lies.

    Initializers that are also graph inputs (always so before IR version 4) are weights.

    Raises:
        ConversionError: a tensor that cannot be read, or two of one name.
    """
    graph = model.graph
    tensors: dict[str, DenseTensor] = {}
    for proto in graph.initializer:
        _add(tensors, proto.name, from_tensor_proto(proto, folder), "an initializer")
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        _add(tensors, name, from_sparse_proto(sparse, folder, name), "a sparse initializer")
    inputs = [value for value in graph.input if value.name not in tensors]
    dense = [dense_node(node, folder) for node in _without_constants(nodes, tensors, folder)]
    return Skeleton(graph.name, opset, inputs, list(graph.output), dense, tensors)


def dense_node(node: NodeProto, folder: Path | None) -> NodeProto:
    """``node``, or a copy that holds every sparse tensor, those of subgraphs too, as a dense one.

    onnx's C++ passes lose or refuse them. ``folder`` is where external data lies.
    """
    if not any(_is_sparse(attribute) for attribute in node.attribute):
        return node
    dense = NodeProto()
    dense.CopyFrom(node)
    _make_dense(dense, folder)
    return dense


def _is_sparse(attribute: AttributeProto) -> bool:
    if attribute.type == AttributeProto.GRAPH:
        return bool(attribute.g.sparse_initializer) or any(_is_sparse(a) for n in attribute.g.node for a in n.attribute)
    return attribute.type == AttributeProto.SPARSE_TENSOR


def _make_dense(node: NodeProto, folder: Path | None) -> None:
    if _is_constant(node) and any(map(_is_sparse, node.attribute)):
        value = numpy_helper.from_array(from_constant_node(node, folder).dense())
        node.attribute[0].CopyFrom(helper.make_attribute("value", value))
    for graph in (attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH):
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            graph.initializer.append(numpy_helper.from_array(from_sparse_proto(sparse, folder, name).dense(), name))
        del graph.sparse_initializer[:]
        for inner in graph.node:
            _make_dense(inner, folder)


def _without_constants(nodes: Iterable[NodeProto], tensors: dict[str, DenseTensor], folder: Path | None) -> Iterator[NodeProto]:
    for node in nodes:
        if _is_constant(node):
            tensor = from_constant_node(node, folder)
            _add(tensors, node.output[0], tensor, "a Constant")
        else:
            yield node


def _is_constant(node: NodeProto) -> bool:
    return node.op_type == "Constant" and is_default_domain(node.domain)


def _add(tensors: dict[str, DenseTensor], name: str, tensor: DenseTensor, what: str) -> None:
    if not name or name in tensors:
        raise ConversionError(f"two tensors are called {name!r}" if name else f"{what} has no name")
    tensors[name] = tensor


def _reshape_ranks(graph: GraphProto) -> dict[str, ValueInfoProto]:
    """Types of what ``Reshape`` makes when it is given a shape of known length: onnx infers a rank from known values only."""
    types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info)}
    found = {}
    for node in graph.node:
        if node.op_type == "Reshape" and len(node.input) == 2 and {node.input[1], node.output[0]} <= types.keys():
            target, result = types[node.input[1]].shape.dim, types[node.output[0]]
            rank = target[0].dim_value if len(target) == 1 else 0
            if not result.HasField("shape") and 0 < rank <= MOST_DIMENSIONS:
                shape = [None] * rank
                found[node.output[0]] = helper.make_tensor_value_info(node.output[0], result.elem_type, shape)
    return found


def _declare(graph: GraphProto, tensors: Mapping[str, DenseTensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.size * tensor.dtype.itemsize <= _KEPT_BYTES:
            graph.initializer.append(numpy_helper.from_array(tensor.dense(), name))
        else:
            element = helper.np_dtype_to_tensor_dtype(tensor.dtype)
            graph.input.append(helper.make_tensor_value_info(name, element, tensor.shape))
