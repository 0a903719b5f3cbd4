"""What the valid goldens hold. Arrays follow formulas, never a random generator, whose stream may change with a release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from tersor.format_spec.codecs._huffman import code_lengths
from tersor.format_spec.coding import COLUMNS_FLAG, HALF_FLAG, LINEAR_FLAG, CodecId
from tersor.format_spec.graph import Graph, Node, Tensor, TensorType, Value
from tersor.format_spec.mixed_head import MixedHead
from tersor.format_spec.mixing import KERNEL_ZEROS_FLAG, REFERENCES_FLAG
from tersor.format_spec.records import DTYPE_IDS
from tersor.format_spec.tensors import DenseTensor, Order, SharedTensor, bit_patterns, to_scan
from tersor.format_spec.word_models import Model

RAW, ZSTD, FILL, PAPER = CodecId.RAW, CodecId.SHUFFLED_ZSTD, CodecId.FILL, CodecId.PAPER
SHARED, SPARSE, MIXED, GROUPED = CodecId.SHARED, CodecId.SPARSE, CodecId.MIXED, CodecId.GROUPED


@dataclass(frozen=True, eq=False)
class Case:
    """One tensor in one file: ``array`` must come out, bit for bit. ``extra`` values are in the codebook but not in use."""

    name: str
    codec: CodecId
    array: np.ndarray
    row_axes: tuple[int, ...] = ()
    order: Order = "rows"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extra: np.ndarray | None = None

    def tensor(self) -> Tensor:
        """What the reference encoder takes."""
        if self.codec in (SPARSE, PAPER, MIXED, GROUPED):
            return share(self.array, self.row_axes, self.order, leave_zeros_out=True, extra=self.extra)
        if self.codec == SHARED:
            return share(self.array, self.row_axes, self.order, leave_zeros_out=False, extra=self.extra)
        return DenseTensor.of(self.array)

    def graph(self) -> Graph:
        """A graph whose only tensor, ``w``, is its output."""
        tensor = self.tensor()
        output = Value("w", TensorType(tensor.dtype.name, tensor.shape))
        return Graph(self.name, (), (output,), (), {"w": tensor})


def share(
    array: np.ndarray, row_axes: tuple[int, ...], order: Order, *, leave_zeros_out: bool, extra: np.ndarray | None = None
) -> SharedTensor:
    """``array`` as codes, its codebook being its distinct bit patterns (and those of ``extra``) in ascending order."""
    flat = np.ascontiguousarray(to_scan(array, row_axes, order))
    keys = flat.view(np.dtype((np.void, array.dtype.itemsize))) if array.dtype.itemsize > 8 else bit_patterns(flat)
    kept = np.flatnonzero(flat.view(np.uint8).reshape(array.size, -1).any(axis=1)) if leave_zeros_out else np.arange(array.size)
    pool = keys[kept] if extra is None else np.concatenate([keys[kept], bit_patterns(extra)])
    patterns = np.unique(pool)
    if not len(patterns):
        patterns = bit_patterns(np.ones(1, array.dtype))
    codes = np.searchsorted(patterns, keys[kept]).astype(np.uint8 if len(patterns) <= 256 else np.uint16)
    codebook = patterns.view(array.dtype)
    if not leave_zeros_out:
        return SharedTensor(array.dtype, array.shape, row_axes, order, None, None, codes, codebook)
    rows = prod(array.shape[a] for a in row_axes)
    majors = rows if order == "rows" else array.size // rows
    minor_length = array.size // majors
    starts = np.searchsorted(kept, np.arange(majors + 1) * minor_length).astype(np.int64)
    minors = (kept % minor_length).astype(np.uint32)
    return SharedTensor(array.dtype, array.shape, row_axes, order, starts, minors, codes, codebook)


def noise(count: int, seed: int = 0) -> np.ndarray:
    """``count`` well mixed integers, uint64, below 2**32."""
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    x ^= x >> np.uint64(29)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    return x >> np.uint64(32)


def weights(
    shape: tuple[int, ...], levels: int, per_mille: int = 1000, dtype: str = "float32", step: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Values ``step``, 2 ``step``, ... ``levels`` ``step``, the smaller ones more often; ``per_mille`` of 1000 are not zero."""
    count = prod(shape)
    skewed = np.minimum(noise(count, seed) % np.uint64(levels), noise(count, seed + 1) % np.uint64(levels))
    values = (skewed.astype(np.float64) + 1) * step
    values[noise(count, seed + 2) % np.uint64(1000) >= per_mille] = 0
    return values.astype(dtype).reshape(shape)


