"""Small random models over the operator set, each run by ONNX Runtime and, converted, packed and loaded, by this project.

    python tests/runtime/random_graphs.py 5000 [FIRST_SEED]

runs that many by hand and prints what was covered. A graph grows node by node from :data:`Draw`, which either numpy or
hypothesis feeds, so that hypothesis can shrink a failure.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeException

from tersor.converters import from_onnx
from tersor.packer import pack
from tersor.runtime import load

TOLERANCE = 2e-4
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
            arrays = answer(self.model([*self.nodes, node], names), self.inputs)
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

    def model(self, nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> onnx.ModelProto:
        """``nodes`` as a model at opset 18."""
        graph = helper.make_graph(
            nodes,
            "random",
            [
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                for n, a in self.inputs.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            self.weights,
        )
        return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])


Rule: TypeAlias = "Callable[[Builder], bool]"


def _simple(op_type: str, *, exact: bool = False, **attributes: Any) -> Rule:
    """A node of one float input; where it jumps, of an exact one."""

    def rule(b: Builder) -> bool:
        x = b.floats(exact=op_type in JUMPS)
        return x is not None and b.add(op_type, [x.name], exact=exact, **attributes)

    return rule


JUMPS = ("Ceil", "Floor", "Round", "Sign", "ThresholdedRelu", "HardSwish")

UNARY = {
    **{op: _simple(op, exact=True) for op in ("Abs", "Ceil", "Floor", "Identity", "Neg", "Relu", "Round", "Sign")},
    **{
        op: _simple(op)
        for op in ("Atan", "Cos", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "LeakyRelu", "LogSoftmax", "Mish", "Selu")
    },
    **{op: _simple(op) for op in ("Sigmoid", "Sin", "Softmax", "Softplus", "Softsign", "Tanh", "ThresholdedRelu")},
}


def binary(b: Builder) -> bool:
    """Two values that broadcast, or a value and a constant along its last axes."""
    x, y = b.floats(), b.floats()
    if x is None or y is None:
        return False
    other = y.name
    try:
        np.broadcast_shapes(x.array.shape, y.array.shape)
    except ValueError:
        other = b.normal(*x.array.shape[b.draw(x.array.ndim + 1) :])
    op = b.pick(("Add", "Sub", "Mul", "Max", "Min", "Mean", "Sum"))
    return b.add(op, [x.name, other], exact=op in ("Max", "Min"))


def compare(b: Builder) -> bool:
    """A choice by a comparison of exact values."""
    x = b.floats(exact=True)
    if x is None or not b.add(b.pick(("Less", "GreaterOrEqual")), [x.name, b.weight(np.array(0.25, np.float32))], exact=True):
        return False
    return b.add("Where", [b.values[-1].name, x.name, b.weight(np.array(-1, np.float32))], exact=True)


def reduce(b: Builder) -> bool:
    """A reduction over some axes."""
    x = b.floats(1, 2, 3, 4)
    if x is None:
        return False
    op = b.pick(("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceSum"))
    axes = sorted({b.draw(x.array.ndim) for _ in range(1 + b.draw(2))})
    inputs = [x.name, b.weight(np.array(axes, np.int64))]
    return b.add(op, inputs, exact=op in ("ReduceMax", "ReduceMin"), keepdims=b.draw(2))


def matrix(b: Builder) -> bool:
    """A product with a weight matrix."""
    x = b.floats(2, 3)
    if x is None:
        return False
    k, n = x.array.shape[-1], 1 + b.draw(20)
    if x.array.ndim == 2 and b.draw(2):
        transposed = b.draw(2)
        w = b.normal(*((n, k) if transposed else (k, n)))
        return b.add("Gemm", [x.name, w, b.normal(n)], transB=transposed, alpha=0.5)
    return b.add("MatMul", [x.name, b.normal(k, n)])


def convolution(b: Builder) -> bool:
    """A convolution, transposed or not, of any geometry that fits."""
    x = b.floats(3, 4)
    if x is None:
        return False
    channels, spatial = x.array.shape[1], x.array.shape[2:]
    groups = b.pick([g for g in (1, 2, channels) if channels % g == 0])
    kernel = [1 + b.draw(min(3, s)) for s in spatial]
    strides, pads = [1 + b.draw(2) for _ in spatial], [b.draw(2) for _ in spatial] * 2
    out = groups * (1 + b.draw(3))
    given: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": pads, "group": groups}
    if b.draw(4) == 0:
        return b.add("ConvTranspose", [x.name, b.normal(channels, out // groups, *kernel), b.normal(out)], **given)
    return b.add("Conv", [x.name, b.normal(out, channels // groups, *kernel), b.normal(out)], **given)


def pooling(b: Builder) -> bool:
    """A pooling of any geometry that fits."""
    x = b.floats(3, 4)
    if x is None:
        return False
    kernel = [1 + b.draw(min(3, s)) for s in x.array.shape[2:]]
    pads = [b.draw(k) for k in kernel] * 2
    strides = [1 + b.draw(2) for _ in kernel]
    kind = b.draw(4)
    if kind == 0:
        return b.add(b.pick(("GlobalAveragePool", "GlobalMaxPool")), [x.name])
    if kind == 1:
        include = b.draw(2)
        return b.add("AveragePool", [x.name], count_include_pad=include, kernel_shape=kernel, strides=strides, pads=pads)
    return b.add("MaxPool", [x.name], exact=True, kernel_shape=kernel, strides=strides, pads=pads)


def normalisation(b: Builder) -> bool:
    """A normalisation with weights of its own."""
    x = b.floats(3, 4)
    if x is None:
        return False
    c = x.array.shape[1]
    scale, shift, mean = b.normal(c), b.normal(c), b.normal(c)
    kind = b.draw(3)
    if kind == 0:
        variance = b.weight(np.abs(b.rng.standard_normal(c)).astype(np.float32) + 0.5)
        return b.add("BatchNormalization", [x.name, scale, shift, mean, variance])
    if kind == 1:
        return b.add("InstanceNormalization", [x.name, scale, shift], epsilon=0.1)
    n = x.array.shape[-1]
    return b.add("LayerNormalization", [x.name, b.normal(n), b.normal(n)], epsilon=0.1)


def movement(b: Builder) -> bool:
    """Elements moved, not changed."""
    x = b.floats()
    if x is None:
        return False
    shape, rank, name = x.array.shape, x.array.ndim, x.name
    axis = b.draw(rank) if rank else 0
    kind = b.pick(
        ("Transpose", "Reshape", "Flatten", "Unsqueeze", "Concat", "Slice", "Pad", "Tile", "Split", "Gather", "Expand")
    )
    if kind == "Transpose" and rank:
        return b.add(kind, [name], exact=True, perm=np.argsort([b.draw(100) for _ in range(rank)]).tolist())
    if kind == "Reshape":
        return b.add(
            kind, [name, b.weight(np.array([-1, b.pick([d for d in (1, 2, 3) if x.array.size % d == 0])]))], exact=True
        )
    if kind == "Flatten":
        return b.add(kind, [name], exact=True, axis=b.draw(rank + 1))
    if kind == "Unsqueeze":
        return rank < 4 and b.add(kind, [name, b.weight(np.array([b.draw(rank + 1)]))], exact=True)
    if not rank:
        return False
    if kind == "Concat":
        return b.add(kind, [name, b.normal(*shape), name], exact=True, axis=axis)
    if kind == "Slice":
        start, step = b.draw(shape[axis]), b.pick((1, 2, -1))
        ends = [np.iinfo(np.int64).min if step < 0 else shape[axis]]
        return b.add(kind, [name, *(b.weight(np.array(v)) for v in ([start], ends, [axis], [step]))], exact=True)
    if kind == "Pad":
        pads = [b.draw(2) for _ in range(2 * rank)]
        return b.add(kind, [name, b.weight(np.array(pads)), b.weight(np.array(0.5, np.float32))], exact=True)
    if kind == "Tile":
        return b.add(kind, [name, b.weight(np.array([1 + b.draw(2) for _ in shape]))], exact=True)
    if kind == "Split":
        return shape[axis] > 1 and b.add(
            kind, [name, b.weight(np.array([1, shape[axis] - 1]))], exact=True, outputs=2, axis=axis
        )
    if kind == "Gather":
        return b.add(kind, [name, b.weight(np.array([[b.draw(shape[axis]), -1]]))], exact=True, axis=axis)
    return b.add("Expand", [name, b.weight(np.array([2, *(1 for _ in shape)]))], exact=True)


def ordering(b: Builder) -> bool:
    """Largest elements of exact values, or running sums."""
    x = b.floats(1, 2, 3, exact=True)
    if x is None:
        return False
    axis = b.draw(x.array.ndim)
    if b.draw(2):
        return b.add("CumSum", [x.name, b.weight(np.array(axis))], reverse=b.draw(2), exclusive=b.draw(2))
    return b.add("TopK", [x.name, b.weight(np.array([1]))], exact=True, outputs=2, axis=axis)


def resizing(b: Builder) -> bool:
    """An image of another size."""
    x = b.floats(4)
    if x is None:
        return False
    where = b.pick(("half_pixel", "asymmetric", "align_corners"))
    # With corners aligned ONNX divides by the length before it is rounded down, ONNX Runtime by the length after it.
    height = 2 if where == "align_corners" else b.pick((0.5, 2, 1.5))
    scales = b.weight(np.array([1, 1, height, b.pick((1, 2))], np.float32))
    mode = b.pick(("nearest", "linear"))
    return b.add("Resize", [x.name, "", scales], mode=mode, coordinate_transformation_mode=where, nearest_mode="floor")


def recurrent(b: Builder) -> bool:
    """A recurrent layer in one direction or both, its sequences of any lengths."""
    x = b.floats(3)
    if x is None:
        return False
    op, gates = b.pick((("LSTM", 4), ("GRU", 3), ("RNN", 1)))
    time, batch, inputs = x.array.shape
    hidden, direction = 1 + b.draw(6), b.pick(("forward", "reverse", "bidirectional"))
    count = 2 if direction == "bidirectional" else 1
    bias = b.normal(count, 2 * gates * hidden) if b.draw(2) else ""
    lengths = b.weight(np.array([1 + b.draw(time) for _ in range(batch)], np.int32)) if b.draw(2) else ""
    first = b.normal(count, batch, hidden) if b.draw(2) else ""
    given: dict[str, Any] = {"linear_before_reset": b.draw(2)} if op == "GRU" else {}
    weights = [b.normal(count, gates * hidden, inputs), b.normal(count, gates * hidden, hidden)]
    names = [x.name, *weights, bias, lengths, first]
    return b.add(op, names, outputs=2, hidden_size=hidden, direction=direction, **given)


def quantised(b: Builder) -> bool:
    """An exact value as 8-bit integers, and what is done with those: brought back, or multiplied by weights of 8 bits."""
    x = b.floats(2, 3, 4, exact=True)
    if x is None:
        return False
    if b.draw(6) == 0:
        return b.add("DynamicQuantizeLinear", [x.name], outputs=3)
    scale, kind = b.weight(np.array(0.02 + 0.01 * b.draw(5), np.float32)), b.pick((np.int8, np.uint8))
    zero = b.weight(np.array(b.draw(100), kind))
    if not b.add("QuantizeLinear", [x.name, scale, zero], exact=True):
        return False
    q = b.values[-1]
    if b.draw(3) == 0:
        return b.add("DequantizeLinear", [q.name, scale, zero], exact=True)
    return integer_product(b, q, scale, zero)


def integer_product(b: Builder, q: Made, scale: str, zero: str) -> bool:
    """``q`` times a matrix or a kernel, as sums of 32 bits brought to float32, or rescaled to 8 bits."""
    kind, n = b.pick((np.int8, np.uint8)), 1 + b.draw(6)
    geometry: dict[str, Any] = {}
    if q.array.ndim == 2 or b.draw(2):
        shape, name = (q.array.shape[-1], n), "MatMul"
    else:
        kernel = [1 + b.draw(min(3, size)) for size in q.array.shape[2:]]
        shape, name = (n, q.array.shape[1], *kernel), "Conv"
        geometry = {"strides": [1 + b.draw(2) for _ in kernel], "pads": [b.draw(2) for _ in kernel] * 2}
    limits = np.iinfo(kind)
    w = b.weight(b.rng.integers(limits.min, limits.max + 1, shape).astype(kind))
    w_zero = b.weight(np.array(b.draw(50), kind))
    if b.draw(2):
        w_scale, y_scale = b.weight(np.array(0.01, np.float32)), b.weight(np.array(0.5, np.float32))
        return b.add(f"QLinear{name}", [q.name, scale, zero, w, w_scale, w_zero, y_scale, zero], **geometry)
    if not b.add(f"{name}Integer", [q.name, w, zero, w_zero], exact=True, **geometry):
        return False
    return b.add("Cast", [b.values[-1].name], exact=True, to=TensorProto.FLOAT)


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


RULES: tuple[Rule, ...] = (
    *UNARY.values(),
    *(binary, matrix, convolution, pooling, movement, normalisation) * 4,
    *(compare, reduce, ordering, resizing, branch, recurrent, quantised) * 2,
)


def build(draw: Draw, seed: int) -> Builder:
    """A graph of up to eight nodes."""
    b = Builder(draw, np.random.default_rng(seed))
    rank = 2 + draw(3)
    b.input(b.rng.standard_normal([1 + draw(3), *(2 + draw(6) for _ in range(rank - 1))]).astype(np.float32))
    for _ in range(1 + draw(8)):
        b.pick(RULES)(b)
    return b


def answer(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """ONNX Runtime's outputs, without its rewriting of the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(array) for array in session.run(None, inputs)]


