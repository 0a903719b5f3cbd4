"""The container: a header, sections, and a section table at the end (SPEC.md, section 3).

Every layout figure is fixed by the sections' lengths, so a file with holes, overlaps, foreign bytes or
another order is refused.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from .errors import FormatError, InputError
from .limits import DEFAULT_LIMITS, Limits

MAGIC = b"\x89TSR\r\n\x1a\n"
VERSION = 1
KNOWN_FLAGS = 0
ALIGNMENT = 64
ALIGNED_FROM = 4096

MANIFEST, POOL, TENSOR = 1, 2, 3
KIND_NAMES = {MANIFEST: "manifest", POOL: "pool", TENSOR: "tensor"}

HEADER = struct.Struct("<8sHHIQQ")
ENTRY = struct.Struct("<IIQQ")
CRC = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CRC.size

Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO"


@dataclass(frozen=True)
class Section:
    """One entry of the section table. ``padding`` zero bytes lie before ``offset``."""

    kind: int
    crc: int
    offset: int
    length: int
    padding: int


def aligned_offset(end: int, length: int) -> int:
    """Where a section of ``length`` bytes starts when the one before it ends at ``end``."""
    return -(-end // ALIGNMENT) * ALIGNMENT if length >= ALIGNED_FROM else end


class Container:
    """A container opened for reading; sections are read, and their checksums verified, only when asked for.

    ``data`` is the whole file. :func:`open_container` opens paths and streams.
    """

    def __init__(self, data: memoryview, limits: Limits) -> None:
        self._data = data
        self._verified: set[int] = set()
        self.limits = limits
        self.sections = _read_table(data, limits)

    @property
    def length(self) -> int:
        """Bytes of the whole file."""
        return len(self._data)

    @property
    def overhead(self) -> int:
        """Bytes of header, section table and padding."""
        return self.length - sum(s.length for s in self.sections)

    def section(self, index: int) -> memoryview:
        """The bytes of section ``index``.

        Raises:
            FormatError: its checksum is wrong, or the padding before it is not zero.
        """
        section = self.sections[index]
        data = self._data[section.offset : section.offset + section.length]
        if index not in self._verified:
            name = self.section_name(index)
            if zlib.crc32(data) != section.crc:
                raise FormatError("checksum mismatch: the file is damaged", offset=section.offset, section=name)
            if any(self._data[section.offset - section.padding : section.offset]):
                raise FormatError("padding is not zero", offset=section.offset - section.padding, section=name)
            self._verified.add(index)
        return data

    def section_name(self, index: int) -> str:
        """What to call section ``index`` in a message."""
        return f"section {index} ({KIND_NAMES[self.sections[index].kind]})"

    def find(self, kind: int) -> int | None:
        """The index of the only section of ``kind`` (manifest or pool)."""
        return next((i for i, s in enumerate(self.sections) if s.kind == kind), None)


@contextmanager
def open_container(source: Source, limits: Limits = DEFAULT_LIMITS) -> Iterator[Container]:
    """Open a path (memory-mapped), bytes, or a binary file object (read to its end).

    Raises:
        FormatError: header or section table is malformed.
        LimitError: more sections than ``limits`` allows.
        OSError: the path cannot be read.
    """
    view = map_source(source)
    try:
        yield Container(view, limits)
    finally:
        release(view)


def map_source(source: Source) -> memoryview:
    """The bytes of ``source`` without copying them where that is possible: a pipe is read to its end."""
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            status = os.fstat(file.fileno())
            piped = memoryview(file.read()) if stat.S_ISFIFO(status.st_mode) else None
            if not (status.st_size if piped is None else len(piped)):
                raise FormatError("the file is empty", offset=0)
            return map_file(file) if piped is None else piped
    read = getattr(source, "read", None)
    data: Any = source if read is None else read()
    try:
        return memoryview(data).cast("B")
    except TypeError:
        kind = type(data).__name__
        raise InputError(f"a path, bytes or a file that gives bytes is expected, not {kind}") from None


def map_file(file: BinaryIO) -> memoryview:
    """All of an open file of the system's, not empty and with nothing left in its buffer, memory-mapped."""
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def release(view: memoryview) -> None:
    """Give back what :func:`map_source` opened, unless an array still looks into it (then the last one closes it)."""
    owner = view.obj
    with suppress(BufferError):
        view.release()
        if isinstance(owner, mmap.mmap):
            owner.close()