def every_level(shape: tuple[int, ...], levels: int, dtype: str = "float32", first: int = 1) -> np.ndarray:
    """``first``, ``first`` + 1, ... in turn, ``levels`` values."""
    return (np.arange(prod(shape)) % levels + first).astype(dtype).reshape(shape)


def special() -> np.ndarray:
    """-0.0, infinities, NaNs with payloads, subnormals and zero."""
    patterns = [0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC01234, 0x7F800001, 1, 0x807FFFFF, 0, 0x3F800000]
    return np.array(patterns, np.uint32).view(np.float32)


def elements_of(dtype: str) -> np.ndarray:
    """15 elements of any type, the first one zero."""
    if dtype == "bool":
        return (np.arange(15) % 3 > 0).reshape(3, 5)
    if dtype.startswith("complex"):
        return (np.arange(15) * (1 - 0.5j)).astype(dtype).reshape(3, 5)
    return (np.arange(15) * 8).astype(dtype).reshape(3, 5)


def dense_cases() -> Iterator[Case]:
    """Codecs 1 to 3."""
    for dtype in DTYPE_IDS:
        yield Case(f"raw-{dtype}", RAW, elements_of(dtype))
        yield Case(f"zstd-{dtype}", ZSTD, elements_of(dtype), parameters={"level": 3})
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
    yield Case("fill-zero", FILL, np.zeros((4, 5), np.float32))
    yield Case("fill-minus-zero", FILL, np.full((4, 5), -0.0, np.float32))
    yield Case("fill-not-a-number", FILL, np.full(3, special()[4]))
    yield Case("fill-scalar", FILL, np.array(7, np.int64))
    yield Case("fill-one-element", FILL, np.array([7], np.int64))
    yield Case("fill-large", FILL, np.full((64, 64, 3), 0.25, np.float32))


def width(codec: CodecId, symbols: int = 16, bits: int = 4) -> dict[str, Any]:
    """The gap parameter of a codec."""
    return {SPARSE: {"gap_symbols": symbols}, PAPER: {"index_bits": bits}}.get(codec, {})


def model(base: int, *, phrases: int = 0, cuts: tuple[int, ...] = (), positional: bool = False, tables: int = 1) -> Model:
    """A model in which every symbol has a code in every table, and low symbols short ones."""
    pairs = tuple((i % base, (i + 1) % base) for i in range(phrases))
    contexts = (len(cuts) + 1) * (4 if positional else 1)
    counts = 1000 // (np.arange(base + phrases) + 1) + 1
    lengths = tuple(code_lengths(np.roll(counts, table)) for table in range(tables))
    return Model(base, pairs, cuts, positional, tuple(i % tables for i in range(contexts)), lengths)


def grouped(case: Case, group: int, masks: Mapping[str, Any], codes: Mapping[str, Any], **more: Any) -> Case:
    """The grouped codec's version of a case."""
    k = len(case.tensor().codebook)  # pyright: ignore[reportAttributeAccessIssue]
    models = {"masks": model(1 << group, **masks), "codes": model(k, **codes)}
    return replace(case, parameters={**case.parameters, "group": group, **models, **more})


