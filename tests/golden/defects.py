"""The invalid goldens: one defect each, all checksums but the damaged one right, and the error that each must raise.

``message`` is a regular expression; where the twins word a defect differently it has an alternative for each.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import zstandard

from tersor.format_spec.coding import CodecId
from tersor.format_spec.container import (
    ALIGNED_FROM,
    ENTRY,
    HEADER,
    HEADER_BYTES,
    MAGIC,
    MANIFEST,
    POOL,
    TENSOR,
)
from tersor.format_spec.errors import FormatError, LimitError, TersorError
from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value
from tersor.format_spec.records import TensorRecord

from .copies import wrong_copies
from .graphs import tensors
from .later_payloads import later_defects
from .payloads import payload_defects, varints
from .planes import planes_defects
from .writing import container, parts_of, raw_parts


@dataclass(frozen=True)
class Defect:
    """A file and what reading it raises: exactly this class, with a message in which ``message`` is found."""

    data: bytes
    error: type[TersorError]
    message: str


def bad(data: bytes, message: str, error: type[TersorError] = FormatError) -> Defect:
    """A defect that is a format error unless said otherwise."""
    return Defect(data, error, message)


FLOAT = TensorType("float32", (3,))
GOOD = Graph("g", (Value("x", FLOAT),), (Value("y", FLOAT),), (Node("Add", "", ("x", "w"), ("y",)),), tensors(w=3))
PARTS = raw_parts(GOOD)
FILE = PARTS.build()
LARGE = container([(TENSOR, bytes(1 << 13)), *([(POOL, PARTS.pool), (MANIFEST, PARTS.manifest)])])


def header(data: bytes, **changes: int) -> bytes:
    """Change header fields, its checksum made right again."""
    fields = dict(zip(["magic", "version", "flags", "count", "length", "table"], HEADER.unpack_from(data), strict=True))
    changed = HEADER.pack(*(fields | changes).values())
    return changed + struct.pack("<I", zlib.crc32(changed)) + data[HEADER_BYTES:]


def entry(data: bytes, index: int, **changes: int) -> bytes:
    """Change an entry of the section table, its checksum made right again."""
    _, _, _, count, _, offset = HEADER.unpack_from(data)
    table = bytearray(data[offset : offset + count * ENTRY.size])
    fields = dict(zip(["kind", "crc", "offset", "length"], ENTRY.unpack_from(table, index * ENTRY.size), strict=True))
    ENTRY.pack_into(table, index * ENTRY.size, *(fields | changes).values())
    return data[:offset] + bytes(table) + struct.pack("<I", zlib.crc32(table))


def flipped(data: bytes, place: int) -> bytes:
    """One bit changed, no checksum repaired."""
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def container_defects() -> Iterator[tuple[str, Defect]]:
    """SPEC.md, section 3."""
    pool = HEADER_BYTES
    offset = HEADER.unpack_from(FILE)[5]
    large_pool = ENTRY.unpack_from(LARGE, HEADER.unpack_from(LARGE)[5] + ENTRY.size)[2]
    yield "empty-file", bad(b"", "empty|too short")
    yield "shorter-than-a-header", bad(FILE[: HEADER_BYTES - 1], "too short")
    yield "magic-of-another-format", bad(b"PK\3\4" + FILE[4:], "not a Tersor file")
    yield "magic-without-carriage-return", bad(MAGIC.replace(b"\r\n", b"\n") + FILE[8:], "first eight bytes are damaged")
    yield "magic-with-seven-bits", bad(bytes([FILE[0] & 127]) + FILE[1:], "first eight bytes are damaged")
    yield "header-checksum", bad(flipped(FILE, 13), "checksum mismatch.*header")
    yield "version-2", bad(header(FILE, version=2), "format version 2")
    yield "feature-unknown", bad(header(FILE, flags=1 << 15), "features 0x8000")
    yield "truncated", bad(FILE[:-1], "truncated")
    yield "appended-to", bad(FILE + b"\0", "foreign bytes")
    yield "section-count-too-large", bad(header(FILE, count=3), "does not end the file")
    yield "sections-over-the-limit", bad(header(FILE, count=0xFFFFFFFF), "sections", LimitError)
    yield "table-offset-in-the-header", bad(header(FILE, table=8), "does not end the file")
    yield "table-offset-past-the-end", bad(header(FILE, table=(1 << 64) - 1), "does not end the file")
    yield "table-checksum", bad(flipped(FILE, offset + 1), "checksum mismatch.*section table")
    yield "section-of-unknown-kind", bad(entry(FILE, 0, kind=4), "unknown section kind 4")
    yield "section-empty", bad(entry(FILE, 0, length=0), "is empty")
    yield "section-after-a-hole", bad(entry(FILE, 0, offset=pool + 1, length=len(PARTS.pool) - 1), "not where it must be")
    yield "sections-overlap", bad(entry(FILE, 1, offset=pool), "not where it must be")
    yield "section-past-the-table", bad(entry(FILE, 1, length=len(PARTS.manifest) + 1), "not where it must be")
    yield "section-of-endless-length", bad(entry(FILE, 1, length=(1 << 64) - 1), "not where it must be")
    yield "section-not-aligned", bad(entry(LARGE, 0, offset=HEADER_BYTES), "not where it must be")
    yield "bytes-of-no-section", bad(entry(FILE, 1, length=len(PARTS.manifest) - 1), "belong to no section")
    yield "padding-not-zero", bad(flipped(LARGE_VALID, HEADER_BYTES + 1), "padding is not zero")
    yield "pool-checksum", bad(flipped(FILE, pool), "checksum mismatch.*pool")
    yield "manifest-checksum", bad(flipped(FILE, pool + len(PARTS.pool)), "checksum mismatch.*manifest")
    yield "tensor-checksum", bad(flipped(LARGE_VALID, 64), "checksum mismatch.*tensor")
    yield "no-section", bad(container([]), "sections must be")
    yield "no-manifest", bad(container([(POOL, PARTS.pool)]), "sections must be")
    yield "two-manifests", bad(container([(MANIFEST, PARTS.manifest)] * 2), "sections must be")
    yield "two-pools", bad(container([(POOL, b"a"), (POOL, b"b"), (MANIFEST, PARTS.manifest)]), "sections must be")
    yield "pool-after-the-manifest", bad(container([(MANIFEST, PARTS.manifest), (POOL, PARTS.pool)]), "sections must be")
    yield "tensor-after-the-pool", bad(container([(POOL, b"a"), (TENSOR, b"b"), (MANIFEST, b"c")]), "sections must be")
    yield "section-of-no-tensor", bad(LARGE, "more or less than the manifest's tensors")
    swapped = FILE[:pool] + PARTS.manifest + PARTS.pool + FILE[offset:]
    yield "sections-swapped-table-kept", bad(swapped, "checksum mismatch.*manifest")
    assert large_pool % 64 == 0


def large_valid() -> bytes:
    """A file with a section of its own, and padding before it."""
    array = np.arange(ALIGNED_FROM, dtype=np.uint8)
    record = TensorRecord("w", array.dtype, array.shape, (), CodecId.RAW)
    output = Value("w", TensorType("uint8", array.shape))
    return parts_of(Graph("g", (), (output,), (), tensors(w=1)), [(record, array.tobytes())]).build()


LARGE_VALID = large_valid()


def manifest(body: bytes) -> bytes:
    """A file without tensors whose manifest has this body, not compressed."""
    return container([(MANIFEST, b"\0" + body)])


def framed(frame: bytes) -> bytes:
    """A file whose manifest is this zstd frame."""
    return container([(MANIFEST, b"\1" + frame)])


EMPTY = varints(0, OPSET, 1)  # no strings of its own; opset; a name
NODE = EMPTY + varints(0, 0, 0, 0, 1, 1, 1, 0, 0)  # ... and one node without inputs and outputs, up to its attributes


def manifest_defects() -> Iterator[tuple[str, Defect]]:
    """SPEC.md, sections 4.1 to 4.6."""
    rest = varints(0, 0, 0, 0, 0)
    body = EMPTY + rest
    frame = zstandard.ZstdCompressor(level=3).compress(body * 30)
    unsized = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(body)
    record = varints(1) + bytes([1])  # a tensor's name and type
    one = EMPTY + varints(0, 0, 0, 1)
    yield "manifest-compression-unknown", bad(container([(MANIFEST, b"\2" + body)]), "unknown compression")
    yield "manifest-frame-damaged", bad(framed(flipped(frame, 0)), "zstd")
    yield "manifest-frame-cut", bad(framed(frame[:-2]), "zstd")
    yield "manifest-frame-without-size", bad(framed(unsized), "does not state its size")
    yield "manifest-frame-followed-by-bytes", bad(framed(frame + b"\0"), "zstd")
    yield "manifest-frame-of-a-gigabyte", bad(framed(bomb(1 << 30)), "manifest bytes", LimitError)
    yield "manifest-too-long", bad(manifest(body + b"\0"), "1 bytes too many")
    yield "manifest-too-short", bad(manifest(body[:-1]), "ends inside an integer")
    yield "integer-not-in-its-shortest-form", bad(manifest(b"\x80\0" + body[1:]), "shortest form")
    yield "integer-of-eleven-bytes", bad(manifest(b"\x80" * 10 + b"\1" + body[1:]), "does not fit 64 bits")
    yield "integer-of-65-bits", bad(manifest(b"\xff" * 9 + b"\2" + body[1:]), "does not fit 64 bits")
    yield "string-not-utf8", bad(manifest(varints(1, 2) + b"\xc3\x28" + body[1:]), "not UTF-8")
    yield "string-of-a-surrogate", bad(manifest(varints(1, 3) + b"\xed\xa0\x80" + body[1:]), "not UTF-8")
    yield "string-past-the-end", bad(manifest(varints(1, 1 << 40) + body[1:]), "bytes wanted")
    yield "string-reference-unknown", bad(manifest(varints(0, OPSET, 0) + rest), "no string has the number 0")
    yield "well-known-string-unknown", bad(manifest(varints(0, OPSET, 9999) + rest), "no string has the number 4999")
    yield "strings-over-the-bytes-left", bad(manifest(varints(99) + body[1:]), "do not fit")
    yield "metadata-key-twice", bad(manifest(EMPTY + varints(2, 1, 3, 1, 5, 0, 0, 0, 0)), "properties have the same key")
    yield "opset-other", bad(manifest(varints(0, OPSET + 1, 1) + rest), "opset 27")
    yield "values-over-the-bytes-left", bad(manifest(EMPTY + varints(0, 99) + rest), "99 values do not fit")
    yield "value-of-unknown-type", bad(manifest(EMPTY + varints(0, 1, 1) + bytes([8]) + varints(0, 0, 0, 0)), "element type 8")
    yield "value-of-rank-17", bad(manifest(EMPTY + varints(0, 1, 1, 1, 18) + bytes(99)), "rank", LimitError)
    yield "tensor-of-unknown-type", bad(manifest(one + varints(1) + bytes([16]) + bytes(9)), "element type 16")
    yield "tensor-of-rank-17", bad(manifest(one + record + varints(17) + bytes(99)), "rank", LimitError)
    yield "tensor-row-axis-out-of-range", bad(manifest(one + record + varints(1, 3, 2, 1, 1, 0)), "row axis out of range")
    yield (
        "tensor-twice",
        bad(manifest(EMPTY + varints(0, 0, 0, 2) + (record + varints(0, 0, 1, 1)) * 2 + bytes(3)), "same name"),
    )
    yield "attribute-of-unknown-kind", bad(manifest(NODE + varints(1, 1) + bytes([9, 0])), "unknown kind of attribute 9")
    yield "attribute-twice", bad(manifest(NODE + varints(2) + (varints(1) + bytes([1, 0])) * 2), "out of order")
    yield (
        "attributes-out-of-order",
        bad(manifest(NODE + varints(2, 3) + bytes([1, 0]) + varints(1) + bytes([1, 0])), "out of order"),
    )
    yield "attribute-of-no-floats", bad(manifest(NODE + varints(1, 1) + bytes([5, 0])), "an empty list")
    yield "attribute-of-no-strings", bad(manifest(NODE + varints(1, 1) + bytes([6, 0])), "an empty list")
    bools = NODE + varints(1, 1) + bytes([7, 9]) + varints(1, 2)
    yield "attribute-bool-of-2", bad(manifest(bools + bytes([1, 2])), "neither 0 nor 1")
    yield "attribute-bool-of-255", bad(manifest(bools + bytes([255, 0])), "neither 0 nor 1")
    yield "attribute-array-cut", bad(manifest(NODE + varints(1, 1) + bytes([7, 1]) + varints(1, 9) + bytes(35)), "bytes wanted")
    yield (
        "attribute-array-of-endless-axis",
        bad(manifest(NODE + varints(1, 1) + bytes([7, 1]) + varints(2, 0, 1 << 62)), "tensor bytes", LimitError),
    )
    yield "graph-in-itself-too-deep", bad(manifest(nested(17)), "graph depth", LimitError)
    many = framed(zstandard.ZstdCompressor(level=19).compress(varints(1 << 21) + bytes(1 << 21) + body[1:]))
    yield "strings-over-the-limit", bad(many, "items", LimitError)


def bomb(size: int) -> bytes:
    """A short zstd frame that declares ``size`` bytes."""
    header = struct.pack("<IB", 0xFD2FB528, 0b11000000) + b"\x58" + struct.pack("<Q", size)
    return header + struct.pack("<I", (128 << 10) << 3 | 1 << 1 | 1)[:3] + b"\0"


def nested(depth: int) -> bytes:
    """A graph that holds a graph that holds ... ``depth`` deep."""
    body = varints(OPSET, 1, 0, 0, 0, 0, 0)
    for _ in range(depth):
        body = varints(OPSET, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1) + bytes([8]) + body
    return varints(0) + body


def graph_defects() -> Iterator[tuple[str, Defect]]:
    """SPEC.md, sections 4.5 and 4.7: well-formed records and names that do not fit."""

    def of(**changes: object) -> bytes:
        return raw_parts(replace(GOOD, **changes)).build()  # pyright: ignore[reportArgumentType]

    x, y = Value("x", FLOAT), Value("y", FLOAT)
    inner = Graph("", (), (), (Node("Relu", "", ("y",), ("z",)),))
    captures = (Node("If", "", (), (), {"then_branch": inner}), *GOOD.nodes)
    twice = Graph("", (Value("a", FLOAT), Value("a", FLOAT)), (), ())
    yield "input-twice", bad(of(inputs=(x, x)), "input 'x' is defined twice")
    yield "input-unnamed", bad(of(inputs=(x, Value("", FLOAT))), "input '' is unnamed")
    yield "tensor-named-as-an-input", bad(of(inputs=(x, Value("w", FLOAT))), "tensor 'w' is defined twice")
    yield "node-output-twice", bad(of(nodes=GOOD.nodes * 2), "defined twice")
    yield "node-reads-what-nothing-defines", bad(of(inputs=()), "reads 'x' before anything defines it")
    yield "nodes-out-of-order", bad(of(nodes=(Node("Relu", "", ("y",), ("z",)), *GOOD.nodes)), "reads 'y' before")
    yield "output-of-nothing", bad(of(outputs=(y, Value("z", FLOAT))), "nothing defines the output 'z'")
    yield "nodes-without-outputs", bad(of(outputs=()), "a graph without outputs has inputs or nodes")
    yield "inputs-without-outputs", bad(of(outputs=(), nodes=()), "a graph without outputs has inputs or nodes")
    hollow = Graph("", (), (), (Node("Relu", "", ("x",), ("z",)),))
    yield (
        "subgraph-without-outputs",
        bad(of(nodes=(*GOOD.nodes, Node("If", "", (), (), {"b": hollow}))), "a graph without outputs has inputs or nodes"),
    )
    yield "subgraph-reads-a-later-name", bad(of(nodes=captures), "reads 'y' before")
    yield (
        "subgraph-input-twice",
        bad(of(nodes=(*GOOD.nodes, Node("If", "", (), (), {"b": twice}))), "input 'a' is defined twice"),
    )
    record = TensorRecord("w", np.dtype("f4"), (3,), (), CodecId.RAW)
    long, short = (parts_of(GOOD, [(record, bytes(n))]).manifest for n in (13, 11))
    amiss = "more or less than the manifest's tensors"
    yield "pool-shorter-than-its-tensors", bad(replace(PARTS, manifest=long).build(), amiss)
    yield "pool-longer-than-its-tensors", bad(replace(PARTS, manifest=short).build(), amiss)
    yield "tensor-without-a-pool", bad(replace(PARTS, pool=b"").build(), "has no section")
    own = parts_of(GOOD, [(record, bytes(ALIGNED_FROM))]).manifest
    yield "tensor-without-a-section", bad(replace(PARTS, manifest=own).build(), "has no section")
    huge = TensorRecord("w", np.dtype("f4"), (1 << 20, 1 << 20), (), CodecId.FILL)
    yield "tensor-of-terabytes", bad(parts_of(GOOD, [(huge, bytes(4))]).build(), "tensor bytes", LimitError)
    endless = TensorRecord("w", np.dtype("f4"), (0, 1 << 62), (), CodecId.RAW)
    yield "tensor-empty-with-an-endless-axis", bad(parts_of(GOOD, [(endless, b"\0")]).build(), "tensor bytes", LimitError)
    many = [(TensorRecord(n, np.dtype("u1"), (1 << 32,), (), CodecId.FILL), b"\0") for n in "abcde"]
    five = replace(GOOD, nodes=(), outputs=(), initializers=tensors(a=1, b=1, c=1, d=1, e=1))
    again = [many[0], *((replace(many[0][0], name=n), 0) for n in "bcde")]
    yield "copies-of-twenty-gigabytes", bad(parts_of(five, again).build(), "decoded bytes", LimitError)
    yield from ((name, bad(data, message)) for name, data, message in wrong_copies())
    yield "tensors-of-twenty-gigabytes", bad(parts_of(five, many).build(), "decoded bytes", LimitError)


def tensor_defects() -> Iterator[tuple[str, Defect]]:
    """SPEC.md, section 5: a payload that is wrong inside a file that is right."""
    for name, wrong in {**payload_defects(), **later_defects(), **dict(planes_defects())}.items():
        output = Value("w", TensorType(wrong.record.dtype.name, wrong.record.shape))
        graph = Graph(name, (), (output,), (), tensors(w=1))
        yield name, Defect(parts_of(graph, [(wrong.record, wrong.payload)]).build(), FormatError, wrong.message)


def defects() -> dict[str, Defect]:
    """Every invalid golden, by name."""
    return dict([*container_defects(), *manifest_defects(), *graph_defects(), *tensor_defects()])
