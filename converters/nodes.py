"""The nodes of an ONNX model: walked, told from one another, and their domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, NodeProto


def walk(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """``nodes`` and those of their subgraphs, depth first."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from walk(attribute.g.node)


def label(node: NodeProto) -> str:
    """The node's name, or what identifies it when it has none."""
    return node.name or f"{node.op_type} -> {', '.join(node.output)}"


def is_default_domain(domain: str) -> bool:
    """Whether ``domain`` is that of ONNX's own operators, by either of its names."""
    return domain in ("", "ai.onnx")
