"""Graphs of a few nodes, and their plans beside the operators' references."""

from __future__ import annotations

from functools import partial

import numpy as np

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model
from tersor.runtime.ops import find_operator

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def graph(nodes, inputs, outputs, **tensors) -> Graph:
    """A graph; ``inputs`` maps names to shapes (float32) or types, ``outputs`` lists names."""
    made = [Value(n, t if isinstance(t, TensorType) else TensorType("float32", t)) for n, t in inputs.items()]
    values = tuple(Value(n, TensorType("float32", None)) for n in outputs)
    return Graph("g", tuple(made), values, tuple(nodes), {n: DenseTensor.of(np.asarray(a)) for n, a in tensors.items()})


def node(op: str, inputs: str, outputs: str, **attributes) -> Node:
    """A node whose names are separated by spaces."""
    return Node(op, f"{op}_{outputs.split()[0]}", tuple(inputs.split()), tuple(outputs.split()), attributes)


def interpret(g: Graph, x: dict[str, np.ndarray]) -> list[np.ndarray]:
    values = {n: t.dense() for n, t in g.initializers.items()} | x
    for n in g.nodes:
        results = find_operator(n)(*[values[i] if i else None for i in n.inputs], **n.attributes)
        values.update(zip(n.outputs, results, strict=False))
    return [values[o.name] for o in g.outputs]


def check(g: Graph, x: dict[str, np.ndarray], threads: int = 1):
    """Compare with the interpreter, twice; returns the plan."""
    with Model(g, threads=threads) as model:
        want = interpret(g, x)
        for _ in range(2):
            got = model.run(x)
            for value, expected in zip(got.values(), want, strict=True):
                assert value.dtype == expected.dtype
                np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
        return model.plan({name: a.shape for name, a in x.items()})


def kernels(plan) -> list[str]:
    return [f"{row.op}: {row.kernel}" for row in plan.rows()]


CONV = partial(node, "Conv", "x w b", pads=(1, 1, 1, 1))
WEIGHTS = {"w": floats(4, 3, 3, 3), "b": floats(4)}
BATCHNORM = {"s": floats(4), "t": floats(4), "m": floats(4), "v": np.abs(floats(4)) + 0.5}
X = {"x": floats(1, 3, 6, 6)}
