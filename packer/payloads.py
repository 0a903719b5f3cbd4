"""Payloads on their way into a file: large ones in sections as they come, small ones in the pool, none twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import BinaryIO

from ..format_spec.container import ALIGNED_FROM, MANIFEST, POOL, TENSOR, ContainerWriter
from ..format_spec.graph import Graph
from ..format_spec.manifest import encode_manifest
from ..format_spec.records import Placed, TensorRecord

LEAST_SHARED = 8
"""Bytes from which on a payload that an earlier tensor has is not written again: naming that tensor takes up to three, and the
manifest compresses less well."""

SAMPLED = 4096
"""Bytes of a payload, about, that tell whether comparing it with an earlier one may be worth it."""


class PayloadWriter:
    """Writes a file (SPEC.md, section 3): :meth:`add` each tensor in the manifest's order, then :meth:`finish`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._container = file, ContainerWriter(file)
        self._placed: list[Placed] = []
        self._pooled: dict[int, bytes] = {}
        self._firsts: dict[bytes, _First] = {}

    def add(self, record: TensorRecord, payload: bytes) -> None:
        """Write the payload, unless an earlier tensor differs from this one in nothing but its name."""
        number, sketch, offset = len(self._placed), _sketch(record, payload), 0
        same = self._equal(sketch, payload)
        pooled = len(payload) if len(payload) < ALIGNED_FROM else None
        if pooled is not None:
            self._pooled[number] = payload if same is None else self._pooled[same]
        elif same is None:
            offset = self._container.add(TENSOR, payload).offset
        self._firsts.setdefault(sketch, _First(number, offset))
        self._placed.append(Placed(record, pooled, same))

    def finish(self, graph: Graph) -> None:
        """Write pool, manifest of ``graph`` and table; small payloads are shared where that makes the file smaller."""
        apart = [replace(tensor, same=None) if tensor.pooled is not None else tensor for tensor in self._placed]
        choices = [apart] if apart == self._placed else [apart, self._placed]
        for kind, payload in min((self._last_sections(graph, placed) for placed in choices), key=self._container.length_with):
            self._container.add(kind, payload)
        self._container.finish()

    def _last_sections(self, graph: Graph, placed: list[Placed]) -> list[tuple[int, bytes]]:
        pool = b"".join(payload for number, payload in self._pooled.items() if placed[number].same is None)
        manifest = encode_manifest(graph, placed)
        return [(POOL, pool), (MANIFEST, manifest)] if pool else [(MANIFEST, manifest)]

    def _equal(self, sketch: bytes, payload: bytes) -> int | None:
        """The number of an earlier tensor of this sketch and payload."""
        first = self._firsts.get(sketch)
        if first is None or len(payload) < LEAST_SHARED or self._read(first, len(payload)) != payload:
            return None
        return first.number

    def _read(self, first: _First, length: int) -> bytes:
        """A payload added earlier."""
        if length < ALIGNED_FROM:
            return self._pooled[first.number]
        end = self._file.tell()
        self._file.seek(first.offset)
        payload = self._file.read(length)
        self._file.seek(end)
        return payload


@dataclass(frozen=True)
class _First:
    """The first tensor of a sketch: its number, and where in the file its payload is, unless that is pooled."""

    number: int
    offset: int


def _sketch(record: TensorRecord, payload: bytes) -> bytes:
    """A digest of the record but its name, and of a sample of the payload: those of equal tensors are equal."""
    described = (record.dtype.name, record.shape, record.row_axes, int(record.codec), len(payload))
    return sha256(repr(described).encode() + payload[:: len(payload) // SAMPLED + 1]).digest()