def _read_table(data: memoryview, limits: Limits) -> tuple[Section, ...]:
    """Check header and table against each other and against the file's length (SPEC.md, sections 3.1 and 3.2)."""
    count, table_offset = _read_header(data, limits)
    table = data[table_offset:]
    if CRC.unpack_from(table, count * ENTRY.size)[0] != zlib.crc32(table[: count * ENTRY.size]):
        raise FormatError("checksum mismatch: the file is damaged", offset=table_offset, section="section table")
    sections: list[Section] = []
    end = HEADER_BYTES
    for index in range(count):
        where = table_offset + index * ENTRY.size
        kind, crc, offset, length = ENTRY.unpack_from(table, index * ENTRY.size)
        if kind not in KIND_NAMES:
            raise FormatError(f"unknown section kind {kind}", offset=where, section="section table")
        if length == 0:
            raise FormatError(f"section {index} is empty", offset=where, section="section table")
        if offset != aligned_offset(end, length) or offset + length > table_offset:
            raise FormatError(f"section {index} is not where it must be", offset=where, section="section table")
        sections.append(Section(kind, crc, offset, length, offset - end))
        end = offset + length
    if end != table_offset:
        raise FormatError("bytes that belong to no section", offset=end)
    _check_order([s.kind for s in sections], table_offset)
    return tuple(sections)


def _read_header(data: memoryview, limits: Limits) -> tuple[int, int]:
    """Section count and table offset."""
    if len(data) < HEADER_BYTES:
        raise FormatError(f"too short for a Tersor file: {len(data)} bytes", offset=len(data))
    magic, version, flags, count, length, table_offset = HEADER.unpack_from(data)
    if magic != MAGIC:
        if magic[:4] == MAGIC[:4] or magic[1:4] == MAGIC[1:4]:
            cause = "the file went through a transfer that changes line ends or bits"
            raise FormatError(f"the first eight bytes are damaged: {cause}", offset=0)
        raise FormatError("not a Tersor file", offset=0)
    if CRC.unpack_from(data, HEADER.size)[0] != zlib.crc32(data[: HEADER.size]):
        raise FormatError("checksum mismatch: the file is damaged", offset=HEADER.size, section="header")
    if version != VERSION:
        raise FormatError(f"format version {version}; this release reads version {VERSION}", offset=8, section="header")
    if flags & ~KNOWN_FLAGS:
        raise FormatError(f"the file needs features 0x{flags:04x} that this release does not have", offset=10, section="header")
    if length != len(data):
        what = "truncated" if length > len(data) else "followed by foreign bytes"
        raise FormatError(
            f"the file is {what}: the header says {length:,} bytes, there are {len(data):,}", offset=16, section="header"
        )
    limits.check("sections", count)
    if not HEADER_BYTES <= table_offset <= length or table_offset + count * ENTRY.size + CRC.size != length:
        raise FormatError("the section table does not end the file", offset=24, section="header")
    return count, table_offset


def _check_order(kinds: list[int], table_offset: int) -> None:
    """Tensor sections, then at most one pool, then the manifest."""
    tensors = kinds.count(TENSOR)
    if kinds[tensors:] not in ([MANIFEST], [POOL, MANIFEST]) or any(k != TENSOR for k in kinds[:tensors]):
        raise FormatError(
            "sections must be: tensors, at most one pool, one manifest", offset=table_offset, section="section table"
        )


class ContainerWriter:
    """Writes sections as they come; :meth:`finish` writes the table and completes the header."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sections: list[Section] = []
        self._end = HEADER_BYTES
        file.write(bytes(HEADER_BYTES))

    def add(self, kind: int, payload: bytes) -> Section:
        """Append one section, and say where it lies; see SPEC.md, section 3.2, for the order of kinds."""
        offset = aligned_offset(self._end, len(payload))
        self._file.write(bytes(offset - self._end))
        self._file.write(payload)
        section = Section(kind, zlib.crc32(payload), offset, len(payload), offset - self._end)
        self._sections.append(section)
        self._end = offset + len(payload)
        return section

    def length_with(self, sections: Iterable[tuple[int, bytes]]) -> int:
        """Bytes of the file if these sections, each a kind and its payload, were the last ones."""
        end, count = self._end, len(self._sections)
        for _, payload in sections:
            end, count = aligned_offset(end, len(payload)) + len(payload), count + 1
        return end + count * ENTRY.size + CRC.size

    def finish(self) -> int:
        """Complete the file; return its length in bytes."""
        table = b"".join(ENTRY.pack(s.kind, s.crc, s.offset, s.length) for s in self._sections)
        self._file.write(table + CRC.pack(zlib.crc32(table)))
        length = self._end + len(table) + CRC.size
        header = HEADER.pack(MAGIC, VERSION, 0, len(self._sections), length, self._end)
        self._file.seek(0)
        self._file.write(header + CRC.pack(zlib.crc32(header)))
        self._file.seek(length)
        return length
