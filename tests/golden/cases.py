"""Every valid golden of one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from tersor.format_spec.coding import HALF_FLAG, LINEAR_FLAG, CodecId
from tersor.format_spec.records import DTYPE_IDS
from tersor.format_spec.tensors import Order

from .arrays import elements_of, every_level, noise, special, weights
from .case import FILL, PAPER, PLAIN_ZSTD, RAW, SHARED, SPARSE, ZSTD, Case
from .later_cases import grouped_cases, mixed_cases
from .planes import planes_cases


def dense_cases() -> Iterator[Case]:
    """Codecs 1 to 3, and 9."""
    for dtype in DTYPE_IDS:
        yield Case(f"raw-{dtype}", RAW, elements_of(dtype))
        yield Case(f"zstd-{dtype}", ZSTD, elements_of(dtype), parameters={"level": 3})
        yield Case(f"plain-zstd-{dtype}", PLAIN_ZSTD, elements_of(dtype), parameters={"level": 3})
        yield Case(f"fill-{dtype}", FILL, np.full((2, 3), elements_of(dtype).reshape(-1)[1]))
    yield Case("raw-no-elements", RAW, np.zeros(0, np.float32))
    yield Case("raw-no-elements-three-axes", RAW, np.zeros((3, 0, 2), np.int64))
    yield Case("raw-scalar", RAW, np.array(1.5, np.float32))
    yield Case("raw-one-element", RAW, np.array([1.5], np.float32))
    yield Case("raw-special-values", RAW, special())
    yield Case("raw-own-section", RAW, weights((31, 67), 200))
    yield Case("zstd-scalar", ZSTD, np.array(1.5, np.float64), parameters={"level": 3})
    yield Case("zstd-special-values", ZSTD, special(), parameters={"level": 3})
    yield Case("zstd-odd-size", ZSTD, weights((7, 13), 91), parameters={"level": 19})
    noisy = (noise(1500) >> np.uint64(7)).astype(np.uint32).view(np.float32)
    yield Case("zstd-own-section", ZSTD, noisy, parameters={"level": 3})
    yield Case("plain-zstd-scalar", PLAIN_ZSTD, np.array(1.5, np.float64), parameters={"level": 3})
    yield Case("plain-zstd-special-values", PLAIN_ZSTD, special(), parameters={"level": 3})
    yield Case("plain-zstd-periodic", PLAIN_ZSTD, np.tile(noisy[:64], (9, 1)), parameters={"level": 19})
    yield Case("plain-zstd-own-section", PLAIN_ZSTD, noisy, parameters={"level": 3})
    yield Case("fill-zero", FILL, np.zeros((4, 5), np.float32))
    yield Case("fill-minus-zero", FILL, np.full((4, 5), -0.0, np.float32))
    yield Case("fill-not-a-number", FILL, np.full(3, special()[4]))
    yield Case("fill-scalar", FILL, np.array(7, np.int64))
    yield Case("fill-one-element", FILL, np.array([7], np.int64))
    yield Case("fill-large", FILL, np.full((64, 64, 3), 0.25, np.float32))


def width(codec: CodecId, symbols: int = 16, bits: int = 4) -> dict[str, Any]:
    """The gap parameter of a codec."""
    return {SPARSE: {"gap_symbols": symbols}, PAPER: {"index_bits": bits}}.get(codec, {})


def coded_cases(codec: CodecId) -> Iterator[Case]:
    """Edges that the shared, sparse and paper codecs have in common."""
    name = codec.name.lower()

    def case(
        what: str,
        array: np.ndarray,
        row_axes: tuple[int, ...] = (0,),
        order: Order = "rows",
        block: int = 1 << 20,
        extra: np.ndarray | None = None,
        **more: Any,
    ) -> Case:
        rows = prod(array.shape[a] for a in row_axes)
        majors = rows if order == "rows" else array.size // rows
        parameters = {"block_majors": min(block, majors), **width(codec), **more}
        return Case(f"{name}-{what}", codec, array, row_axes, order, parameters, extra)

    yield case("scalar", np.array(0.1, np.float32), ())
    yield case("one-element", np.array([0.1], np.float32))
    yield case("one-value", np.full((5, 7), 0.1, np.float32))
    yield case("one-value-in-four-substreams", np.full((40, 33), 0.1, np.float32))
    yield case("two-values", every_level((5, 7), 2))
    yield case("no-zero", weights((9, 11), 30))
    yield case("odd-size", weights((13, 17), 30, 300), block=5)
    yield case("columns-major", weights((13, 17), 30, 300), order="columns", block=4)
    yield case("convolution", weights((6, 5, 3, 3), 20, 400), block=4)
    yield case("two-row-axes", weights((2, 12, 7), 20, 400), (0, 1), block=10)
    yield case("last-axis-is-rows", weights((12, 7), 20, 400), (1,))
    yield case("all-axes-are-rows", weights((3, 5), 4, 600), (0, 1), block=4)
    yield case("a-block-for-each-row", weights((30, 8), 20, 500), block=1)
    yield case("256-values", every_level((8, 64), 256))
    yield case("257-values", every_level((8, 67), 257))
    yield case("700-values-in-four-substreams", every_level((45, 70), 700))
    yield case("half-codebook", weights((20, 20), 16, 500, step=0.25), form=HALF_FLAG)
    yield case("linear-codebook", weights((20, 20), 16, 500, step=-0.25), form=LINEAR_FLAG)
    yield case("minus-zero-and-not-a-number", np.tile(special(), (3, 2)))
    for symbols in (1023, 1024, 1025, 1027):
        yield case(f"{symbols}-symbols", weights((1, symbols), 30))
    for dtype in ("int8", "uint16", "float16", "float64", "int64", "bool"):
        yield case(dtype, elements_of(dtype))
    yield case("skewed-to-the-longest-code", np.minimum(np.sqrt(noise(3000) >> np.uint64(8)) / 1500, 1.0).round(2)[None] + 1)
    yield case("values-not-in-use", every_level((6, 6), 3), extra=np.array([9.5, 10.5], np.float32))


def sparse_cases(codec: CodecId) -> Iterator[Case]:
    """Edges of the codecs that leave zeros out."""
    name = codec.name.lower()
    yield Case(f"{name}-all-zero", codec, np.zeros((4, 6), np.float32), (0,), "rows", {"block_majors": 2, **width(codec)})
    far = np.zeros((3, 5000), np.float32)
    far[0, 0] = far[1, 2500] = far[2, 4999] = 0.5
    far[0, 1] = 0.75
    for symbols, bits in ((2, 1), (3, 2), (256, 8)):
        parameters = {"block_majors": 3, **width(codec, symbols, bits)}
        yield Case(f"{name}-far-apart-{bits}-bits", codec, far, (0,), "rows", parameters)
    last = np.zeros((7, 9), np.float32)
    last[3, 8] = 1
    yield Case(f"{name}-empty-blocks", codec, last, (0,), "rows", {"block_majors": 1, **width(codec)})
    many = weights((40, 300), 40, 250)
    yield Case(f"{name}-own-section", codec, many, (0,), "rows", {"block_majors": 16, **width(codec)})


def cases() -> dict[str, Case]:
    """Every single-tensor golden, by name."""
    found = [*dense_cases(), *grouped_cases(), *mixed_cases(), *planes_cases()]
    for codec in (SHARED, SPARSE, PAPER):
        found += coded_cases(codec)
    for codec in (SPARSE, PAPER):
        found += sparse_cases(codec)
    largest = every_level((3, 11), 33, "uint16", 1000)
    everything = np.arange(65536, dtype=np.uint16)
    found.append(Case("shared-largest-codebook", SHARED, largest, (0,), "rows", {"block_majors": 3}, everything))
    return {case.name: case for case in found}
