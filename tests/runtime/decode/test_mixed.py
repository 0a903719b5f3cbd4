"""The context-mixed codec: reference and jitted coder write the same bytes, and read any bytes the same way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.codecs import decode as slow_decode
from tersor.format_spec.codecs import items
from tersor.format_spec.codecs.mixed import Mixed, signed_ranks
from tersor.format_spec.coding import COLUMNS_FLAG, HALF_FLAG, LINEAR_FLAG, CodecId
from tersor.format_spec.errors import FormatError, LimitError, TersorError
from tersor.format_spec.limits import DEFAULT_LIMITS, Limits
from tersor.format_spec.mixed_head import MixedHead, block_sizes
from tersor.format_spec.mixing import (
    COUNT_LIMIT,
    COUNT_RATES,
    KERNEL_ZEROS_FLAG,
    KNOTS,
    LEAST,
    LEAST_COST,
    MAX_STEPS,
    MIXING_RATES,
    MOST,
    REFERENCES_FLAG,
    SQUASH,
    STRETCH,
)
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import SharedTensor
from tersor.packer.encode.mixed import MixedPlan, Ranks, encode_blocks
from tersor.runtime.decode import decode
from tersor.runtime.decode.jitted.mixed_vectors import RATE_SCALE, RATE_START, RATE_STEP


def make(rows: int, columns: int, density: float, k: int, seed: int = 0, dtype: str = "f4") -> SharedTensor:
    """Random signed values, smooth enough for contexts to matter; zeros are in the codebook."""
    rng = np.random.default_rng(seed)
    base = np.repeat(rng.standard_normal((rows, -(-columns // 3))), 3, axis=1)[:, :columns]
    values = rng.standard_normal((rows, columns)) + base
    values[rng.random(values.shape) >= density] = 0
    steps = np.rint(values * k / 8)
    array = steps.astype(dtype) if dtype != "f4" else steps.astype(np.float32) * np.float32(0.37)
    codebook, codes = np.unique(array + np.zeros((), array.dtype), return_inverse=True)
    code_type = np.uint8 if len(codebook) <= 256 else np.uint16
    return SharedTensor(
        array.dtype, array.shape, (0,), "rows", None, None, codes.reshape(-1).astype(code_type), codebook.astype(array.dtype)
    )


def record(tensor: SharedTensor) -> TensorRecord:
    return TensorRecord("w", tensor.dtype, tensor.shape, tensor.row_axes, CodecId.MIXED)


def same(one: object, other: object) -> bool:
    assert isinstance(one, SharedTensor)
    assert isinstance(other, SharedTensor)
    fields = ("starts", "minors", "codes")
    pairs = [(getattr(one, f), getattr(other, f)) for f in fields]
    return one.codebook.tobytes() == other.codebook.tobytes() and all(
        (a is None) == (b is None) and (a is None or (a.dtype == b.dtype and np.array_equal(a, b))) for a, b in pairs
    )


def check(tensor: SharedTensor, head: MixedHead, trust: float = 0.0) -> bytes:
    """Encode both ways and decode both ways; the payload."""
    ranks, codebook, positives = signed_ranks(tensor)
    blocks = encode_blocks(Ranks(np.ascontiguousarray(ranks, np.int32), codebook, positives), MixedPlan(head, trust))
    decoded = None
    if not head.flags & REFERENCES_FLAG:
        payload = Mixed.encode(tensor, head=head)
        assert payload.endswith(b"".join(blocks))
        decoded = decode(record(tensor), payload, DEFAULT_LIMITS)
        assert same(decoded, slow_decode(record(tensor), payload, DEFAULT_LIMITS))
        assert decoded.dense().tobytes() == tensor.dense().tobytes()
        assert sum(items(record(tensor), payload).values()) == len(payload)
        return payload
    return b"".join(blocks)


def head_for(
    flags: int = 0, kernel: int = 1, width: int = 1, low_bits: int = 0, steps: int = 64, block: int = 100
) -> MixedHead:
    return MixedHead(flags, kernel, width, low_bits, steps, block)


HEADS = [
    head_for(),
    head_for(KERNEL_ZEROS_FLAG, 9, 3),
    head_for(COLUMNS_FLAG, 9, 3, steps=1),
    head_for(COLUMNS_FLAG | KERNEL_ZEROS_FLAG, 4, 2, steps=0),
    head_for(0, 20, 5, low_bits=2, steps=2),
    head_for(LINEAR_FLAG, 5, 5, low_bits=1),
]


@pytest.mark.parametrize("head", HEADS, ids=str)
@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
def test_both_coders_write_the_same_bytes(head: MixedHead, density: float) -> None:
    tensor = make(13, 180, max(density, 0.002), 30)
    majors = tensor.columns // head.kernel if head.flags & COLUMNS_FLAG else tensor.rows
    check(tensor, MixedHead(**{**vars(head), "block_majors": min(5, majors)}))


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 40),
    density=st.sampled_from([0.1, 0.5, 1.0]),
    kernel=st.integers(1, 12),
    width=st.integers(1, 4),
    low_bits=st.integers(0, 3),
    steps=st.integers(0, 5),
    kernel_zeros=st.booleans(),
    seed=st.integers(0, 5),
)
def test_any_geometry(
    rows: int, columns: int, density: float, kernel: int, width: int, low_bits: int, steps: int, kernel_zeros: bool, seed: int
) -> None:
    tensor = make(rows, columns, density, 40, seed)
    if tensor.nonzeros:
        kernel = min(kernel, columns)
        flags = KERNEL_ZEROS_FLAG if kernel_zeros else 0
        check(tensor, head_for(flags, kernel, min(width, kernel), low_bits, steps, block=rows))


@pytest.mark.parametrize("dtype", ["i1", "u1", "f2", "i8", "f8"])
def test_every_type_of_element(dtype: str) -> None:
    check(make(6, 40, 0.7, 30, dtype="i1" if dtype == "u1" else dtype), head_for(block=6))
    if dtype == "u1":
        codes = np.arange(240, dtype=np.uint8)
        whole = SharedTensor(np.dtype("u1"), (6, 40), (0,), "rows", None, None, codes, np.arange(240, dtype=np.uint8))
        check(whole, head_for(low_bits=2, block=6))


def test_bit_patterns_that_are_not_numbers() -> None:
    codebook = np.array([0x80000000, 0x7FC00001, 0xFFC00000, 0x00000001, 0x7F800000], np.uint32).view(np.float32)
    codes = np.arange(35, dtype=np.uint8) % 5
    check(SharedTensor(np.dtype("f4"), (5, 7), (0,), "rows", None, None, codes, codebook), head_for(block=5))


def resembling(rows: int, columns: int) -> SharedTensor:
    """Rows that repeat earlier ones, some with the other sign."""
    rng = np.random.default_rng(3)
    tensor = make(rows, columns, 0.6, 24)
    steps = np.rint(tensor.dense() / np.float32(0.37)).astype(int)
    for r in range(3, rows, 2):
        steps[r] = steps[rng.integers(0, r)] * rng.choice([-1, 1])
    codebook, codes = np.unique(steps.astype(np.float32) * np.float32(0.37) + np.float32(0), return_inverse=True)
    return SharedTensor(np.dtype("f4"), (rows, columns), (0,), "rows", None, None, codes.reshape(-1).astype(np.uint8), codebook)


@pytest.mark.parametrize("flags", [0, COLUMNS_FLAG])
def test_rows_that_name_others(flags: int) -> None:
    tensor = resembling(14, 64)
    named = [[(min(r, 1 + r % 3) if r % 2 else 0, -1 if r % 4 == 1 else 1), (min(r, 2) if r > 1 else 0, 1)] for r in range(64)]
    named = [[(d, s) if d else (0, 1) for d, s in row] for row in named]
    payload = Mixed.encode(tensor, head=head_for(flags | REFERENCES_FLAG, block=14), named=named)
    found = decode(record(tensor), payload, DEFAULT_LIMITS)
    assert found.dense().tobytes() == tensor.dense().tobytes()
    assert same(found, slow_decode(record(tensor), payload, DEFAULT_LIMITS))


def test_naming_rows_that_repeat_saves_bytes() -> None:
    tensor = resembling(40, 200)
    plain = check(tensor, head_for(block=40))
    assert len(check(tensor, head_for(REFERENCES_FLAG, block=40), trust=0.6)) < 0.85 * len(plain)


def test_blocks_decode_on_an_executor() -> None:
    tensor = make(40, 90, 0.4, 20)
    payload = Mixed.encode(tensor, head=head_for(KERNEL_ZEROS_FLAG, 9, 3, block=7))
    with ThreadPoolExecutor(2) as executor:
        found = decode(record(tensor), payload, DEFAULT_LIMITS, executor)
    assert same(found, decode(record(tensor), payload, DEFAULT_LIMITS))
    assert block_sizes(40, 7) == [7, 7, 7, 7, 7, 5]


def outcome(decoder, payload: bytes) -> object:
    tensor = make(6, 36, 0.3, 12)
    try:
        found = decoder(record(tensor), payload, DEFAULT_LIMITS)
    except TersorError as error:
        return type(error)
    return found.dense().tobytes(), found.codes.tobytes()


PAYLOADS = [
    Mixed.encode(make(6, 36, 0.3, 12), head=head_for(KERNEL_ZEROS_FLAG, 9, 3, block=6)),
    Mixed.encode(make(6, 36, 0.9, 12), head=head_for(REFERENCES_FLAG | COLUMNS_FLAG, 4, 2, low_bits=1, steps=1, block=3)),
]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(which=st.integers(0, 1), at=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_bytes_have_the_same_outcome(which: int, at: float, value: int, cut: bool) -> None:
    payload = bytearray(PAYLOADS[which])
    place = min(int(at * len(payload)), len(payload) - 1)
    if cut:
        del payload[place:]
    else:
        payload[place] = value
    assert outcome(decode, bytes(payload)) == outcome(slow_decode, bytes(payload))


def edit(payload: bytes, at: int, *values: int) -> bytes:
    return payload[:at] + bytes(values) + payload[at + len(values) :]


PLAIN = Mixed.encode(make(6, 36, 0.3, 12), head=head_for(0, 9, 3, block=6))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "ends inside"),
        (edit(PLAIN, 0, 0), "a codebook of 0 entries"),
        (edit(PLAIN, 1, 32), "flag bits"),
        (edit(PLAIN, 1, HALF_FLAG | LINEAR_FLAG), "flag bits"),
        (edit(PLAIN, 2, 0), "kernels of 0"),
        (edit(PLAIN, 2, 37), "kernels of 37"),
        (edit(PLAIN, 1, COLUMNS_FLAG, 7), "kernels of 7"),
        (edit(PLAIN, 3, 0), "a line of 0"),
        (edit(PLAIN, 3, 10), "a line of 10"),
        (edit(PLAIN, 4, 11), "11 low bits"),
        (edit(PLAIN, 5, 65), "65 mixed steps"),
        (edit(PLAIN, 6, 0), "a block of 0 majors"),
        (edit(PLAIN, 6, 7), "a block of 7 majors"),
        (edit(PLAIN, 7, 0, 0, 0, 0), "has a zero"),
        (PLAIN[:7] + PLAIN[11:15] + PLAIN[7:11] + PLAIN[15:], "do not ascend"),
        (PLAIN[:-1], "promises"),
        (PLAIN + b"\0", "promises"),
    ],
)
def test_malformed_heads(payload: bytes, message: str) -> None:
    assert PLAIN[1:7] == bytes([0, 9, 3, 0, 64, 6])
    tensor = make(6, 36, 0.3, 12)
    for decoder in (decode, slow_decode):
        with pytest.raises(FormatError, match=message):
            decoder(record(tensor), payload, DEFAULT_LIMITS)


def test_a_block_of_few_bytes_cannot_hold_many_decisions() -> None:
    huge = TensorRecord("w", np.dtype("f4"), (1 << 14, 1 << 14), (0,), CodecId.MIXED)
    payload = bytes([1, 0, 1, 1, 0, 0, 0x80, 0x80, 1, 0, 0, 128, 63, 1, 1])
    for decoder in (decode, slow_decode):
        with pytest.raises(FormatError, match="cannot hold"):
            decoder(huge, payload, DEFAULT_LIMITS)
        with pytest.raises(LimitError):
            decoder(huge, payload, Limits(tensor_bytes=1000))


def test_a_codebook_that_needs_too_many_steps() -> None:
    with pytest.raises(FormatError, match="too many steps"):
        decode(record(make(6, 36, 0.3, 12)), b"\x96\1" + PLAIN[1:7] + np.arange(1, 151, dtype="<f4").tobytes(), DEFAULT_LIMITS)


def test_tables_are_what_the_specification_says() -> None:
    exact = 65536 / (1 + np.exp(-np.arange(-16, 17) / 2))
    assert (np.abs(np.clip(exact, 32, 65504) - KNOTS) <= 0.5).all()
    assert (np.diff(SQUASH) >= 0).all()
    assert (np.diff(STRETCH) >= 0).all()
    assert -8 / LEAST_COST > log2(MOST / 65536) > -8 / (LEAST_COST - 1)
    assert LEAST == 65536 - MOST


def test_single_precision_gives_the_exact_rates() -> None:
    counts = np.arange(COUNT_LIMIT + 1, dtype=np.float32)
    quotients = np.float32(RATE_SCALE) / (counts * np.float32(RATE_STEP) + np.float32(RATE_START))
    assert quotients.dtype == np.float32
    assert quotients.astype(np.int32).tolist() == COUNT_RATES.tolist()


def test_misses_fit_sixteen_bits() -> None:
    assert 65535 * int(MIXING_RATES.max()) >> 8 < 1 << 15


@pytest.mark.parametrize("kernel", [1, 9, 64])
def test_the_largest_levels_are_in_every_table(kernel: int) -> None:
    ranks = np.full((8, 192), MAX_STEPS)
    ranks[0, :MAX_STEPS] = np.arange(1, MAX_STEPS + 1)
    tensor = SharedTensor(
        np.dtype("f4"), ranks.shape, (0,), "rows", None, None, ranks.reshape(-1).astype(np.uint8),
        np.arange(MAX_STEPS + 1, dtype=np.float32),
    )  # fmt: skip
    for flags in (0, KERNEL_ZEROS_FLAG):
        check(tensor, head_for(flags, kernel, max(kernel // 8, 1), block=8))
