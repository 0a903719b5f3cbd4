"""Goldens of the planes codec: valid ones, and payloads with one defect each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tersor.format_spec import codecs
from tersor.format_spec.coding import CodecId
from tersor.format_spec.records import TensorRecord

from .arrays import elements_of, noise, special, weights
from .case import Case
from .payloads import WrongPayload, varints


def values(shape: tuple[int, ...], per_mille: int = 1000, dtype: str = "float32") -> np.ndarray:
    """Elements that differ from one another; of those that are not among ``per_mille`` of 1000 every other one is -0.0."""
    array = weights(shape, 1 << 20, dtype="float64", step=1e-7, seed=5)
    signs = np.where(noise(array.size, 6) % np.uint64(2), -1.0, 1.0).reshape(shape)
    kept = noise(array.size, 7).reshape(shape) % np.uint64(1000) < per_mille
    return (array * signs * kept).astype(dtype)


def planes_cases() -> Iterator[Case]:
    """Codec 11."""

    def case(name: str, array: np.ndarray, block: int = 1 << 20, **more: Any) -> Case:
        return Case(f"planes-{name}", CodecId.PLANES, array, parameters={"block": min(block, array.size), **more})

    for dtype in ("float16", "float32", "float64"):
        yield case(dtype, elements_of(dtype))
        yield case(f"{dtype}-gaps", elements_of(dtype), gap_symbols=8)
        yield case(f"{dtype}-signs", values((11, 30), 300, dtype), gap_symbols=8, signed=True)
    yield case("scalar", np.array(1.5, np.float32))
    yield case("one-value", np.full((5, 7), 0.1, np.float32))
    yield case("special-values", np.tile(special(), (3, 2)))
    yield case("special-values-gaps", np.tile(special(), (3, 2)), gap_symbols=4)
    yield case("special-values-signs", np.tile(special(), (3, 2)), gap_symbols=4, signed=True)
    yield case("all-zero", np.zeros((4, 6), np.float32), gap_symbols=2)
    yield case("all-zero-below", np.full((4, 6), -0.0, np.float32), gap_symbols=2, signed=True)
    yield case("odd-blocks", values((13, 17)), 50)
    yield case("odd-blocks-gaps", np.abs(values((13, 17), 300)), 50, gap_symbols=16)
    yield case("odd-blocks-signs", values((13, 17), 300), 50, gap_symbols=16, signed=True)
    far = np.zeros((3, 5000), np.float32)
    far[0, 0] = far[1, 2500] = far[2, 4999] = 0.5
    for symbols in (2, 3, 256):
        yield case(f"far-apart-{symbols}-symbols", far, 7000, gap_symbols=symbols)
    for count in (1023, 1024, 1025, 1027):
        yield case(f"{count}-elements", values((count,)))
    yield case("own-section", values((40, 300), 250), 5000, gap_symbols=32, signed=True)


GOOD = np.array([1.5, 0, -0.0, -2.5, 0, 0, 3, 0.25, 0], np.float32)


def planes_defects() -> Iterator[tuple[str, WrongPayload]]:
    """Flags, positions per block, gap symbols, six tables, entries, data."""
    record = TensorRecord("w", GOOD.dtype, GOOD.shape, (), CodecId.PLANES)
    tensor = Case("good", CodecId.PLANES, GOOD).tensor()
    encode = codecs.find_codec(CodecId.PLANES).encode
    good, whole = encode(tensor, block=9, gap_symbols=4, signed=True), encode(tensor, block=9)
    items = codecs.items(record, good)
    entries = items["head"] + items["tables"]

    def of(name: str, payload: bytes, message: str, kind: TensorRecord = record) -> tuple[str, WrongPayload]:
        return f"planes-{name}", WrongPayload(kind, payload, message)

    def patched(at: int, *values: int) -> bytes:
        return good[:at] + bytes(values) + good[at + len(values) :]

    yield of("flag-reserved", patched(0, 4), "flag bits that are reserved")
    yield of("signs-without-gaps", patched(0, 2), "signs without gaps")
    yield of("block-of-nothing", patched(1, 0), "a block of 0 positions")
    yield of("block-of-more-than-there-is", patched(1, 10), "a block of 10 positions")
    large = replace(record, shape=(1 << 21,))
    yield of("block-too-large", bytes([0]) + varints((1 << 20) + 1), "a block of 1048577 positions", large)
    yield of("one-gap-symbol", patched(2, 1), "1 gap symbols")
    yield of("257-gap-symbols", good[:2] + varints(257) + good[3:], "257 gap symbols")
    yield of("of-integers", good, "elements of type int32 have no planes", replace(record, dtype=np.dtype("i4")))
    yield of("of-complex-numbers", good, "elements of type complex64 have no planes", replace(record, dtype=np.dtype("c8")))
    yield of("no-elements", good, "must be raw", replace(record, shape=(0,)))
    yield of("head-cut", good[:2], "ends inside an integer")
    yield of("tables-cut", good[:4], "ends inside a Huffman table")
    yield of("more-nonzeros-than-positions", patched(entries, 10, 10), "nonzeros")
    yield of("entries-cut", good[: entries + 1], "ends inside")
    yield of("data-missing", good[:-1], "the entry table promises")
    yield of("data-too-much", good + b"\0", "the entry table promises")
    yield of("data-of-another-length", whole + b"\0", "the entry table promises")
    eight = Case("eight", CodecId.PLANES, np.array([0.0] * 7 + [-0.0], np.float32)).tensor()
    of_seven = bytes([3, 7]) + encode(eight, block=8, gap_symbols=4, signed=True)[2:]
    yield of("signs-of-no-zeros", of_seven, "after the signs of", replace(record, shape=(7,)))
