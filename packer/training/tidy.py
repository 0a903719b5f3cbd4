"""A graph without what it can do without: for files of a few kilobytes, where names and defaults count.

The graph computes the same. Dropped are metadata, names of nodes, intermediate values and initializers (inputs and outputs keep
theirs), attributes that equal ONNX's defaults, biases that are zero, unused initializers; ``Reshape`` to two dimensions becomes
``Flatten``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...format_spec.graph import Graph, Node, Tensor
from ...runtime.ops._registry import find_operator

_BIASED = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2}


def tidy(graph: Graph) -> Graph:
    """``graph`` (no subgraphs inside nodes) in its shortest form; initializers are renamed in their order."""
    nodes = [_without_defaults(_without_zero_bias(node, graph.initializers)) for node in _flattened(graph)]
    nodes = _needed(nodes, {value.name for value in graph.outputs})
    read = {name for node in nodes for name in node.inputs}
    tensors = {name: tensor for name, tensor in graph.initializers.items() if name in read}
    fixed = {value.name for value in (*graph.inputs, *graph.outputs)}
    values = [*tensors, *(name for node in nodes for name in node.outputs if name)]
    short = _names(fixed)
    names = {name: name if name in fixed else next(short) for name in values} | {name: name for name in fixed}
    return replace(
        graph,
        name="",
        nodes=tuple(_renamed(node, names) for node in nodes),
        initializers={names[name]: tensor for name, tensor in tensors.items()},
        metadata={},
    )


def _names(taken: set[str]) -> Iterator[str]:
    number = 0
    while True:
        text = str(number)
        if text not in taken:
            yield text
        number += 1


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    inputs = [names[name] if name else "" for name in node.inputs]
    outputs = [names[name] if name else "" for name in node.outputs]
    return replace(node, name="", inputs=tuple(inputs), outputs=tuple(outputs))


def _needed(nodes: list[Node], wanted: set[str]) -> list[Node]:
    """The nodes that ``wanted`` values depend on."""
    kept: list[Node] = []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            kept.append(node)
            wanted = wanted | set(node.inputs)
    return kept[::-1]


def _flattened(graph: Graph) -> list[Node]:
    """The nodes, ``Reshape`` that only flattens all axes but the first replaced."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    return [
        Node("Flatten", node.name, node.inputs[:1], node.outputs) if _flattens(node, makers, graph) else node
        for node in graph.nodes
    ]


def _flattens(node: Node, makers: Mapping[str, Node], graph: Graph) -> bool:
    """Whether ``node`` reshapes to (first axis of its input or of the graph's, all the rest)."""
    if node.op_type != "Reshape":
        return False
    shape = graph.initializers.get(node.inputs[1])
    if shape is not None:
        sizes = shape.dense().reshape(-1)
        return len(sizes) == 2 and sizes[0] == _batch(graph)
    parts = makers.get(node.inputs[1])
    return (
        parts is not None and parts.op_type == "Concat" and len(parts.inputs) == 2 and _is_batch(parts.inputs[0], makers, graph)
    )


def _batch(graph: Graph) -> Any:
    shape = graph.inputs[0].type.shape if graph.inputs else None
    return shape[0] if shape else None


def _is_batch(name: str, makers: Mapping[str, Node], graph: Graph) -> bool:
    """Whether ``name`` is computed from the first size of the first input by nothing but reshaping."""
    while name in makers and makers[name].op_type in ("Reshape", "Squeeze", "Unsqueeze", "Cast", "Identity"):
        name = makers[name].inputs[0]
    node = makers.get(name)
    if node is None or node.op_type != "Shape" or not graph.inputs:
        return False
    return node.inputs[0] == graph.inputs[0].name and node.attribute("start", 0) == 0 and node.attribute("end") == 1


def _without_zero_bias(node: Node, tensors: Mapping[str, Tensor]) -> Node:
    place = _BIASED.get(node.op_type)
    if place is None or len(node.inputs) <= place or node.inputs[place] not in tensors:
        return node
    if np.any(tensors[node.inputs[place]].dense()):
        return node
    return replace(node, inputs=node.inputs[:place])


def _without_defaults(node: Node) -> Node:
    """``node`` without the attributes that say what ONNX assumes anyway; operators know ONNX's defaults."""
    defaults = find_operator(node).defaults
    kept = {n: v for n, v in node.attributes.items() if not _is_default(node.op_type, n, v, defaults.get(n, NO_DEFAULT))}
    return replace(node, attributes=kept)


NO_DEFAULT = object()
"""Equal to no attribute: for those that must be given."""


def _is_default(op_type: str, name: str, value: Any, default: Any) -> bool:
    convolution = op_type in ("Conv", "ConvTranspose")
    if convolution and name == "kernel_shape":
        return True  # the weights have it
    neutral = {"strides": 1, "dilations": 1, "pads": 0}.get(name) if convolution or op_type.endswith("Pool") else None
    return value == default if neutral is None else all(v == neutral for v in value)
