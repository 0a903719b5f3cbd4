"""Payloads with one defect each, put together by hand from the parts that SPEC.md, section 5, names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import zstandard

from tersor.format_spec.coding import CodecId
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.varint import write_varint

SHARED, SPARSE, PAPER = CodecId.SHARED, CodecId.SPARSE, CodecId.PAPER


@dataclass(frozen=True)
class WrongPayload:
    """A payload for a record, and what the error says: words of the reference, then of the runtime where they differ."""

    record: TensorRecord
    payload: bytes
    message: str


def varints(*values: int) -> bytes:
    """Integers as payloads and manifests hold them."""
    out = bytearray()
    for value in values:
        write_varint(out, value)
    return bytes(out)


def bits(*strings: str) -> bytes:
    """Bits, padded with zeros to whole bytes."""
    text = "".join(strings)
    text += "0" * (-len(text) % 8)
    return int(text or "0", 2).to_bytes(len(text) // 8, "big")


def ranks(*values: int) -> bytes:
    """A Huffman table of these ranks."""
    return bits(*("0" * rank + "1" for rank in values))


@dataclass(frozen=True)
class Coded:
    """A coded payload in parts; the defaults are a valid 2 x 4 tensor, in codecs that leave zeros out .5 0 0 1 / 0 0 .5 0."""

    codec: CodecId
    dtype: str = "float32"
    shape: tuple[int, ...] = (2, 4)
    k: bytes = varints(2)
    flags: int = 0
    block: int = 2
    width: bytes = b""
    codebook: bytes = np.array([0.5, 1], "<f4").tobytes()
    tables: Sequence[bytes] = ()
    entries: bytes = b""
    data: bytes = b""
    tail: bytes = field(default=b"")

    def payload(self) -> bytes:
        """All parts in order."""
        head = self.k + bytes([self.flags]) + varints(self.block) + self.width
        return head + self.codebook + b"".join(self.tables) + self.entries + self.data + self.tail


ONE_BIT = ranks(0, 0)  # two symbols of one bit, in an alphabet of two
SHARED_GOOD = Coded(SHARED, tables=[ONE_BIT], entries=varints(1), data=bits("01001101"))
SPARSE_GOOD = Coded(
    SPARSE,
    width=varints(4),
    tables=[ranks(2, 3, 1), ONE_BIT],  # gap symbols 0 and 2, one bit each; the escape is 3
    entries=varints(3, 3, 1, 1),
    data=bits("011") + bits("010"),
)
PAPER_GOOD = Coded(
    PAPER,
    width=bytes([1]),
    tables=[ONE_BIT, ranks(0, 0, 0)],  # codes: 0 takes two bits, 1 two bits, the filler one
    entries=varints(3, 5, 1, 1),
    data=b"",
)


def coded_defects(good: Coded, name: str) -> Iterator[tuple[str, Coded, str]]:
    """Defects of the parts that the three coded payloads share."""
    yield f"{name}-codebook-empty", replace(good, k=varints(0)), "a codebook of 0 entries"
    largest = 65535 if good.codec == PAPER else 65536
    yield f"{name}-codebook-too-large", replace(good, k=varints(largest + 1)), f"from 1 to {largest}"
    yield f"{name}-flag-reserved", replace(good, flags=128), "reserved flag bits"
    yield f"{name}-half-codebook-of-float64", replace(good, flags=2, dtype="float64"), "only float32"
    nan = replace(good, flags=2, codebook=np.array([1, np.nan], "<f2").tobytes())
    yield f"{name}-half-codebook-with-a-nan", nan, "fp16 codebook has a NaN"
    yield f"{name}-codebook-cut", replace(good, tables=[], entries=b"", data=b"", codebook=bytes(7)), "ends inside the codebook"
    yield f"{name}-block-of-no-majors", replace(good, block=0), "a block of 0 majors"
    yield f"{name}-block-of-more-majors-than-there-are", replace(good, block=3), "a block of 3 majors"
    yield (
        f"{name}-block-of-too-many-positions",
        replace(good, dtype="uint8", shape=(2, 1 << 30), codebook=b"\1\2"),
        "1073741824 positions",
    )
    yield f"{name}-tables-cut", replace(good, tables=[], entries=b"", data=b""), "ends inside a Huffman table"
    last = good.tables[:-1]
    yield f"{name}-table-of-negative-length", replace(good, tables=[*last, ranks(7)]), "out of range"
    yield f"{name}-table-of-length-12", replace(good, tables=[*last, ranks(24)]), "out of range"
    yield f"{name}-table-over-complete", replace(good, tables=[*last, ranks(0, 2)]), "not those of a complete prefix code"
    yield (
        f"{name}-table-padding",
        replace(good, tables=[*last, good.tables[-1][:-1] + bytes([good.tables[-1][-1] | 1])]),
        "padding of a Huffman table",
    )
    yield (
        f"{name}-entries-cut",
        replace(good, entries=b"", data=b""),
        "too short for the entries|ends inside an integer|inside the entry",
    )
    yield f"{name}-entry-integer-not-shortest", replace(good, entries=b"\x81\0" + good.entries[1:]), "shortest form"
    yield f"{name}-data-missing", replace(good, data=good.data[:-1]), "the entry table promises"
    yield f"{name}-data-too-much", replace(good, tail=b"\0"), "the entry table promises"
    endless = good.entries[:-1] + varints((1 << 55) + 1)
    yield f"{name}-substream-of-endless-length", replace(good, entries=endless), "promises|longer than the payload"
    yield f"{name}-no-elements", replace(good, shape=(0, 4)), "must be raw"


def shared_defects() -> Iterator[tuple[str, Coded, str]]:
    """What can be wrong in codec 5 alone."""
    good = SHARED_GOOD
    inside = "exactly its symbols|ends inside a code|padding"
    yield "shared-substream-too-long", replace(good, entries=varints(2), data=good.data + b"\0"), inside
    yield "shared-substream-too-short", replace(good, shape=(3, 4), block=3), inside
    padded = replace(good, shape=(1, 7), block=1, data=bits("01001101"))
    yield "shared-substream-padding", padded, inside
    one = replace(good, k=varints(1), codebook=good.codebook[:4], tables=[ranks(0)])
    yield "shared-substream-of-one-symbol-not-empty", one, "not empty|exactly its symbols"
    yield "shared-code-past-the-codebook", wide(good, varints(1, 1)), "a code of 261|not an index"
    boolean = replace(good, dtype="bool", codebook=b"\0\2")
    yield "shared-codebook-of-bools-with-a-2", boolean, "neither 0 nor 1"
    yield "shared-table-incomplete", replace(good, tables=[ranks(1, 1)]), "not those of a complete|ends inside a Huffman"


def wide(good: Coded, entries: bytes) -> Coded:
    """Codes of two bytes whose last one is 261 where the codebook has 257 entries."""
    low = one_of_two(256, 0, 5)
    codebook = np.arange(1, 258, dtype="<f4").tobytes()
    gaps = good.tables[:-1]
    return replace(
        good, k=varints(257), codebook=codebook, tables=[*gaps, low, ONE_BIT], entries=entries, data=bits("00000001") * 2
    )


def one_of_two(alphabet: int, first: int, second: int) -> bytes:
    """A table in which two symbols of an alphabet have one bit each."""
    from tersor.format_spec.huffman import write_table

    lengths = np.full(alphabet, -1, np.int64)
    lengths[[first, second]] = 1
    return write_table(lengths)


def sparse_defects() -> Iterator[tuple[str, Coded, str]]:
    """What can be wrong in codec 6 alone."""
    good = SPARSE_GOOD
    yield "sparse-gap-alphabet-of-one", replace(good, width=varints(1)), "(width|size) of 1"
    yield "sparse-gap-alphabet-too-large", replace(good, width=varints(257)), "(width|size) of 257"
    yield "sparse-codebook-with-zero", replace(good, codebook=bytes(4) + good.codebook[4:]), "has a zero"
    yield "sparse-more-nonzeros-than-gaps", replace(good, entries=varints(4, 3, 1, 1)), "nonzeros and .*gaps"
    yield "sparse-more-gaps-than-positions", replace(good, entries=varints(3, 9, 1, 1)), "nonzeros and .*gaps"
    yield "sparse-gaps-without-nonzeros", replace(good, entries=varints(0, 3, 1)), "nonzeros and .*gaps"
    escapes = replace(good, tables=[ranks(2, 3, 0, 1), ONE_BIT])  # gap symbols 0 and the escape
    end = "do not end in|do not have the nonzeros"
    yield "sparse-escape-is-last", replace(escapes, entries=varints(2, 3, 1, 1), data=bits("001") + bits("01")), end
    yield "sparse-fewer-nonzeros-than-said", replace(escapes, entries=varints(3, 3, 1, 1), data=bits("010") + bits("010")), end
    yield "sparse-more-nonzeros-than-said", replace(escapes, entries=varints(1, 3, 1, 1), data=bits("000") + bits("0")), end
    yield "sparse-nonzero-outside-its-block", replace(good, data=bits("111") + bits("010")), "outside its block"
    yield (
        "sparse-block-number-2-wrong",
        replace(good, block=1, entries=varints(1, 1, 1, 1, 2, 2, 1, 1), data=bits("0") * 2 + bits("11") * 2),
        "outside its block",
    )


def paper_defects() -> Iterator[tuple[str, Coded, str]]:
    """What can be wrong in codec 4 alone."""
    good = paper_good()
    yield "paper-gap-of-no-bits", replace(good, width=bytes([0])), "(width|size) of 0"
    yield "paper-gap-of-nine-bits", replace(good, width=bytes([9])), "(width|size) of 9"
    yield "paper-codebook-with-zero", replace(good, codebook=bytes(4) + good.codebook[4:]), "has a zero"
    yield "paper-more-nonzeros-than-entries", replace(good, entries=varints(6, 5, 1, 1)), "nonzeros and .*gaps"
    end = "do not end in|do not have the nonzeros"
    yield "paper-filler-is-last", replace(good, data=bits("01101") + bits("10", "0", "11", "10", "0")), end
    yield "paper-fewer-nonzeros-than-said", replace(good, entries=varints(4, 5, 1, 1)), end
    yield "paper-more-nonzeros-than-said", replace(good, entries=varints(2, 5, 1, 1)), end
    yield "paper-nonzero-outside-its-block", replace(good, data=bits("11111") + good.data[1:]), "outside its block"


def paper_good() -> Coded:
    """Entries at offsets 0, 2 (filler), 3, 5 (filler), 6: gap symbols 0 1 0 1 0; codes of 2, 2 and 1 bits."""
    codes = ranks(0, 0, 2)
    return replace(PAPER_GOOD, tables=[ONE_BIT, codes], data=bits("01010") + bits("10", "0", "11", "0", "10"))


def dense_record(codec: int, dtype: str = "float32", shape: tuple[int, ...] = (3,)) -> TensorRecord:
    """A record of three elements, unless said otherwise."""
    return TensorRecord("w", np.dtype(dtype), shape, (), codec)


def zstd_defects(name: str, codec: CodecId, content: bytes) -> Iterator[tuple[str, WrongPayload]]:
    """Codecs 2 and 9; ``content`` is a good frame's."""
    frame = zstandard.ZstdCompressor(level=3).compress(content)
    unsized = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(content)
    record = dense_record(codec)
    yield f"{name}-of-another-size", WrongPayload(dense_record(codec, shape=(4,)), frame, "declares 12 bytes, not 16")
    yield f"{name}-without-size", WrongPayload(record, unsized, "does not state its size")
    yield f"{name}-of-foreign-bytes", WrongPayload(record, b"\0" + frame, "content size")
    yield f"{name}-cut", WrongPayload(record, frame[:-1], "decompress")
    yield f"{name}-followed-by-a-byte", WrongPayload(record, frame + b"\0", "unused data")
    bools = zstandard.ZstdCompressor().compress(b"\0\1\2")
    yield f"{name}-bool-of-2", WrongPayload(dense_record(codec, "bool"), bools, "neither 0 nor 1")
    yield f"{name}-no-elements", WrongPayload(dense_record(codec, shape=(0,)), frame, "must be raw")


