"""Header, section table and the rules that leave a file one layout only."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.container import (
    ALIGNED_FROM,
    ALIGNMENT,
    ENTRY,
    HEADER,
    HEADER_BYTES,
    MAGIC,
    MANIFEST,
    POOL,
    TENSOR,
    Container,
    ContainerWriter,
    open_container,
)
from tersor.format_spec.errors import FormatError, InputError, LimitError
from tersor.format_spec.limits import DEFAULT_LIMITS, Limits


def build(*sections: tuple[int, bytes]) -> bytes:
    file = io.BytesIO()
    writer = ContainerWriter(file)
    foreseen = writer.length_with(sections)
    for kind, payload in sections:
        writer.add(kind, payload)
    assert writer.length_with([]) == foreseen
    assert writer.finish() == foreseen == len(file.getvalue())
    return file.getvalue()


SMALL = build((TENSOR, b"abc"), (POOL, b"p"), (MANIFEST, b"manifest"))


def reheadered(data: bytes, **changes: int) -> bytes:
    """Change header fields and repair the header's checksum."""
    fields = dict(zip(["magic", "version", "flags", "count", "length", "table"], HEADER.unpack_from(data), strict=True))
    header = HEADER.pack(*(fields | changes).values())
    return header + struct.pack("<I", zlib.crc32(header)) + data[HEADER_BYTES:]


def retabled(data: bytes, index: int, **changes: int) -> bytes:
    """Change one table entry and repair the table's checksum."""
    table_offset, count = HEADER.unpack_from(data)[5], HEADER.unpack_from(data)[3]
    table = bytearray(data[table_offset : table_offset + count * ENTRY.size])
    fields = dict(zip(["kind", "crc", "offset", "length"], ENTRY.unpack_from(table, index * ENTRY.size), strict=True))
    ENTRY.pack_into(table, index * ENTRY.size, *(fields | changes).values())
    return data[:table_offset] + bytes(table) + struct.pack("<I", zlib.crc32(table))


@given(st.lists(st.sampled_from([1, 2, 4095, 4096, 4097, 9000]), max_size=6), st.booleans())
def test_round_trip(lengths: list[int], pool: bool):
    payloads = [bytes([i + 1]) * n for i, n in enumerate(lengths)]
    sections = [(TENSOR, p) for p in payloads] + ([(POOL, b"pool")] if pool else []) + [(MANIFEST, b"m")]
    data = build(*sections)
    with open_container(data) as container:
        assert [(s.kind, bytes(container.section(i))) for i, s in enumerate(container.sections)] == sections
        assert all(s.offset % ALIGNMENT == 0 for s in container.sections if s.length >= ALIGNED_FROM)
        assert container.overhead + sum(len(p) for _, p in sections) == len(data)


def test_paths_streams_and_buffers_read_alike(tmp_path: Path):
    path = tmp_path / "a.tersor"
    path.write_bytes(SMALL)
    for source in (path, str(path), SMALL, bytearray(SMALL), io.BytesIO(SMALL)):
        with open_container(source) as container:
            assert bytes(container.section(0)) == b"abc"


@pytest.mark.parametrize("index", range(len(SMALL)))
def test_any_flipped_byte_is_noticed(index: int):
    damaged = bytearray(SMALL)
    damaged[index] ^= 0x55
    with pytest.raises(FormatError):  # noqa: PT012 (which of the two lines raises depends on the byte)
        container = Container(memoryview(bytes(damaged)), DEFAULT_LIMITS)
        for i in range(len(container.sections)):
            container.section(i)


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_any_truncation_is_noticed(length: int):
    with pytest.raises(FormatError):
        Container(memoryview(SMALL[:length]), DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (SMALL + b"x", "foreign bytes"),
        (b"PK\3\4" + SMALL[4:], "not a Tersor file"),
        (MAGIC.replace(b"\r\n", b"\n") + SMALL[8:], "transfer"),
        (reheadered(SMALL, version=2), "format version 2"),
        (reheadered(SMALL, flags=4), "features 0x0004"),
        (reheadered(SMALL, table=HEADER_BYTES), "does not end the file"),
        (retabled(SMALL, 0, kind=9), "unknown section kind 9"),
        (retabled(SMALL, 0, length=0), "is empty"),
        (retabled(SMALL, 0, offset=40), "not where it must be"),
        (retabled(SMALL, 1, offset=36), "not where it must be"),
        (retabled(SMALL, 2, length=7), "belong to no section"),
        (retabled(SMALL, 2, length=1 << 63), "not where it must be"),
        (retabled(SMALL, 1, kind=TENSOR), None),
        (retabled(SMALL, 0, kind=POOL), "sections must be"),
        (build((TENSOR, b"a")), "sections must be"),
        (build((MANIFEST, b"a"), (MANIFEST, b"a")), "sections must be"),
    ],
)
def test_each_defect_is_named(data: bytes, message: str | None):
    if message is None:
        Container(memoryview(data), DEFAULT_LIMITS)
        return
    with pytest.raises(FormatError, match=message):
        Container(memoryview(data), DEFAULT_LIMITS)


def test_padding_must_be_zero():
    data = bytearray(build((TENSOR, b"x" * 5000), (MANIFEST, b"m")))
    data[HEADER_BYTES + 1] = 1
    container = Container(memoryview(bytes(data)), DEFAULT_LIMITS)
    with pytest.raises(FormatError, match="padding"):
        container.section(0)


def test_section_count_is_limited():
    with pytest.raises(LimitError, match="sections"):
        Container(memoryview(SMALL), Limits(sections=2))


def test_an_empty_file_is_refused(tmp_path: Path):
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(FormatError, match="empty"), open_container(path):
        pass


def test_bytes_are_given_back() -> None:
    data = bytearray(SMALL)
    with open_container(data) as container:
        assert container.length == len(SMALL)
    data.append(0)  # which nothing looks into any more


@pytest.mark.parametrize("source", [None, 3, 1.5, io.StringIO("text"), object()])
def test_what_gives_no_bytes_is_told(source: Any) -> None:
    with pytest.raises(InputError, match="a path, bytes or a file that gives bytes"), open_container(source):
        pass
