"""Evaluate what depends on constants alone and is small, so that shape arithmetic leaves the graph.

Large constant expressions (a transposed weight) stay: the runtime's plan computes them at load, the file holds them once.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
from onnx import GraphProto, NodeProto, helper
from onnx.reference import ReferenceEvaluator

from ..format_spec.graph import OPSET
from ..format_spec.tensors import DenseTensor
from .constants import DTYPES, fill
from .skeleton import IR_VERSION, Skeleton

MOST_BYTES = 64 << 10
"""Inputs and outputs of a folded node, together."""

EXACT = frozenset(
    "Abs Add And BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Clip Compress Concat ConstantOfShape DepthToSpace "
    "Div Equal Expand EyeLike Flatten Floor Gather GatherElements GatherND Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual "
    "Max Min Mul Neg NonZero Not OneHot Or Pad Range Reciprocal ReduceMax ReduceMin Relu Reshape ScatterElements ScatterND Shape "
    "Sign Size Slice SpaceToDepth Split Sqrt Squeeze Sub Tile Transpose Trilu Unique Unsqueeze Where Xor".split()
)
"""Operators whose every result bit follows from IEEE 754 or integer arithmetic: folding them changes no answer."""

EXACT_ON_INTEGERS = frozenset("ArgMax ArgMin CumSum MatMul Mod ReduceProd ReduceSum Sum".split())
"""Exact too as long as no input is of floating point, where the order of additions shows."""


def fold(skeleton: Skeleton) -> GraphProto:
    """Replace foldable nodes of ``skeleton`` by tensors, until none is left.

    ``Shape`` and ``Size`` of a value whose shape is inferred to be static count as constant. A ``ConstantOfShape`` of known
    shape becomes a :class:`~tersor.converters.constants.Fill`, of any size. ``Identity`` is seen through but left in place.
    Returns what is left, with inferred types.
    """
    while True:
        graph = skeleton.infer()
        shapes = _static_shapes(graph, skeleton.tensors)
        nodes = [node for node in skeleton.nodes if not _fold_node(node, skeleton.tensors, shapes)]
        if len(nodes) == len(skeleton.nodes):
            return graph
        skeleton.nodes = nodes


def _static_shapes(graph: GraphProto, tensors: Mapping[str, DenseTensor]) -> dict[str, tuple[int, ...]]:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    for value in (*graph.input, *graph.value_info):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") and d.dim_value >= 0 for d in tensor.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return shapes


def _fold_node(node: NodeProto, tensors: dict[str, DenseTensor], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Add the outputs of ``node`` to ``tensors`` if it can be folded; say whether it was."""
    if node.op_type not in EXACT and node.op_type not in EXACT_ON_INTEGERS:
        return False
    if node.op_type in ("Shape", "Size"):
        return _fold_shape(node, tensors, shapes)
    inputs = [tensors.get(name) if name else None for name in node.input]
    if any(name and held is None for name, held in zip(node.input, inputs, strict=True)):
        return False
    held = [tensor for tensor in inputs if tensor is not None]
    if node.op_type == "ConstantOfShape" and held and held[0].size <= MOST_BYTES:
        tensors[node.output[0]] = fill(node, held[0].dense())
        return True
    if sum(t.size * t.dtype.itemsize for t in held) > MOST_BYTES or _expected_bytes(node, shapes) > MOST_BYTES:
        return False
    if node.op_type in EXACT_ON_INTEGERS and any(t.dtype.kind == "f" for t in held):
        return False
    return _evaluate(node, tensors)


def _fold_shape(node: NodeProto, tensors: dict[str, DenseTensor], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    shape = shapes.get(node.input[0])
    if shape is None:
        return False
    bounds = {a.name: a.i for a in node.attribute}
    value = np.array(prod(shape) if node.op_type == "Size" else shape[bounds.get("start", 0) : bounds.get("end")], np.int64)
    tensors[node.output[0]] = DenseTensor.of(value)
    return True


def _expected_bytes(node: NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Bytes of the outputs, at least as many as known; an output of unknown shape counts as too many for ops that can grow."""
    unknown = MOST_BYTES + 1 if node.op_type in ("Expand", "Tile", "EyeLike", "OneHot", "Pad", "Range") else 0
    return sum(prod(shapes[name]) if name in shapes else unknown for name in node.output if name)


def _evaluate(node: NodeProto, tensors: dict[str, DenseTensor]) -> bool:
    values = {name: np.ascontiguousarray(tensors[name].dense()) for name in node.input if name}
    outputs = [name for name in node.output if name]
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in values.items()]
    declared = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph([node], "folded", inputs, declared)
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    results = ReferenceEvaluator(model).run(None, values)
    arrays = [np.asarray(result) for result in results]
    if sum(a.nbytes for a in (*values.values(), *arrays)) > MOST_BYTES or any(a.dtype not in DTYPES.values() for a in arrays):
        return False
    tensors.update((name, DenseTensor.of(array)) for name, array in zip(outputs, arrays, strict=True))
    return True
