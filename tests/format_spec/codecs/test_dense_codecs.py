from __future__ import annotations

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tersor.format_spec.codecs import decode, find_codec, items
from tersor.format_spec.coding import CodecId
from tersor.format_spec.errors import FormatError, LimitError
from tersor.format_spec.limits import DEFAULT_LIMITS, Limits
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.decode import decode as fast_decode

DTYPES = ["f4", "f2", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?", "c8", "c16"]
BOTH = pytest.mark.parametrize("decoder", [decode, fast_decode], ids=["reference", "jitted"])
ZSTD = (CodecId.SHUFFLED_ZSTD, CodecId.PLAIN_ZSTD)
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


def record(array: np.ndarray, codec: int) -> TensorRecord:
    return TensorRecord("w", array.dtype, array.shape, (), codec)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(ARRAYS, st.sampled_from([CodecId.RAW, *ZSTD]))
def test_round_trip_keeps_every_bit(array: np.ndarray, codec: CodecId) -> None:
    if not array.size and codec != CodecId.RAW:
        return
    parameters = {"level": 1} if codec in ZSTD else {}
    payload = find_codec(codec).encode(DenseTensor.of(array), **parameters)
    assert items(record(array, codec), payload) == {"values": len(payload)}
    for decoder in (decode, fast_decode):
        found = decoder(record(array, codec), payload, DEFAULT_LIMITS)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        dense = found.dense()
        assert (dense.dtype, dense.shape) == (array.dtype, array.shape)
        assert dense.tobytes() == array.tobytes()


@BOTH
@pytest.mark.parametrize("bits", [0x7FC01234, 0x7F800001, 0x80000000, 0xFF800000, 1])
def test_fill_keeps_every_bit(decoder, bits: int) -> None:
    array = np.full((2, 3), bits, np.uint32).view(np.float32)
    payload = find_codec(CodecId.FILL).encode(DenseTensor.of(array))
    assert len(payload) == 4
    assert decoder(record(array, CodecId.FILL), payload, DEFAULT_LIMITS).dense().tobytes() == array.tobytes()


@pytest.mark.parametrize("values", [[], [0.0, -0.0], [1.0, 2.0]])
def test_fill_refuses_more_than_one_value(values: list[float]) -> None:
    with pytest.raises(ValueError, match="not all the same"):
        find_codec(CodecId.FILL).encode(DenseTensor.of(np.array(values)))


def framed(content: bytes, *, sized: bool = True) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_content_size=sized).compress(content)


@BOTH
@pytest.mark.parametrize(
    ("codec", "dtype", "shape", "payload"),
    [
        (CodecId.RAW, "f4", (2,), b"\0" * 7),
        (CodecId.RAW, "f4", (2,), b"\0" * 9),
        (CodecId.RAW, "?", (2,), b"\1\2"),
        (CodecId.RAW, "f4", (0,), b"\0"),
        (CodecId.FILL, "f4", (2,), b""),
        (CodecId.FILL, "f4", (2,), b"\0" * 8),
        (CodecId.FILL, "?", (2,), b"\2"),
        (CodecId.FILL, "f4", (0, 3), b"\0" * 4),
        (CodecId.SHUFFLED_ZSTD, "f4", (2,), b""),
        (CodecId.SHUFFLED_ZSTD, "f4", (2,), framed(b"\0" * 7)),
        (CodecId.SHUFFLED_ZSTD, "f4", (2,), framed(b"\0" * 8)[:-1]),
        (CodecId.SHUFFLED_ZSTD, "f4", (2,), framed(b"\0" * 8) + b"\0"),
        (CodecId.SHUFFLED_ZSTD, "f4", (2,), framed(b"\0" * 8) * 2),
        (CodecId.SHUFFLED_ZSTD, "f4", (2,), framed(b"\0" * 8, sized=False)),
        (CodecId.SHUFFLED_ZSTD, "f4", (0,), framed(b"")),
        (CodecId.SHUFFLED_ZSTD, "?", (2,), framed(b"\1\3")),
        (CodecId.PLAIN_ZSTD, "f4", (2,), b""),
        (CodecId.PLAIN_ZSTD, "f4", (2,), framed(b"\0" * 7)),
        (CodecId.PLAIN_ZSTD, "f4", (2,), framed(b"\0" * 8) + b"\0"),
        (CodecId.PLAIN_ZSTD, "f4", (2,), framed(b"\0" * 8, sized=False)),
        (CodecId.PLAIN_ZSTD, "?", (2,), framed(b"\1\3")),
        (CodecId.SHARED, "f4", (0, 3), b"\0" * 20),
        (7, "f4", (2,), b"\0" * 8),
    ],
)
def test_defects_are_format_errors(decoder, codec: int, dtype: str, shape: tuple[int, ...], payload: bytes) -> None:
    with pytest.raises(FormatError):
        decoder(TensorRecord("w", np.dtype(dtype), shape, (), codec), payload, DEFAULT_LIMITS)


@BOTH
@pytest.mark.parametrize("codec", list(CodecId))
def test_limits_are_checked_before_the_payload(decoder, codec: CodecId) -> None:
    huge = TensorRecord("w", np.dtype("f4"), (1 << 20, 1 << 20), (0,), codec)
    with pytest.raises(LimitError, match="tensor_bytes"):
        decoder(huge, b"\1\0\1", Limits(tensor_bytes=1 << 20))


def test_raw_is_a_view_when_aligned_and_a_copy_when_not() -> None:
    memory = np.zeros(44, np.uint8)
    kind = TensorRecord("w", np.dtype("f4"), (10,), (), CodecId.RAW)
    aligned = fast_decode(kind, memory[:40], DEFAULT_LIMITS).dense()
    unaligned = fast_decode(kind, memory[1:41], DEFAULT_LIMITS).dense()
    assert np.shares_memory(aligned, memory)
    assert not np.shares_memory(unaligned, memory)
    assert not aligned.flags.writeable
    assert unaligned.flags.aligned
