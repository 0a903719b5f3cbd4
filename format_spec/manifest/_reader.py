"""Bytes to graph and records (SPEC.md, section 4); every count and reference is checked before use."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..coding import SAME
from ..cursor import Cursor
from ..graph import OPSET, Attribute, Dimension, Graph, Node, TensorType, Value
from ..limits import Limits
from ..records import DTYPE_NAMES, Placed, TensorRecord
from ..vocabulary import WELL_KNOWN
from ._kinds import AttributeKind

T = TypeVar("T")


class Reader:
    """Reads one manifest. ``tensors`` holds the records of each graph, in the order of :func:`~.graphs`; ``placed`` all."""

    def __init__(self, cursor: Cursor, limits: Limits) -> None:
        self.cursor, self.limits = cursor, limits
        self.tensors: list[tuple[Placed, ...]] = []
        self.placed: list[Placed] = []
        self.items = self.nodes = self.decoded_bytes = 0
        # Strings may be megabytes long: equal ones become one object, and their order is found once, so that comparing names
        # costs the same however long they are.
        unique = {text: text for text in WELL_KNOWN}
        self._too_long: dict[str, int] = {}
        texts = (self._text(cursor.take(cursor.varint())) for _ in range(self.count("strings")))
        self.strings = [unique.setdefault(text, text) for text in texts]
        self._places = {text: place for place, text in enumerate(sorted(unique))}

    def count(self, what: str, item_bytes: int = 1) -> int:
        """A count of things that are still in the buffer and, with those counted before, within the limit."""
        count = self.cursor.count(what, item_bytes)
        self.items = self.limits.check("items", self.items + count)
        return count

    def _text(self, data: bytes) -> str:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise self.cursor.fail("a string is not UTF-8") from None
        if len(data) > self.limits.name_bytes:
            self._too_long[text] = len(data)
        return text

    def string(self) -> str:
        reference = self.cursor.varint()
        table = WELL_KNOWN if reference & 1 else self.strings
        if reference >> 1 >= len(table):
            raise self.cursor.fail(f"no string has the number {reference >> 1}")
        return table[reference >> 1]

    def name(self) -> str:
        text = self.string()
        self.limits.check("name_bytes", self._too_long.get(text, 0))
        return text

    def names(self) -> tuple[str, ...]:
        return tuple(self.name() for _ in range(self.count("names")))

    def graph(self, depth: int) -> Graph:
        self.limits.check("graph_depth", depth)
        opset = self.cursor.varint()
        if opset != OPSET:
            raise self.cursor.fail(f"opset {opset}; format version 1 holds opset {OPSET}")
        name = self.name()
        properties = [(self.name(), self.string()) for _ in range(self.count("metadata properties", 2))]
        metadata = dict(properties)
        if len(metadata) != len(properties):
            raise self.cursor.fail("two metadata properties have the same key")
        inputs, outputs = self.values(), self.values()
        place = len(self.tensors)
        self.tensors.append(())
        records = tuple(self.record() for _ in range(self.count("tensors", 6)))
        if len({p.record.name for p in records}) != len(records):
            raise self.cursor.fail("two tensors of a graph have the same name")
        self.tensors[place] = records
        count = self.count("nodes", 5)
        self.nodes = self.limits.check("nodes", self.nodes + count)
        nodes = tuple(self.node(depth) for _ in range(count))
        return Graph(name, inputs, outputs, nodes, {}, metadata, opset)

    def values(self) -> tuple[Value, ...]:
        return tuple(Value(self.name(), self.type()) for _ in range(self.count("values", 3)))

    def dtype(self) -> str:
        number = self.cursor.byte()
        if number not in DTYPE_NAMES:
            raise self.cursor.fail(f"unknown element type {number}")
        return DTYPE_NAMES[number]

    def type(self) -> TensorType:
        dtype, rank = self.dtype(), self.cursor.varint()
        if rank == 0:
            return TensorType(dtype, None)
        return TensorType(dtype, tuple(self.dimension() for _ in range(self.rank(rank - 1))))

    def rank(self, value: int) -> int:
        if value > self.cursor.left:
            raise self.cursor.fail(f"{value:,} axes do not fit the {self.cursor.left:,} bytes left")
        self.items = self.limits.check("items", self.items + self.limits.check("rank", value))
        return value

    def dimension(self) -> Dimension:
        value = self.cursor.varint()
        return None if value == 0 else self.name() if value == 1 else value - 2

    def record(self) -> Placed:
        name, dtype, shape = self.name(), np.dtype(self.dtype()), self.shape()
        mask = self.cursor.varint()
        if mask >> len(shape):
            raise self.cursor.fail(f"tensor {name!r}: row axis out of range")
        row_axes = tuple(axis for axis in range(len(shape)) if mask >> axis & 1)
        record = TensorRecord(name, dtype, shape, row_axes, self.cursor.varint())
        self.decoded_bytes += self.limits.check("tensor_bytes", record.limited_bytes)
        self.limits.check("decoded_bytes", self.decoded_bytes)
        place = self.cursor.varint()
        placed = self.same(record, place) if record.codec == SAME else Placed(record, place - 1 if place else None)
        self.placed.append(placed)
        return placed

    def same(self, record: TensorRecord, number: int) -> Placed:
        """``record``, its codec and payload those of the record of this number."""
        if number >= len(self.placed):
            raise self.cursor.fail(f"tensor {record.name!r} is the same as number {number}, which is not an earlier one")
        first = self.placed[number]
        if first.same is not None:
            raise self.cursor.fail(f"tensor {record.name!r} is the same as one that is itself the same as another")
        resolved = replace(record, codec=first.record.codec)
        if resolved != replace(first.record, name=record.name):
            raise self.cursor.fail(f"tensor {record.name!r} is the same as {first.record.name!r} of another type or shape")
        return Placed(resolved, None, number)

    def shape(self) -> tuple[int, ...]:
        return tuple(self.cursor.varint() for _ in range(self.rank(self.cursor.varint())))

    def node(self, depth: int) -> Node:
        op_type, name, inputs, outputs = self.name(), self.name(), self.names(), self.names()
        attributes: dict[str, Attribute] = {}
        for _ in range(self.count("attributes", 3)):
            key = self.name()
            if attributes and self._places[key] <= self._places[next(reversed(attributes))]:
                raise self.cursor.fail(f"node {name!r}: attribute {key!r} is out of order")
            attributes[key] = self.attribute(depth)
        return Node(op_type, name, inputs, outputs, attributes)

    def attribute(self, depth: int) -> Attribute:
        kind = self.cursor.byte()
        if kind == AttributeKind.INT:
            return self.cursor.signed()
        if kind == AttributeKind.FLOAT:
            return self.cursor.float32()
        if kind == AttributeKind.STRING:
            return self.string()
        if kind == AttributeKind.INTS:
            return tuple(self.cursor.signed() for _ in range(self.count("integers")))
        if kind == AttributeKind.FLOATS:
            return self.not_empty(tuple(self.cursor.float32() for _ in range(self.count("floats", 4))))
        if kind == AttributeKind.STRINGS:
            return self.not_empty(tuple(self.string() for _ in range(self.count("strings"))))
        if kind == AttributeKind.TENSOR:
            return self.array()
        if kind == AttributeKind.GRAPH:
            return self.graph(depth + 1)
        raise self.cursor.fail(f"unknown kind of attribute {kind}")

    def not_empty(self, values: tuple[T, ...]) -> tuple[T, ...]:
        """``values``: an empty list says nothing about its kind, so it has one encoding, as integers."""
        if not values:
            raise self.cursor.fail("an empty list that is not one of integers")
        return values

    def array(self) -> np.ndarray:
        dtype, shape = np.dtype(self.dtype()), self.shape()
        record = TensorRecord("", dtype, shape, (), 0)
        self.limits.check("tensor_bytes", record.limited_bytes)
        data = self.cursor.take(record.dense_bytes)
        if dtype == np.bool_ and data and max(data) > 1:
            raise self.cursor.fail("an attribute has a bool that is neither 0 nor 1")
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