def check(b: Builder, path: Path) -> None:
    """Pack the graph, run it, and compare every value that no node reads, and one that some do."""
    read = {name for node in b.nodes for name in node.input}
    wanted = [v for v in b.values if v.name not in b.inputs and (v.name not in read or v.name == b.values[-1].name)]
    pack(from_onnx(b.model(b.nodes, [v.name for v in wanted])), path, threads=1)
    with load(path.read_bytes(), threads=1) as packed:
        outputs = packed.run(b.inputs)
    scale = max([1.0, *(float(np.abs(v.array).max(initial=0)) for v in b.values if v.array.dtype.kind == "f")])
    for value in wanted:
        found = outputs[value.name]
        assert (found.dtype, found.shape) == (value.array.dtype, value.array.shape)
        if found.dtype.kind in "iu":  # ONNX Runtime rescales in float32, the definition's product may lie on the other side
            assert np.abs(found.astype(np.int64) - value.array).max(initial=0) <= (0 if value.exact else 1)
        else:
            np.testing.assert_allclose(found, value.array, rtol=TOLERANCE, atol=TOLERANCE * scale)


def main() -> None:
    """Run graphs by hand."""
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    covered: Counter[str] = Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            source = np.random.default_rng([seed, 1])
            b = build(lambda n, source=source: int(source.integers(n)), seed)
            if not b.nodes:
                continue
            covered.update(node.op_type for node in b.nodes)
            try:
                check(b, Path(folder, "m.tersor"))
            except Exception as error:
                failed += 1
                ops = " ".join(node.op_type for node in b.nodes)
                sys.stdout.write(f"seed {seed}: {type(error).__name__}: {str(error).strip()[:300]}\n  {ops}\n")
    counts = ", ".join(f"{name} {number}" for name, number in covered.most_common())
    sys.stdout.write(f"{count} graphs, {failed} failures, {len(covered)} operators: {counts}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
