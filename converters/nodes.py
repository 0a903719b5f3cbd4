"""The nodes of an ONNX model: walked, put in order, told from one another, and their domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush

from onnx import AttributeProto, NodeProto


def walk(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """``nodes`` and those of their subgraphs, depth first."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from walk(attribute.g.node)


def in_order(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """``nodes``, each behind those whose outputs it reads, and otherwise as they were; last those that wait for themselves.

    ONNX asks for this order, but ONNX Runtime does not, and float16 converters put their casts behind everything else.
    """
    makers = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    awaited = [{makers[name] for name in _names_read(node) if name in makers} for node in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for reader, others in enumerate(awaited):
        for maker in others:
            readers[maker].append(reader)
    ready, order = [number for number, others in enumerate(awaited) if not others], list[int]()
    heapify(ready)
    while ready:
        order.append(heappop(ready))
        for reader in readers[order[-1]]:
            awaited[reader].remove(order[-1])
            if not awaited[reader]:
                heappush(ready, reader)
    return [nodes[number] for number in (*order, *(number for number, others in enumerate(awaited) if others))]


def _names_read(node: NodeProto) -> set[str]:
    """What ``node`` reads, its subgraphs included, but for what those make themselves."""
    read = set(node.input)
    for graph in (attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH):
        inside = {value.name for value in graph.output}.union(*map(_names_read, graph.node))
        made = {name for inner in graph.node for name in inner.output}
        read |= inside - made - {value.name for value in (*graph.input, *graph.initializer)}
    return read


def label(node: NodeProto) -> str:
    """The node's name, or what identifies it when it has none."""
    return node.name or f"{node.op_type} -> {', '.join(node.output)}"


def is_default_domain(domain: str) -> bool:
    """Whether ``domain`` is that of ONNX's own operators, by either of its names."""
    return domain in ("", "ai.onnx")
