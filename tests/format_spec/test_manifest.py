"""Graphs through bytes and back."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.coding import SAME
from tersor.format_spec.errors import FormatError, LimitError
from tersor.format_spec.graph import Graph, Node, TensorType, Value, graphs
from tersor.format_spec.limits import DEFAULT_LIMITS, Limits
from tersor.format_spec.manifest import decode_manifest, encode_manifest, with_tensors
from tersor.format_spec.records import DTYPE_IDS, Placed, TensorRecord
from tersor.format_spec.vocabulary import WELL_KNOWN

names = st.one_of(st.sampled_from(WELL_KNOWN), st.text(st.characters(codec="utf-8"), max_size=6))
dtypes = st.sampled_from(sorted(DTYPE_IDS))
types = st.builds(
    TensorType,
    dtypes,
    st.none() | st.lists(st.none() | st.integers(0, 1 << 40) | names.filter(bool), max_size=4).map(tuple),
)
values = st.builds(Value, names, types)
floats = st.floats(width=32, allow_nan=False)
arrays = st.builds(
    lambda dtype, n: np.arange(n).astype(dtype), st.sampled_from(["float32", "int64", "bool", "float16"]), st.integers(0, 5)
)


def graph_strategy(depth: int) -> st.SearchStrategy[Graph]:
    attribute: st.SearchStrategy[Any] = st.one_of(
        st.integers(-(1 << 62), 1 << 62),
        floats,
        names,
        st.lists(st.integers(-5, 1 << 50), max_size=4).map(tuple),
        st.lists(floats, min_size=1, max_size=4).map(tuple),
        st.lists(names, min_size=1, max_size=3).map(tuple),
        arrays,
    )
    if depth:
        attribute |= graph_strategy(depth - 1)
    node = st.builds(
        Node,
        names,
        names,
        st.lists(names, max_size=3).map(tuple),
        st.lists(names, max_size=2).map(tuple),
        st.dictionaries(names, attribute, max_size=3),
    )
    placed = st.builds(
        lambda name, dtype, shape, codec, pooled: Placed(
            TensorRecord(name, np.dtype(dtype), tuple(shape), tuple(range(len(shape) // 2)), codec), pooled
        ),
        names,
        dtypes,
        st.lists(st.integers(0, 9), max_size=3),
        st.integers(1, 300).filter(lambda number: number != SAME),
        st.none() | st.integers(0, 5000),
    )
    return st.builds(
        lambda name, inputs, outputs, nodes, tensors, metadata: Graph(
            name, tuple(inputs), tuple(outputs), tuple(nodes), {t.record.name: t for t in tensors}, metadata
        ),
        names,
        st.lists(values, max_size=2),
        st.lists(values, max_size=2),
        st.lists(node, max_size=3),
        st.lists(placed, max_size=3, unique_by=lambda p: p.record.name),
        st.dictionaries(names, names, max_size=2),
    )


def plain(value: Any) -> Any:
    """What equality means for graphs: fields, with arrays by dtype, shape and bytes."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (Graph, Node)):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(v) for v in value)
    return value


def encoded(graph: Graph) -> bytes:
    return encode_manifest(graph, (placed for g in graphs(graph) for placed in g.initializers.values()))  # pyright: ignore


@given(graph_strategy(1))
def test_round_trip(graph: Graph):
    data = encoded(graph)
    decoded, tensors = decode_manifest(data, DEFAULT_LIMITS)
    restored = with_tensors(decoded, ({p.record.name: p for p in t} for t in tensors))
    assert plain(restored) == plain(graph)
    assert encoded(restored) == data


@given(graph_strategy(1), st.data())
def test_damage_raises_only_documented_errors(graph: Graph, data: st.DataObject):
    manifest = bytearray(encoded(graph))
    for _ in range(data.draw(st.integers(1, 4))):
        manifest[data.draw(st.integers(0, len(manifest) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(manifest)))
    with contextlib.suppress(FormatError, LimitError):
        decode_manifest(bytes(manifest[:cut]), DEFAULT_LIMITS)


def test_limits_are_checked_before_allocation():
    tensor = Placed(TensorRecord("w", np.dtype("float32"), (1 << 20, 1 << 20), (0,), 3), 4)
    data = encode_manifest(Graph("bomb", (), (), (), {"w": tensor}), [tensor])  # pyright: ignore
    with pytest.raises(LimitError, match="tensor bytes"):
        decode_manifest(data, DEFAULT_LIMITS)
    with pytest.raises(LimitError, match="manifest bytes"):
        decode_manifest(data, Limits(manifest_bytes=4))


def test_the_record_of_a_tensor_that_is_the_same_has_the_earlier_ones_codec():
    def placed(name: str, pooled: int | None, same: int | None = None) -> Placed:
        return Placed(TensorRecord(name, np.dtype("float32"), (3, 2), (0,), 6), pooled, same)

    inner = {"w": placed("w", None, 1), "v": placed("v", None, 0)}
    node = Node("If", "", (), (), {"then_branch": Graph("", (), (), (), inner)})  # pyright: ignore
    tensors = {"a": placed("a", None), "b": placed("b", 24)}
    graph = Graph("g", (), (), (node,), tensors)  # pyright: ignore
    assert decode_manifest(encoded(graph), DEFAULT_LIMITS)[1] == [tuple(tensors.values()), tuple(inner.values())]


def test_well_known_strings_are_distinct_and_the_first_64_are_pinned():
    assert len(set(WELL_KNOWN)) == len(WELL_KNOWN)
    assert WELL_KNOWN[0] == "Conv"
    assert WELL_KNOWN[63] == "N"