def grouped_cases() -> Iterator[Case]:
    """Codec 8."""
    kernels = weights((8, 6, 3, 3), 12, 500, step=-0.1)
    plans: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
        "plain": (9, {}, {}),
        "phrases": (9, {"phrases": 20}, {"phrases": 9}),
        "contexts": (9, {"cuts": (1, 40, 200), "tables": 4}, {"cuts": (3, 7), "tables": 3}),
        "positions": (9, {}, {"cuts": (6,), "positional": True, "tables": 5}),
        "everything": (
            9,
            {"phrases": 200, "cuts": (1, 90), "tables": 2},
            {"phrases": 30, "cuts": (4,), "positional": True, "tables": 8},
        ),
        "groups-of-one": (1, {}, {}),
        "groups-of-four": (4, {"phrases": 3}, {"cuts": (5,), "tables": 2}),
        "groups-across-rows": (8, {"phrases": 5}, {"positional": True, "tables": 4}),
    }
    for name, (group, masks, codes) in plans.items():
        case = Case(f"grouped-{name}", GROUPED, kernels, (0,), "rows", {"block_majors": 3})
        yield grouped(case, group, masks, codes)
        if name in ("plain", "everything"):
            yield grouped(replace(case, name=f"grouped-{name}-columns-major", order="columns"), group, masks, codes)
    edges = {
        "scalar": np.array(0.1, np.float32),
        "one-element": np.array([0.1], np.float32),
        "one-value": np.full((5, 7), 0.1, np.float32),
        "two-values": every_level((5, 7), 2),
        "no-zero": weights((9, 11), 30),
        "all-zero": np.zeros((4, 6), np.float32),
        "256-values": every_level((8, 64), 256),
        "four-substreams": weights((30, 40, 3, 3), 30, 400),
        "half-codebook": weights((20, 20), 16, 500, step=0.25),
        "linear-codebook": weights((20, 20), 16, 500, step=0.25),
        "int8": elements_of("int8"),
    }
    forms = {"half-codebook": {"form": HALF_FLAG}, "linear-codebook": {"form": LINEAR_FLAG}}
    for name, array in edges.items():
        row_axes = (0,) if array.ndim else ()
        case = Case(
            f"grouped-{name}", GROUPED, array, row_axes, "rows", {"block_majors": max(1, array.shape[0] if array.ndim else 1)}
        )
        yield grouped(case, 5, {}, {}, **forms.get(name, {}))


def mixed_cases() -> Iterator[Case]:
    """Codec 7."""
    kernels = weights((6, 5, 3, 3), 9, 500, step=-0.1)
    kernels[::2] *= -1
    heads = {
        "rows": MixedHead(0, 9, 3, 0, 20, 6),
        "kernel-zeros": MixedHead(KERNEL_ZEROS_FLAG, 9, 3, 0, 20, 6),
        "columns-major": MixedHead(COLUMNS_FLAG, 9, 3, 0, 20, 5),
        "columns-major-kernel-zeros": MixedHead(COLUMNS_FLAG | KERNEL_ZEROS_FLAG, 9, 3, 0, 20, 2),
        "blocks": MixedHead(0, 9, 3, 0, 20, 4),
        "kernel-of-one": MixedHead(0, 1, 1, 0, 20, 6),
        "few-mixed-steps": MixedHead(0, 9, 3, 0, 2, 6),
        "low-bits": MixedHead(0, 9, 3, 2, 20, 6),
        "half-codebook": MixedHead(HALF_FLAG, 9, 3, 0, 20, 6),
    }
    for name, head in heads.items():
        array = (
            np.where(kernels, np.sign(kernels) * np.rint(np.abs(kernels) * 10) / 4, 0).astype("f4")
            if "half" in name
            else kernels
        )
        yield Case(f"mixed-{name}", MIXED, array, (0,), "rows", {"head": head})
    named = [[(0, 1), (0, 1)], [(1, -1), (0, 1)], [(2, 1), (1, -1)], [(3, -1), (1, 1)], [(0, 1), (0, 1)], [(5, -1), (2, 1)]]
    head = MixedHead(REFERENCES_FLAG, 9, 3, 0, 20, 6)
    yield Case("mixed-references", MIXED, kernels, (0,), "rows", {"head": head, "named": named})
    edges = {
        "scalar": np.array(-0.1, np.float32),
        "one-element": np.array([0.1], np.float32),
        "one-value": np.full((5, 7), 0.1, np.float32),
        "two-values": every_level((5, 7), 2),
        "no-zero": weights((9, 11), 30),
        "256-values": every_level((8, 64), 256),
        "700-values": every_level((8, 100), 700),
        "all-negative": weights((9, 11), 30, 400, step=-0.1),
        "int8": elements_of("int8") - np.int8(40),
        "int64": elements_of("int64") - 40,
        "float16": elements_of("float16") - np.float16(40),
        "minus-zero-and-not-a-number": np.tile(special(), (3, 2)),
    }
    for name, array in edges.items():
        low = {"256-values": 3, "700-values": 5}.get(name, 0)
        head = MixedHead(0, 1, 1, low, 20, array.shape[0] if array.ndim else 1)
        yield Case(f"mixed-{name}", MIXED, array, (0,) if array.ndim else (), "rows", {"head": head})


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
    found = [*dense_cases(), *grouped_cases(), *mixed_cases()]
    for codec in (SHARED, SPARSE, PAPER):
        found += coded_cases(codec)
    for codec in (SPARSE, PAPER):
        found += sparse_cases(codec)
    largest = every_level((3, 11), 33, "uint16", 1000)
    everything = np.arange(65536, dtype=np.uint16)
    found.append(Case("shared-largest-codebook", SHARED, largest, (0,), "rows", {"block_majors": 3}, everything))
    return {case.name: case for case in found}


