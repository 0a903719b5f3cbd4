"""The three forms of a codebook: the elements, fp16, or multiples of a step (SPEC.md, section 5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .coding import HALF_FLAG, LINEAR_FLAG, MAX_LEVEL, CodecId
from .errors import FormatError
from .varint import read_varint, write_varint

if TYPE_CHECKING:
    from .records import TensorRecord
    from .varint import Bytes


def is_exact_in_half(codebook: np.ndarray) -> bool:
    """Whether every fp32 entry comes back with the same bits from fp16. A NaN counts as not exact: processors differ."""
    if codebook.dtype != np.float32 or np.isnan(codebook).any():
        return False
    with np.errstate(over="ignore"):
        return np.array_equal(codebook.astype(np.float16).astype(np.float32).view(np.uint32), codebook.view(np.uint32))


def linear_levels(codebook: np.ndarray) -> tuple[np.float32, np.ndarray] | None:
    """A step and integers (k,) int64 whose float32 products are the entries bit for bit, or ``None`` when none are found."""
    if codebook.dtype != np.float32 or not np.isfinite(codebook).all():
        return None
    sizes = np.unique(np.abs(codebook.astype(np.float64)))
    spacing = np.diff(sizes, prepend=0.0)
    if not (spacing > 0).any():
        return None
    smallest = spacing[spacing > sizes[-1] / MAX_LEVEL].min()
    most = round(sizes[-1] / smallest)
    step = np.float32(sizes[-1] / most)
    for candidate in (step, np.nextafter(step, np.float32(0)), np.nextafter(step, np.float32(np.inf))):
        if not candidate > 0:
            continue
        levels = np.rint(codebook.astype(np.float64) / float(candidate))
        if np.abs(levels).max() <= MAX_LEVEL and _is_same(candidate * levels.astype(np.float32), codebook):
            return candidate, levels.astype(np.int64)
    return None


def _is_same(products: np.ndarray, codebook: np.ndarray) -> bool:
    return np.array_equal((products + np.float32(0)).view(np.uint32), codebook.view(np.uint32))  # -0.0 has no level


def codebook_form(codebook: np.ndarray) -> int:
    """The flag bits of the exact form with the fewest bytes."""
    sizes = [(codebook.nbytes, 0)]
    if is_exact_in_half(codebook):
        sizes.append((codebook.nbytes // 2, HALF_FLAG))
    if linear_levels(codebook) is not None:
        sizes.append((len(codebook_bytes(codebook, LINEAR_FLAG)), LINEAR_FLAG))
    return min(sizes)[1]


def codebook_bytes(codebook: np.ndarray, form: int) -> bytes:
    """The entries as stored.

    Raises:
        ValueError: they are not multiples of a step, but ``form`` asks for that.
    """
    if form == LINEAR_FLAG:
        found = linear_levels(codebook)
        if found is None:
            raise ValueError("the codebook is not linear")
        return np.array(found[0], "<f4").tobytes() + _level_runs(found[1].tolist())
    stored = codebook.astype(np.float16) if form == HALF_FLAG else codebook
    return stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()


def _level_runs(levels: list[int]) -> bytes:
    out, at = bytearray(), 0
    while at < len(levels):
        start, count = levels[at], 1
        away = 1 if start >= 0 else -1
        while at + count < len(levels) and levels[at + count] == start + away * count:
            count += 1
        write_varint(out, 2 * start if start >= 0 else -2 * start - 1)
        write_varint(out, count)
        at += count
    return bytes(out)


def read_codebook(record: TensorRecord, data: Bytes, at: int, k: int, form: int) -> tuple[np.ndarray, int]:
    """The codebook (k,) at ``data[at]`` in the record's type, and the offset after it.

    Raises:
        FormatError: the data ends, an entry is not allowed, or the form is not for the record's type.
    """
    if form and record.dtype != np.float32:
        raise FormatError(f"an fp16 or linear codebook for a tensor of {record.dtype}; only float32 may have one", offset=at)
    if form == LINEAR_FLAG:
        codebook, end = _read_linear(data, at, k)
    else:
        end = at + k * (2 if form == HALF_FLAG else record.dtype.itemsize)
        if end > len(data):
            raise FormatError("the data ends inside the codebook", offset=at)
        codebook = _read_half(data, at, end) if form == HALF_FLAG else _read_elements(record, data, at, end)
    if record.codec != CodecId.SHARED and not codebook.view(np.uint8).reshape(k, -1).any(axis=1).all():
        raise FormatError("the codebook has a zero, which this codec leaves out", offset=at)
    return codebook, end


def _read_elements(record: TensorRecord, data: Bytes, at: int, end: int) -> np.ndarray:
    stored = bytes(data[at:end])
    if record.dtype == np.bool_ and max(stored) > 1:
        raise FormatError("a codebook has a bool that is neither 0 nor 1", offset=at)
    return np.frombuffer(stored, record.dtype.newbyteorder("<")).astype(record.dtype)


def _read_half(data: Bytes, at: int, end: int) -> np.ndarray:
    stored = np.frombuffer(bytes(data[at:end]), "<f2")
    if np.isnan(stored).any():
        raise FormatError("an fp16 codebook has a NaN", offset=at)
    return stored.astype(np.float32)


def _read_linear(data: Bytes, at: int, k: int) -> tuple[np.ndarray, int]:
    start = at
    if at + 4 > len(data):
        raise FormatError("the data ends inside the codebook", offset=at)
    step = np.frombuffer(bytes(data[at : at + 4]), "<f4").astype(np.float32)[0]
    at += 4
    if not 0 < step < np.inf:
        raise FormatError(f"a linear codebook's step of {step}", offset=start)
    levels: list[int] = []
    while len(levels) < k:
        zigzag, at = read_varint(data, at)
        count, at = read_varint(data, at)
        first = zigzag >> 1 ^ -(zigzag & 1)
        last = first + (count - 1 if first >= 0 else 1 - count)
        if not 1 <= count <= k - len(levels) or max(abs(first), abs(last)) > MAX_LEVEL:
            raise FormatError("a run of levels that is empty, too long, or too far from zero", offset=at)
        levels.extend(range(first, last + 1) if first >= 0 else range(first, last - 1, -1))
    with np.errstate(over="ignore", under="ignore"):
        codebook = step * np.array(levels, np.float32)
    if not np.isfinite(codebook).all():
        raise FormatError("a linear codebook goes beyond float32", offset=start)
    return codebook, at
