"""The max profile: what its encoder chooses, and that nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.codecs import items
from tersor.format_spec.coding import COLUMNS_FLAG, CodecId
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.mixed_head import read_payload
from tersor.format_spec.mixing import REFERENCES_FLAG
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import SharedTensor
from tersor.packer.encode import Encoded, encode
from tersor.packer.encode import mixed as module
from tersor.packer.encode.mixed import encode_mixed
from tersor.runtime.decode import decode


def shared(levels: np.ndarray, row_axes: tuple[int, ...] = (0,)) -> SharedTensor:
    """A float32 tensor of ``levels`` times a step, zeros in the codebook."""
    values, codes = np.unique(levels, return_inverse=True)
    codebook = values.astype(np.float32) * np.float32(0.011) + np.float32(0)
    flat = codes.reshape(levels.shape)
    axes = (*row_axes, *(a for a in range(levels.ndim) if a not in row_axes))
    kind = np.uint8 if len(values) <= 256 else np.uint16
    return SharedTensor(
        codebook.dtype, levels.shape, row_axes, "rows", None, None, flat.transpose(axes).reshape(-1).astype(kind), codebook
    )


def record(tensor: SharedTensor, codec: int) -> TensorRecord:
    return TensorRecord("w", tensor.dtype, tensor.shape, tensor.row_axes, codec)


def check(tensor: SharedTensor, encoded: Encoded) -> None:
    found = decode(record(tensor, encoded.codec), encoded.payload, DEFAULT_LIMITS)
    assert found.dense().tobytes() == tensor.dense().tobytes()
    assert encoded.items == items(record(tensor, encoded.codec), encoded.payload)
    assert sum(encoded.items.values()) == len(encoded.payload)


def mixed(tensor: SharedTensor) -> Encoded:
    encoded = encode_mixed(tensor)
    assert encoded is not None
    return encoded


def smooth_kernels(rows: int, channels: int, seed: int = 0) -> np.ndarray:
    """(rows, channels, 3, 3): kernels whose weights agree in sign and size."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.standard_normal((rows, channels, 1, 1)))
    return np.rint(
        scale * (rng.standard_normal((rows, channels, 1, 1)) + 0.4 * rng.standard_normal((rows, channels, 3, 3)))
    ).astype(int)


def test_clustered_kernels_are_smaller_than_compact() -> None:
    tensor = shared(smooth_kernels(64, 32))
    best, compact = encode(tensor, "max"), encode(tensor, "compact")
    assert best.codec == CodecId.MIXED
    assert len(best.payload) < 0.9 * len(compact.payload)
    check(tensor, best)


def test_compact_is_kept_where_it_is_smaller() -> None:
    tensor = shared(np.eye(6, dtype=int))
    assert len(encode(tensor, "max").payload) <= len(encode(tensor, "compact").payload)


@pytest.mark.parametrize("row_axes", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("density", [0.05, 0.6])
def test_matrices_of_any_orientation(row_axes: tuple[int, ...], density: float) -> None:
    rng = np.random.default_rng(1)
    levels = np.rint(rng.standard_normal((24, 30, 7)) * 5).astype(int) * (rng.random((24, 30, 7)) < density)
    tensor = shared(levels, row_axes)
    check(tensor, mixed(tensor))


@pytest.mark.parametrize("count", [1, 2, 300, 9000])
def test_codebooks_of_any_size(count: int) -> None:
    rng = np.random.default_rng(2)
    levels = np.concatenate([np.arange(1, count + 1), rng.integers(-count, count + 1, 20_000 - count)]).reshape(100, 200)
    tensor = shared(levels)
    encoded = mixed(tensor)
    assert read_payload(record(tensor, 7), encoded.payload).head.low_bits == {1: 0, 2: 0, 300: 5, 9000: 9}[count]
    check(tensor, encoded)


def test_unsorted_codebooks_with_repetitions_and_unused_entries() -> None:
    codebook = np.array([3, -1, 0, 3, 99, -7, 1], np.float32)
    codes = np.array([0, 1, 2, 3, 5, 6] * 50, np.uint8)
    tensor = SharedTensor(codebook.dtype, (10, 30), (0,), "columns", None, None, codes, codebook)
    encoded = mixed(tensor)
    assert read_payload(record(tensor, 7), encoded.payload).codebook.tolist() == [1, 3, -1, -7]
    check(tensor, encoded)


def test_rows_that_resemble_one_another_are_named() -> None:
    rng = np.random.default_rng(3)
    base = rng.standard_normal((4, 400)) * 6
    mix = rng.integers(0, 4, 60)
    levels = np.rint(base[mix] * rng.choice([-1, 1], (60, 1)) + rng.standard_normal((60, 400))).astype(int)
    for tensor, is_turned in ((shared(levels), False), (shared(levels.T.copy()), True)):
        encoded = mixed(tensor)
        flags = read_payload(record(tensor, 7), encoded.payload).head.flags
        assert flags & REFERENCES_FLAG
        assert bool(flags & COLUMNS_FLAG) == is_turned
        check(tensor, encoded)


def test_large_tensors_have_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_POSITIONS", 3000)
    tensor = shared(smooth_kernels(40, 24))
    encoded = mixed(tensor)
    assert len(read_payload(record(tensor, 7), encoded.payload).bounds) > 2
    check(tensor, encoded)


def test_the_same_tensor_in_another_form_has_the_same_bytes() -> None:
    tensor = shared(smooth_kernels(12, 8))
    again = decode(record(tensor, 7), mixed(tensor).payload, DEFAULT_LIMITS)
    assert isinstance(again, SharedTensor)
    assert mixed(again).payload == mixed(tensor).payload