def dense_defects() -> Iterator[tuple[str, WrongPayload]]:
    """Codecs 1 and 3, and unknown ones."""
    record = dense_record
    yield "codec-0", WrongPayload(record(0), bytes(12), "codec 0 is unknown")
    yield "codec-unknown", WrongPayload(record(1 << 20), bytes(12), "codec 1048576 is unknown")
    yield "raw-too-short", WrongPayload(record(CodecId.RAW), bytes(11), "needs 12 bytes")
    yield "raw-too-long", WrongPayload(record(CodecId.RAW), bytes(13), "needs 12 bytes")
    yield "raw-bool-of-2", WrongPayload(record(CodecId.RAW, "bool"), b"\0\1\2", "neither 0 nor 1")
    yield "fill-of-two-elements", WrongPayload(record(CodecId.FILL), bytes(8), "needs 4 bytes")
    yield "fill-of-half-an-element", WrongPayload(record(CodecId.FILL), bytes(2), "needs 4 bytes")
    yield "fill-bool-of-3", WrongPayload(record(CodecId.FILL, "bool"), b"\3", "neither 0 nor 1")
    yield "fill-no-elements", WrongPayload(record(CodecId.FILL, shape=(0,)), bytes(4), "must be raw")


def payload_defects() -> dict[str, WrongPayload]:
    """Every defect of a payload, by name."""
    elements = np.array([1, 2, 3], "<f4")
    planes = elements.view(np.uint8).reshape(3, 4).T
    found = dict(dense_defects())
    found |= zstd_defects("zstd", CodecId.SHUFFLED_ZSTD, planes.tobytes())
    found |= zstd_defects("plain-zstd", CodecId.PLAIN_ZSTD, elements.tobytes())
    groups = [
        *coded_defects(SHARED_GOOD, "shared"),
        *coded_defects(SPARSE_GOOD, "sparse"),
        *coded_defects(paper_good(), "paper"),
        *shared_defects(),
        *sparse_defects(),
        *paper_defects(),
    ]
    for name, coded, message in groups:
        record = TensorRecord("w", np.dtype(coded.dtype), coded.shape, (0,), coded.codec)
        found[name] = WrongPayload(record, coded.payload(), message)
    return found
