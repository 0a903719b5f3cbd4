"""Evaluate what depends on constants alone and is small, so that shape arithmetic leaves the graph.

Large constant expressions (a transposed weight) stay: the runtime's plan computes them at load, the file holds them once.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
from onnx import GraphProto, NodeProto, helper
from onnx.reference import ReferenceEvaluator

from ..format_spec.tensors import DenseTensor
from .constants import DTYPES, fill
from .skeleton import IR_VERSION, Skeleton

MOST_BYTES = 256
"""Inputs and outputs of a folded node, together: shape arithmetic, but no second copy of a weight."""

_EXACT = """
Abs Add And BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Compress Concat DepthToSpace Div Equal Expand
EyeLike Flatten Floor Gather GatherElements GatherND Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Mul Neg NonZero Not
OneHot Or Pad Range Reciprocal Reshape ScatterElements ScatterND Sign Slice SpaceToDepth Split Sqrt Squeeze Sub Tile
Transpose Trilu Unsqueeze Where Xor
"""
_EXACT_ON_INTEGERS = "ArgMax ArgMin Clip CumSum MatMul Max Min Mod ReduceMax ReduceMin ReduceProd ReduceSum Relu Sum"
_GROWING = "Expand EyeLike OneHot Pad Range Tile"

EXACT = frozenset(_EXACT.split())
"""Operators whose every result bit follows from IEEE 754 or integer arithmetic: folding them changes no answer. ``Unique``
is one, but onnx's reference sorts what is to stay as it comes."""

EXACT_ON_INTEGERS = frozenset(_EXACT_ON_INTEGERS.split())
"""Exact too as long as no input is of floating point, where the order of additions or the sign of zero shows."""

STEPS = 4
"""The input of ``Slice`` that says how far apart what it takes is."""

GROWING = frozenset(_GROWING.split())
"""Operators whose output can be large though their inputs are small: evaluated only when its size is known before."""


def fold(skeleton: Skeleton) -> GraphProto:
    """Replace foldable nodes of ``skeleton`` by tensors, until none is left.

    ``Shape`` and ``Size`` of a value whose shape is inferred to be static count as constant. A ``ConstantOfShape`` of known
    shape becomes a :class:`~tersor.converters.constants.Fill`, of any size. ``Identity`` is seen through but left in place.
    Returns what is left, with inferred types.
    """
    while True:
        graph = skeleton.infer().graph
        shapes = _static_shapes(graph, skeleton.tensors)
        nodes = [node for node in skeleton.nodes if not _fold_node(node, skeleton, shapes)]
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


def _fold_node(node: NodeProto, skeleton: Skeleton, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Add the outputs of ``node`` to the tensors if it can be folded; say whether it was."""
    tensors = skeleton.tensors
    if node.op_type in ("Shape", "Size"):
        return _fold_shape(node, tensors, shapes)
    names = [name for name in node.input if name]
    if not all(name in tensors for name in names):
        return False
    inputs = {name: tensors[name] for name in names}
    if node.op_type == "ConstantOfShape" and len(inputs[names[0]].shape) == 1:
        tensors[node.output[0]] = fill(node, inputs[names[0]])
        return True
    if not _is_exact(node, inputs) or _least_bytes(node, inputs, shapes) > MOST_BYTES:
        return False
    arrays = _evaluate(node, skeleton.opset, {name: np.asarray(tensor.dense(), order="C") for name, tensor in inputs.items()})
    if sum(array.nbytes for array in arrays) > MOST_BYTES or any(array.dtype not in DTYPES.values() for array in arrays):
        return False
    outputs = (name for name in node.output if name)
    results = dict(zip(outputs, map(DenseTensor.of, arrays), strict=False))
    tensors.update(results)
    return bool(results)


def _fold_shape(node: NodeProto, tensors: dict[str, DenseTensor], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    shape = shapes.get(node.input[0])
    if shape is None:
        return False
    bounds = {a.name: a.i for a in node.attribute}
    value = np.array(prod(shape) if node.op_type == "Size" else shape[bounds.get("start", 0) : bounds.get("end")], np.int64)
    tensors[node.output[0]] = DenseTensor.of(value)
    return True


def _is_exact(node: NodeProto, inputs: Mapping[str, DenseTensor]) -> bool:
    if _misread(node, inputs):
        return False
    if node.op_type in EXACT:
        return True
    return node.op_type in EXACT_ON_INTEGERS and all(tensor.dtype.kind != "f" for tensor in inputs.values())


def _misread(node: NodeProto, inputs: Mapping[str, DenseTensor]) -> bool:
    """Whether onnx's reference does otherwise than ONNX says: it divides integers in float64, and slices as Python does, which
    clamps other starts when it goes backwards."""
    if node.op_type == "Div":
        return any(tensor.dtype.kind in "iu" and _beyond_float64(tensor.dense()) for tensor in inputs.values())
    steps = node.input[STEPS] if node.op_type == "Slice" and len(node.input) > STEPS else ""
    return bool(steps) and bool((inputs[steps].dense() < 0).any())


def _beyond_float64(integers: np.ndarray) -> bool:
    return bool(((integers > 2**53) | (integers < -(2**53))).any()) if integers.dtype.itemsize == 8 else False


def _least_bytes(node: NodeProto, inputs: Mapping[str, DenseTensor], shapes: Mapping[str, tuple[int, ...]]) -> int:
    """At least what inputs and outputs take, by the shapes known; more than is allowed where growth is not bounded."""
    unknown = MOST_BYTES + 1 if node.op_type in GROWING else 0
    taken = sum(tensor.size * tensor.dtype.itemsize for tensor in inputs.values())
    return taken + sum(prod(shapes[name]) if name in shapes else unknown for name in node.output if name)


def _evaluate(node: NodeProto, opset: int, values: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The node's outputs that have names; none when onnx's reference cannot say (the runtime will)."""
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in values.items()]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "folded", inputs, outputs)
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", opset)])
    try:
        with np.errstate(all="ignore"):
            return [np.asarray(result) for result in ReferenceEvaluator(model).run(None, values)]
    except (ArithmeticError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return []
