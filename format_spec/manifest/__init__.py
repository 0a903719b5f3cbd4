"""The manifest: graph and tensor records as bytes (SPEC.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import zstandard

from ..cursor import Cursor
from ..errors import FormatError
from ..graph import Attribute, Graph
from ..limits import Limits
from ..records import Placed
from ..varint import write_varint
from ._reader import Reader
from ._writer import Writer

STORED, COMPRESSED = 0, 1
ZSTD_LEVEL = 19


def encode_manifest(graph: Graph, tensors: Iterable[Placed]) -> bytes:
    """Serialise ``graph``, taking a :class:`Placed` for each initializer in the order of :func:`..graph.graphs`."""
    writer = Writer(iter(tensors))
    writer.graph(graph)
    head = bytearray()
    write_varint(head, len(writer.strings))
    for text in writer.strings:
        data = text.encode()
        write_varint(head, len(data))
        head += data
    body = bytes(head + writer.out)
    small = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(body)
    return bytes([COMPRESSED]) + small if len(small) < len(body) else bytes([STORED]) + body


def decode_manifest(data: bytes | memoryview, limits: Limits) -> tuple[Graph, list[tuple[Placed, ...]]]:
    """Parse a manifest.

    Returns the graph, with no initializers in it, and for each of :func:`..graph.graphs` its tensors.

    Raises:
        FormatError: the bytes do not follow SPEC.md, section 4.
        LimitError: the model is larger than ``limits`` allows.
    """
    reader = Reader(Cursor(_body(data, limits), "manifest"), limits)
    graph = reader.graph(depth=0)
    reader.cursor.end()
    return graph, reader.tensors


def with_tensors(graph: Graph, tensors: Iterator[Mapping[str, Any]]) -> Graph:
    """Give each of :func:`..graph.graphs` the next mapping of ``tensors`` as its initializers."""
    initializers = next(tensors)

    def fill(value: Attribute) -> Attribute:
        return with_tensors(value, tensors) if isinstance(value, Graph) else value

    nodes = tuple(replace(n, attributes={k: fill(v) for k, v in sorted(n.attributes.items())}) for n in graph.nodes)
    return replace(graph, nodes=nodes, initializers=initializers)


def _body(data: bytes | memoryview, limits: Limits) -> bytes:
    """Undo the manifest's compression."""
    if len(data) == 0 or data[0] not in (STORED, COMPRESSED):
        raise FormatError("unknown compression of the manifest", offset=0, section="manifest")
    if data[0] == STORED:
        limits.check("manifest_bytes", len(data) - 1)
        return bytes(data[1:])
    frame = bytes(data[1:])
    try:
        size = zstandard.frame_content_size(frame)
        if size < 0:
            raise FormatError("the zstd frame does not state its size", offset=1, section="manifest")
        limits.check("manifest_bytes", size)
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"zstd: {error}", offset=1, section="manifest") from None
