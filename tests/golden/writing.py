"""Files from parts, every checksum right, so that only what a caller changes is wrong."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tersor.format_spec import codecs
from tersor.format_spec.coding import CodecId
from tersor.format_spec.container import ALIGNED_FROM, MANIFEST, POOL, TENSOR, ContainerWriter
from tersor.format_spec.graph import Graph, graphs
from tersor.format_spec.manifest import encode_manifest
from tersor.format_spec.records import Placed, TensorRecord


@dataclass(frozen=True, eq=False)
class Parts:
    """A file taken apart: large payloads, pool, manifest."""

    sections: tuple[bytes, ...]
    pool: bytes
    manifest: bytes

    def build(self) -> bytes:
        """The file."""
        return container(
            [*((TENSOR, s) for s in self.sections), *([(POOL, self.pool)] if self.pool else []), (MANIFEST, self.manifest)]
        )


def container(sections: Iterable[tuple[int, bytes]]) -> bytes:
    """A file of these sections, in this order whatever their kinds."""
    file = io.BytesIO()
    writer = ContainerWriter(file)
    for kind, payload in sections:
        writer.add(kind, payload)
    writer.finish()
    return file.getvalue()


def parts_of(graph: Graph, payloads: Sequence[tuple[TensorRecord, bytes | int]]) -> Parts:
    """The parts of a file that holds ``graph`` and, for its tensors in the manifest's order, these records and payloads.

    A number instead of a payload is that of the record that has it.
    """
    sections, pool, placed = [], b"", []
    for record, payload in payloads:
        if isinstance(payload, int):
            placed.append(Placed(record, None, payload))
            continue
        pooled = len(payload) < ALIGNED_FROM
        placed.append(Placed(record, len(payload) if pooled else None))
        if pooled:
            pool += payload
        else:
            sections.append(payload)
    return Parts(tuple(sections), pool, encode_manifest(graph, placed))


def raw_parts(graph: Graph) -> Parts:
    """The parts of a file whose tensors are all raw."""
    payloads = []
    for part in graphs(graph):
        for name, tensor in part.initializers.items():
            record = TensorRecord(name, tensor.dtype, tensor.shape, (), CodecId.RAW)
            payloads.append((record, codecs.find_codec(CodecId.RAW).encode(tensor)))
    return parts_of(graph, payloads)
