"""The head, codebook and entry table of a context-mixed payload: what its reference and its jitted decoder both read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .codebooks import read_codebook
from .coding import COLUMNS_FLAG, HALF_FLAG, LINEAR_FLAG, MAX_BLOCK_POSITIONS, MAX_CODEBOOK
from .errors import FormatError
from .mixing import KERNEL_ZEROS_FLAG, LEAST_COST, MAX_KERNEL, MAX_LOW_BITS, MAX_STEPS, REFERENCES_FLAG
from .tensors import bit_patterns
from .varint import read_varint, write_varint

if TYPE_CHECKING:
    from .limits import Limits
    from .records import TensorRecord
    from .varint import Bytes

FORMS = HALF_FLAG | LINEAR_FLAG
FLAGS = COLUMNS_FLAG | FORMS | KERNEL_ZEROS_FLAG | REFERENCES_FLAG


@dataclass(frozen=True)
class MixedHead:
    """How a payload models its tensor, seen as ``rows`` by ``columns``, columns being kernels of ``kernel`` positions.

    ``flags``: the scan (columns: a major is a kernel's place, its minors all rows' kernels there), the codebook's form, and
    what is coded beside levels. ``width``: positions of one line of a kernel. ``low_bits``: bits of a rank that are not
    mixed. ``mixed_steps``: steps of the unary code that are. ``block_majors``: majors of a block.
    """

    flags: int
    kernel: int
    width: int
    low_bits: int
    mixed_steps: int
    block_majors: int

    def matrix(self, rows: int, columns: int) -> tuple[int, int]:
        """Majors and minors of the scan."""
        return (columns // self.kernel, rows * self.kernel) if self.flags & COLUMNS_FLAG else (rows, columns)


@dataclass(frozen=True, eq=False)
class MixedPayload:
    """A payload taken apart. Block ``i`` is ``data[bounds[i]:bounds[i + 1]]``; ``codebook`` (k,) has ``positives`` first.

    ``items`` are its bytes by category.
    """

    head: MixedHead
    codebook: np.ndarray
    positives: int
    bounds: tuple[int, ...]
    items: dict[str, int]


def block_sizes(majors: int, block_majors: int) -> list[int]:
    """Majors of each block; the last one may have fewer."""
    return [min(block_majors, majors - start) for start in range(0, majors, block_majors)]


def count_positives(codebook: np.ndarray) -> int:
    """Entries whose highest bit is clear; codebooks have them first."""
    patterns = bit_patterns(codebook)
    return int(np.count_nonzero(patterns >> np.array(8 * codebook.dtype.itemsize - 1, patterns.dtype) == 0))


def entry_numbers(codebook: np.ndarray, positives: int) -> np.ndarray:
    """(k + 1,) int64: rank 1, 2, ... of the positives, then of the negatives, to the index of the entry; [0] is not used.

    Magnitudes ascend with the rank: two's complement negatives are numbered from the end.
    """
    numbers = np.arange(-1, len(codebook))
    if codebook.dtype.kind == "i":
        numbers[positives + 1 :] = numbers[:positives:-1].copy()
    return numbers


def check_decoded(record: TensorRecord, limits: Limits, nonzeros: int, k: int) -> None:
    """Raise :class:`LimitError` when starts, minors and codes of a rows-major tensor would be too large."""
    limits.check("tensor_bytes", nonzeros * (4 + (1 if k <= 256 else 2)) + 8 * (record.rows + 1))


def write_head(entries: int, head: MixedHead) -> bytes:
    """The bytes before the codebook."""
    out = bytearray()
    write_varint(out, entries)
    out.append(head.flags)
    write_varint(out, head.kernel)
    write_varint(out, head.width)
    out += bytes((head.low_bits, head.mixed_steps))
    write_varint(out, head.block_majors)
    return bytes(out)


def read_payload(record: TensorRecord, data: Bytes) -> MixedPayload:
    """Take a payload apart, its blocks' bytes unread.

    Raises:
        FormatError: with the offset in the payload.
    """
    entries, at = read_varint(data, 0)
    if not 1 <= entries <= MAX_CODEBOOK:
        raise FormatError(f"a codebook of {entries} entries; from 1 to {MAX_CODEBOOK} are allowed", offset=0)
    head, at = _read_head(record, data, at)
    head_size = at
    if record.dtype.itemsize > 8 or record.dtype == np.bool_:
        raise FormatError(f"elements of type {record.dtype} have no magnitudes that this codec could order", offset=at)
    codebook, at = read_codebook(record, data, at, entries, head.flags & FORMS)
    positives = _check_codebook(codebook, head_size)
    if max(positives, entries - positives) - 1 >> head.low_bits >= MAX_STEPS:
        raise FormatError(f"{entries} codebook entries with {head.low_bits} low bits need too many steps", offset=head_size)
    codebook_size, start = at - head_size, at
    majors, minors = head.matrix(record.rows, record.columns)
    sizes, lengths = block_sizes(majors, head.block_majors), []
    if len(sizes) > len(data) - at:
        raise FormatError(f"the data is too short for the entries of {len(sizes)} blocks", offset=at)
    for size in sizes:
        length, at = read_varint(data, at)
        decisions = size * (-(-minors // head.kernel) if head.flags & KERNEL_ZEROS_FLAG else minors)
        if decisions > LEAST_COST * (length + 4):
            raise FormatError(f"a block of {length} bytes cannot hold {decisions} decisions", offset=at)
        lengths.append(length)
    if at + sum(lengths) != len(data):
        raise FormatError(f"the entry table promises {sum(lengths)} bytes of data; there are {len(data) - at}", offset=at)
    bounds = (at, *(at + int(end) for end in np.cumsum(lengths)))
    items = {"head": head_size, "codebook": codebook_size, "entries": at - start, "codes": sum(lengths)}
    return MixedPayload(head, codebook, positives, bounds, items)


def _byte(data: Bytes, at: int) -> int:
    if at >= len(data):
        raise FormatError("the data ends inside the head", offset=at)
    return int(data[at])


def _read_head(record: TensorRecord, data: Bytes, at: int) -> tuple[MixedHead, int]:
    flags = _byte(data, at)
    if flags & ~FLAGS or flags & FORMS == FORMS:
        raise FormatError(f"flag bits that are reserved or exclude each other are set: {flags:#04x}", offset=at)
    start = at + 1
    kernel, at = read_varint(data, start)
    is_divided = not flags & COLUMNS_FLAG or record.columns % max(kernel, 1) == 0
    if not 1 <= kernel <= min(MAX_KERNEL, record.columns) or not is_divided:
        raise FormatError(f"kernels of {kernel} positions in {record.columns} columns", offset=start)
    start = at
    width, at = read_varint(data, start)
    if not 1 <= width <= kernel:
        raise FormatError(f"a line of {width} positions in a kernel of {kernel}", offset=start)
    low_bits, mixed_steps = _byte(data, at), _byte(data, at + 1)
    if low_bits > MAX_LOW_BITS or mixed_steps > MAX_STEPS:
        raise FormatError(f"{low_bits} low bits and {mixed_steps} mixed steps: too many", offset=at)
    start = at + 2
    block_majors, at = read_varint(data, start)
    head = MixedHead(flags, kernel, width, low_bits, mixed_steps, block_majors)
    majors, minors = head.matrix(record.rows, record.columns)
    if not 1 <= block_majors <= majors or block_majors * minors > MAX_BLOCK_POSITIONS:
        raise FormatError(f"a block of {block_majors} majors of {minors} positions, of {majors} majors", offset=start)
    return head, at


def _check_codebook(codebook: np.ndarray, at: int) -> int:
    """The number of positives, after checking that entries ascend and none is zero."""
    patterns = bit_patterns(codebook)
    if patterns[0] == 0 or (patterns[1:] <= patterns[:-1]).any():
        raise FormatError("the codebook has a zero, or its bit patterns do not ascend", offset=at)
    return count_positives(codebook)