def network() -> Graph:
    """Two layers whose weights are pruned and shared already, as ``pack`` takes them."""
    first = weights((24, 40), 30, 200)
    second = weights((6, 24), 200, seed=5)
    values = (Value("x", TensorType("float32", ("N", 40))), Value("y", TensorType("float32", ("N", 6))))
    nodes = (
        Node("Gemm", "fc1", ("x", "w1", "b1"), ("h",), {"transB": 1}),
        Node("Relu", "relu", ("h",), ("r",)),
        Node("Gemm", "fc2", ("r", "w2"), ("y",), {"transB": 1}),
    )
    tensors = {"w1": first, "b1": weights((24,), 24, step=-0.3), "w2": second}
    return Graph("network", values[:1], values[1:], nodes, {n: DenseTensor.of(a) for n, a in tensors.items()}, {"by": "tests"})


def everything() -> Graph:
    """Every kind of attribute and of type, nested subgraphs with tensors of their own, captures, absent inputs."""
    deepest = Graph(
        "deepest", (), (Value("z", TensorType("float32", None)),), (Node("Add", "", ("t", "u"), ("z",)),), tensors(u=3)
    )
    deeper = Graph(
        "deeper",
        (),
        (Value("z", TensorType("float32", (None, "rows", 4))),),
        (Node("If", "inner", ("c",), ("z",), {"else_branch": deepest, "then_branch": deepest}),),
        tensors(u=2, v=1),
    )
    attributes = {
        "an_array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "an_empty_list": (),
        "array_of_bools": np.array(True),
        "float": -0.5,
        "floats": (0.5, float("inf")),
        "graph": deeper,
        "int": -(1 << 63),
        "ints": (1, 0, -1, (1 << 63) - 1),
        "string": "Größe \N{SNOWMAN} \0",
        "strings": ("", "Conv"),
    }
    node = Node("Custom", "node", ("x", "", "t"), ("y", ""), attributes)
    inputs = (Value("x", TensorType("float16", (1, 0, "N", None))), Value("c", TensorType("bool", ())))
    return Graph("everything", inputs, (Value("y", TensorType("complex128", None)),), (node,), tensors(t=4), {"k": "v", "": ""})


def tensors(**sizes: int) -> dict[str, Tensor]:
    """A float32 tensor 1, 2, ... of each name and size."""
    return {name: DenseTensor.of(np.arange(1, size + 1, dtype=np.float32)) for name, size in sizes.items()}


GRAPHS: dict[str, Callable[[], Graph]] = {
    "graph-empty": lambda: Graph("", (), (), ()),
    "graph-everything": everything,
    "graph-compressed-manifest": lambda: Graph(
        "long",
        (),
        (),
        tuple(Node("Identity", f"node{i}", (f"v{i}" if i else "w",), (f"v{i + 1}",)) for i in range(60)),
        tensors(w=1),
    ),
}
"""Goldens that are about the graph; their tensors are raw."""

PROFILES = ("compact", "paper", "max")
"""Goldens written by the packer: ``network()`` packed losslessly in each."""
