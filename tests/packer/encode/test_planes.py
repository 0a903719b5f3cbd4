"""Byte planes: what the encoder makes is what the reference makes, and about as small as its statistics allow."""

from __future__ import annotations

import lzma
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec import codecs
from tersor.format_spec.coding import MAX_PLANES_BLOCK, CodecId
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.planes_head import read_planes_head, rotated
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor, SharedTensor
from tersor.packer.encode import encode
from tersor.packer.encode.planes import encode_planes, plan_planes
from tersor.runtime.decode import decode


def pruned(size: int, density: float, dtype: str = "f4", seed: int = 0, *, masked: bool = False) -> np.ndarray:
    """Values that differ from one another, most of them zero where ``density`` is low, if ``masked`` some below."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.05, size) * (rng.random(size) < density)
    return (values if masked else values + 0.0).astype(dtype)


def entropy(counts: np.ndarray) -> float:
    """Bits of all symbols with these counts."""
    used = counts[counts > 0]
    return float(-(used * np.log2(used / used.sum())).sum())


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    size=st.sampled_from([1, 2, 17, 1023, 1025, 3000]),
    density=st.sampled_from([0.0, 0.01, 0.3, 0.9, 1.0]),
    dtype=st.sampled_from(["f2", "f4", "f8"]),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_payloads_are_those_of_the_reference(size: int, density: float, dtype: str, masked: bool, seed: int) -> None:
    array = pruned(size, density, dtype, seed, masked=masked)
    encoded = encode_planes(plan_planes(array))
    kind = TensorRecord("w", array.dtype, array.shape, (), CodecId.PLANES)
    head = read_planes_head(kind, encoded.payload)
    reference, parameters = codecs.find_codec(CodecId.PLANES).encode, {"gap_symbols": head.gap_symbols, "signed": head.signed}
    assert reference(DenseTensor.of(array), block=head.block, **parameters) == encoded.payload
    assert decode(kind, encoded.payload, DEFAULT_LIMITS).dense().tobytes() == array.tobytes()
    assert dict(encoded.items) == codecs.items(kind, encoded.payload)


FEW = (0, 1, 1 << 15, 1 << 31, 1 << 63, (1 << 64) - 1, 0x7F800001)
"""Bits of zeros, of the smallest and the largest number, of NaNs, in elements of some size."""


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    bits=st.lists(st.sampled_from(FEW) | st.integers(0, (1 << 64) - 1), min_size=1, max_size=60),
    repeats=st.sampled_from([1, 30]),
    width=st.sampled_from([2, 4, 8]),
    order=st.sampled_from("<>"),
    strides=st.sampled_from([1, 2, -1]),
)
def test_any_bits_come_back(bits: list[int], repeats: int, width: int, order: str, strides: int) -> None:
    patterns = np.tile(np.array(bits, np.uint64), repeats).astype(f"<u{width}")
    array = patterns.astype(f"{order}u{width}").view(f"{order}f{width}").repeat(2).reshape(2, -1, order="F")[:, ::strides]
    wanted = np.stack([patterns[::strides]] * 2).view(f"<f{width}")
    found = encode(DenseTensor.of(array))
    kind = TensorRecord("w", wanted.dtype, wanted.shape, (), found.codec)
    assert len(found.payload) <= wanted.nbytes
    assert decode(kind, found.payload, DEFAULT_LIMITS).dense().tobytes() == wanted.tobytes()
    planes = encode_planes(plan_planes(wanted))
    kind = replace(kind, codec=planes.codec)
    for decoder in (decode, codecs.decode):
        assert decoder(kind, planes.payload, DEFAULT_LIMITS).dense().tobytes() == wanted.tobytes()


def test_several_blocks_of_few_nonzeros() -> None:
    array = np.zeros(3 * MAX_PLANES_BLOCK + 5, np.float32)
    array[7] = -0.0
    array[[0, MAX_PLANES_BLOCK - 1, MAX_PLANES_BLOCK, 3 * MAX_PLANES_BLOCK + 4]] = 1, 2, 3, 4
    plan = plan_planes(array)
    assert (plan.way.block, plan.cuts.tolist()) == (MAX_PLANES_BLOCK, [0, 3, 4, 4, 5])
    payload = encode_planes(plan).payload
    kind = TensorRecord("w", array.dtype, array.shape, (), CodecId.PLANES)
    assert decode(kind, payload, DEFAULT_LIMITS).dense().tobytes() == array.tobytes()


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("size", [30_000, 200_000])
@pytest.mark.parametrize("masked", [False, True])
def test_weights_that_differ_take_little_more_than_their_entropy(size: int, density: float, masked: bool) -> None:
    array = pruned(size, density, masked=masked)
    found = encode(DenseTensor.of(array))
    kept = rotated(array[array != 0])
    least = entropy(np.bincount(kept >> 24)) + 24 * len(kept) + entropy(np.array([len(kept), size - len(kept)]))
    least += (size - len(kept)) * masked
    assert found.codec == CodecId.PLANES
    assert len(found.payload) * 8 < 1.02 * least + 8000
    assert len(found.payload) < len(lzma.compress(array.tobytes(), preset=9 | lzma.PRESET_EXTREME))


@pytest.mark.parametrize("profile", ["compact", "max"])
def test_codebooks_as_long_as_the_weights_are_not_kept(profile: str) -> None:
    array = pruned(100_000, 0.3).reshape(100, 1000)
    values, codes = np.unique(array[array != 0], return_inverse=True)
    mask = array != 0
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
    minors = np.nonzero(mask)[1].astype(np.uint32)
    tensor = SharedTensor(array.dtype, array.shape, (0,), "rows", starts, minors, codes.astype(np.uint16), values)
    assert encode(tensor, profile).codec == CodecId.PLANES
    few = replace(tensor, codes=(codes % 700).astype(np.uint16), codebook=values[:700])
    assert encode(few, profile).codec != CodecId.PLANES
