"""Graph and records to bytes (SPEC.md, section 4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from ..coding import SAME
from ..graph import Attribute, Graph, Node, TensorType
from ..records import DTYPE_IDS, Placed
from ..varint import write_varint
from ..vocabulary import WELL_KNOWN
from ._kinds import AttributeKind

_WELL_KNOWN_INDEX = {text: index for index, text in enumerate(WELL_KNOWN)}


@dataclass
class Writer:
    """Appends fields to ``out`` and collects the file's own strings in ``strings``."""

    tensors: Iterator[Placed]
    out: bytearray = field(default_factory=bytearray)
    strings: dict[str, int] = field(default_factory=dict)

    def varint(self, value: int) -> None:
        write_varint(self.out, value)

    def signed(self, value: int) -> None:
        self.varint(value << 1 ^ value >> 63)

    def string(self, text: str) -> None:
        known = _WELL_KNOWN_INDEX.get(text)
        if known is not None:
            self.varint(known << 1 | 1)
        else:
            self.varint(self.strings.setdefault(text, len(self.strings)) << 1)

    def names(self, names: tuple[str, ...]) -> None:
        self.varint(len(names))
        for name in names:
            self.string(name)

    def graph(self, graph: Graph) -> None:
        self.varint(graph.opset)
        self.string(graph.name)
        self.varint(len(graph.metadata))
        for key, text in graph.metadata.items():
            self.string(key)
            self.string(text)
        for values in (graph.inputs, graph.outputs):
            self.varint(len(values))
            for value in values:
                self.string(value.name)
                self.type(value.type)
        self.varint(len(graph.initializers))
        for name in graph.initializers:
            placed = next(self.tensors)
            if placed.record.name != name:
                raise ValueError(f"tensor {placed.record.name!r} given where {name!r} belongs")
            self.record(placed)
        self.varint(len(graph.nodes))
        for node in graph.nodes:
            self.node(node)

    def type(self, type_: TensorType) -> None:
        self.out.append(DTYPE_IDS[type_.dtype])
        self.varint(0 if type_.shape is None else len(type_.shape) + 1)
        for dimension in type_.shape or ():
            if isinstance(dimension, int):
                self.varint(dimension + 2)
            elif dimension is None:
                self.varint(0)
            else:
                self.varint(1)
                self.string(dimension)

    def record(self, placed: Placed) -> None:
        record = placed.record
        self.string(record.name)
        self.out.append(DTYPE_IDS[record.dtype.name])
        self.shape(record.shape)
        self.varint(sum(1 << axis for axis in record.row_axes))
        if placed.same is not None:
            self.varint(SAME)
            self.varint(placed.same)
        else:
            self.varint(record.codec)
            self.varint(0 if placed.pooled is None else placed.pooled + 1)

    def shape(self, shape: tuple[int, ...]) -> None:
        self.varint(len(shape))
        for size in shape:
            self.varint(size)

    def node(self, node: Node) -> None:
        self.string(node.op_type)
        self.string(node.name)
        self.names(node.inputs)
        self.names(node.outputs)
        self.varint(len(node.attributes))
        for name, value in sorted(node.attributes.items()):
            self.string(name)
            self.attribute(name, value)

    def attribute(self, name: str, value: Attribute) -> None:
        if isinstance(value, (bool, int, np.integer)):
            self.out.append(AttributeKind.INT)
            self.signed(int(value))
        elif isinstance(value, float):
            self.out.append(AttributeKind.FLOAT)
            self.out += struct.pack("<f", value)
        elif isinstance(value, str):
            self.out.append(AttributeKind.STRING)
            self.string(value)
        elif isinstance(value, np.ndarray):
            self.out += bytes([AttributeKind.TENSOR, DTYPE_IDS[value.dtype.name]])
            self.shape(value.shape)
            self.out += np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        elif isinstance(value, Graph):
            self.out.append(AttributeKind.GRAPH)
            self.graph(value)
        elif isinstance(value, tuple):
            self.sequence(value)
        else:
            raise TypeError(f"attribute {name!r} has a value of type {type(value).__name__}")

    def sequence(self, values: tuple[Any, ...]) -> None:
        if all(isinstance(v, int) for v in values):
            self.out.append(AttributeKind.INTS)
            self.varint(len(values))
            for value in values:
                self.signed(value)
        elif all(isinstance(v, float) for v in values):
            self.out.append(AttributeKind.FLOATS)
            self.varint(len(values))
            self.out += struct.pack(f"<{len(values)}f", *values)
        else:
            self.out.append(AttributeKind.STRINGS)
            self.names(cast("tuple[str, ...]", values))
