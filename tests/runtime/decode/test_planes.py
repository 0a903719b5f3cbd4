"""The jitted decoder of byte planes equals the reference, bit for bit, on valid payloads and on damaged ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec import codecs
from tersor.format_spec.coding import SPLIT_FROM, CodecId
from tersor.format_spec.errors import FormatError, LimitError
from tersor.format_spec.limits import Limits
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.decode import decode
from tersor.runtime.decode.planes import PrunedTensor

LIMITS = Limits(tensor_bytes=1 << 22)


def values(size: int, density: float, dtype: str, seed: int = 0) -> np.ndarray:
    """Some of them 0.0 or -0.0 where ``density`` is low."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=size) * (rng.random(size) < density)).astype(dtype)


def coded(array: np.ndarray, block: int, gap_symbols: int, *, signed: bool = False) -> tuple[TensorRecord, bytes]:
    """The record and the payload of the reference."""
    record = TensorRecord("w", array.dtype, array.shape, (), CodecId.PLANES)
    encode = codecs.find_codec(CodecId.PLANES).encode
    return record, encode(DenseTensor.of(array), block=min(block, array.size), gap_symbols=gap_symbols, signed=signed)


def outcome(decoder: Any, record: TensorRecord, payload: bytes) -> bytes | type:
    try:
        return decoder(record, payload, LIMITS).dense().tobytes()
    except (FormatError, LimitError) as error:
        return type(error)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    size=st.sampled_from([1, 5, SPLIT_FROM - 1, SPLIT_FROM, SPLIT_FROM + 3, 2500]),
    density=st.sampled_from([0.0, 0.03, 0.5, 1.0]),
    dtype=st.sampled_from(["f2", "f4", "f8"]),
    block=st.sampled_from([1, 7, 300, 1 << 20]),
    gap_symbols=st.sampled_from([0, 2, 3, 16, 256]),
    signed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_round_trip(size: int, density: float, dtype: str, block: int, gap_symbols: int, signed: bool, seed: int) -> None:
    array = values(size, density, dtype, seed)
    record, payload = coded(array, max(block, size // 40), gap_symbols, signed=signed and gap_symbols > 0)
    assert outcome(codecs.decode, record, payload) == array.tobytes()
    assert outcome(decode, record, payload) == array.tobytes()
    assert sum(codecs.items(record, payload).values()) == len(payload)


@pytest.mark.parametrize("density", [0.2, 0.8])
@pytest.mark.parametrize(("gap_symbols", "signed"), [(0, False), (8, False), (8, True)])
def test_an_executor_decodes_every_block(
    gap_symbols: int, signed: bool, density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tersor.runtime.decode.planes.RANGE", 100)
    array = values(3000, density, "f4").reshape(30, 100)
    record, payload = coded(array, 37, gap_symbols, signed=signed)
    with ThreadPoolExecutor(2) as executor:
        assert decode(record, payload, LIMITS, executor).dense().tobytes() == array.tobytes()
        with pytest.raises(FormatError):
            decode(record, payload[:-1], LIMITS, executor)


PAYLOADS = [
    coded(values(size, density, dtype), block, gap_symbols, signed=signed)
    for dtype in ("f2", "f4")
    for size, block in ((60, 25), (2300, 1500))
    for density, gap_symbols, signed in ((1.0, 0, False), (0.2, 0, False), (0.2, 5, False), (0.3, 5, True), (0.0, 3, True))
]


@pytest.mark.parametrize("case", range(len(PAYLOADS)))
def test_every_truncation_is_an_error(case: int) -> None:
    record, payload = PAYLOADS[case]
    for changed in (*(payload[:length] for length in range(0, len(payload), 1 + len(payload) // 200)), payload + b"\0"):
        assert outcome(codecs.decode, record, changed) is FormatError
        assert outcome(decode, record, changed) is FormatError


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.sampled_from(PAYLOADS), st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(1, 255)), min_size=1, max_size=3))
def test_damage_has_the_same_outcome(case: tuple[TensorRecord, bytes], damage: list[tuple[int, int]]) -> None:
    record, payload = case
    mutated = bytearray(payload)
    for index, (place, change) in enumerate(damage):
        span = len(mutated) if index else min(len(mutated), 300)  # heads and tables are where the branches are
        mutated[place % span] ^= change
    assert outcome(decode, record, bytes(mutated)) == outcome(codecs.decode, record, bytes(mutated))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.binary(max_size=60))
def test_any_bytes_have_the_same_outcome(payload: bytes) -> None:
    record = TensorRecord("w", np.dtype("f2"), (3, 4), (), CodecId.PLANES)
    assert outcome(decode, record, payload) == outcome(codecs.decode, record, payload)


def test_elements_beyond_the_places_that_a_list_can_tell_apart_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    array = values(300, 0.2, "f4")
    record, payload = coded(array, 100, 8, signed=True)
    assert isinstance(decode(record, payload, LIMITS), PrunedTensor)
    monkeypatch.setattr("tersor.runtime.decode.planes.MOST_PLACES", 299)
    found = decode(record, payload, LIMITS)
    assert not isinstance(found, PrunedTensor)
    assert found.dense().tobytes() == array.tobytes()


def test_limits_count_the_elements() -> None:
    record, payload = coded(np.zeros(2000, np.float32), 1000, 0)
    with pytest.raises(LimitError):
        decode(record, payload, Limits(tensor_bytes=7999))
    assert not decode(record, payload, Limits(tensor_bytes=8000)).dense().any()


@pytest.mark.parametrize(("dtype", "most"), [("f2", 33), ("f4", 49), ("f8", 66)])
def test_elements_stay_listed_only_where_that_takes_fewer_bytes_than_all(dtype: str, most: int) -> None:
    for count in (most, most + 1):
        array = np.zeros(100, dtype)
        array[:count] = 1 + np.arange(count)
        tensor = decode(*coded(array, 30, 4), LIMITS)
        assert isinstance(tensor, PrunedTensor) == (count == most)
        assert tensor.dense().tobytes() == array.tobytes()


def test_what_is_listed_does_not_keep_the_payload() -> None:
    record, payload = coded(values(3000, 0.2, "f4"), 1000, 8, signed=True)
    room = bytearray(payload)
    tensor = decode(record, memoryview(room), LIMITS)
    room.clear()  # a BufferError while anyone looks at it
    assert tensor.dense().size == 3000
