"""A graph without what it can do without: for files of a few kilobytes, where names and defaults count.

The graph computes the same. Dropped are metadata, names of nodes, intermediate values and initializers (inputs and outputs keep
theirs), attributes that equal ONNX's defaults, biases that are zero, unused initializers; ``Reshape`` to two dimensions that
keeps the first becomes ``Flatten``. Subgraphs stay as they are, but for the names that they capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...converters.shapes import infer_shapes
from ...format_spec.graph import Dimension, Graph, Node, Tensor
from ...format_spec.names import names_defined, names_read, renamed
from ...runtime.ops import find_operator

_BIASED = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2}


def tidy(graph: Graph) -> Graph:
    """``graph`` in its shortest form; initializers are renamed in their order."""
    nodes = [_without_defaults(_without_zero_bias(node, graph.initializers)) for node in _flattened(graph)]
    nodes = _needed(nodes, {value.name for value in graph.outputs})
    read = {name for node in nodes for name in names_read(node)} | {value.name for value in graph.outputs}
    tensors = {name: tensor for name, tensor in graph.initializers.items() if name in read}
    fixed = {value.name for value in (*graph.inputs, *graph.outputs)}
    values = [*tensors, *(name for node in nodes for name in node.outputs if name)]
    inner = {name for part in graph.subgraphs() for name in names_defined(part)}
    short = _names(fixed | inner)
    names = {name: name if name in fixed else next(short) for name in values} | {name: name for name in fixed}
    return replace(
        graph,
        name="",
        nodes=tuple(replace(renamed(node, names), name="") for node in nodes),
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


def _needed(nodes: list[Node], wanted: set[str]) -> list[Node]:
    """The nodes that ``wanted`` values depend on."""
    kept: list[Node] = []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            kept.append(node)
            wanted = wanted | names_read(node)
    return kept[::-1]


def _flattened(graph: Graph) -> list[Node]:
    """The nodes, ``Reshape`` that only flattens all axes but the first replaced."""
    if not any(node.op_type == "Reshape" for node in graph.nodes):
        return list(graph.nodes)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    sizes = {name: shape[0] for name, shape in infer_shapes(graph).items() if shape}
    return [
        Node("Flatten", node.name, node.inputs[:1], node.outputs) if _flattens(node, makers, sizes, graph) else node
        for node in graph.nodes
    ]


def _flattens(node: Node, makers: Mapping[str, Node], sizes: Mapping[str, Dimension], graph: Graph) -> bool:
    """Whether ``node`` reshapes to (first axis of its input, all the rest); ``sizes`` are the values' first."""
    first = sizes.get(node.inputs[0]) if node.op_type == "Reshape" else None
    if first is None:
        return False
    shape = graph.initializers.get(node.inputs[1])
    if shape is not None:
        return shape.size == 2 and shape.dense()[0] == first
    parts = makers.get(node.inputs[1])
    if parts is None or parts.op_type != "Concat" or len(parts.inputs) != 2:
        return False
    rest = graph.initializers.get(parts.inputs[1])
    return rest is not None and rest.size == 1 and _counted(parts.inputs[0], makers, sizes) == first


def _counted(name: str, makers: Mapping[str, Node], sizes: Mapping[str, Dimension]) -> Dimension:
    """The first size of a value that ``name`` is computed from by nothing but reshaping; ``None`` where it is not."""
    while name in makers and makers[name].op_type in ("Reshape", "Squeeze", "Unsqueeze", "Cast", "Identity"):
        name = makers[name].inputs[0]
    node = makers.get(name)
    if node is None or node.op_type != "Shape" or node.attribute("start", 0) != 0 or node.attribute("end") != 1:
        return None
    return sizes.get(node.inputs[0])


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
