"""Small files that ask for much: each stops at a limit, before anything is allocated."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from tersor.format_spec import codecs
from tersor.format_spec.coding import CodecId
from tersor.format_spec.container import MANIFEST, POOL, Container, ContainerWriter, open_container
from tersor.format_spec.errors import FormatError, LimitError
from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value
from tersor.format_spec.limits import DEFAULT_LIMITS, Limits
from tersor.format_spec.manifest import decode_manifest, encode_manifest
from tersor.format_spec.mixed_head import MixedHead
from tersor.format_spec.model_file import read_graph
from tersor.format_spec.records import Placed, TensorRecord
from tersor.format_spec.reference import decode_file
from tersor.format_spec.tensors import DenseTensor, SharedTensor
from tersor.format_spec.validate import validate
from tersor.format_spec.varint import write_varint
from tersor.runtime import load
from tersor.runtime.decode import decode


def declaring(shape: tuple[int, ...], payload: bytes = bytes(4), codec: int = 3) -> bytes:
    """A file with one float32 tensor of ``shape`` whose payload is ``payload``."""
    empty = DenseTensor(np.dtype("f4"), shape, lambda: np.zeros(0, np.float32))
    record = TensorRecord("w", np.dtype("f4"), shape, (), codec)
    graph = Graph("bomb", (), (), (), {"w": empty})
    file = io.BytesIO()
    writer = ContainerWriter(file)
    writer.add(POOL, payload)
    writer.add(MANIFEST, encode_manifest(graph, [Placed(record, len(payload))]))
    writer.finish()
    return file.getvalue()


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 20, 1 << 20), (1 << 63, 1 << 63), (0, 1 << 62), (1 << 63, 0)])
@pytest.mark.parametrize("codec", list(CodecId))
def test_a_small_file_that_declares_terabytes(shape: tuple[int, ...], codec: int) -> None:
    data = declaring(shape, codec=codec)
    assert len(data) < 200
    for read in (decode_file, load):
        with pytest.raises(LimitError, match=r"tensor bytes.*Limits\.tensor_bytes"):
            read(data)


def test_the_limit_is_adjustable_and_the_sum_is_limited_too() -> None:
    data = declaring((1 << 20,))
    assert decode_file(data).initializers["w"].size == 1 << 20
    for limits in (Limits(tensor_bytes=(4 << 20) - 1), Limits(decoded_bytes=(4 << 20) - 1)):
        for read in (decode_file, load):
            with pytest.raises(LimitError):
                read(data, limits=limits)


def varints(*values: int) -> bytes:
    out = bytearray()
    for value in values:
        write_varint(out, value)
    return bytes(out)


MANY = 1 << 20
HEAD = varints(0, OPSET, 1, 0)  # no strings; a graph called by a well-known name, without metadata
NODE = varints(1, 1, 0, 0)  # operator, name, no inputs, no outputs


@pytest.mark.parametrize(
    "body",
    [
        varints(MANY) + bytes(MANY),
        varints(0, OPSET, 1, MANY) + varints(1, 1) * MANY,
        HEAD + varints(MANY) + varints(1, 1, 0) * MANY,
        HEAD + varints(MANY // 8) + (varints(1, 1, 9) + bytes(8)) * (MANY // 8),
        HEAD + varints(0, 0, MANY) + bytes(6 * MANY),
        HEAD + varints(0, 0, 0, MANY) + (NODE + varints(0)) * MANY,
        HEAD + varints(0, 0, 0, 1) + varints(1, 1, MANY) + bytes(MANY + 8),
        HEAD + varints(0, 0, 0, 1) + NODE + varints(1, 1) + bytes([4]) + varints(MANY) + bytes(MANY),
        HEAD + varints(0, 0, 0, 1) + NODE + varints(1, 1) + bytes([5]) + varints(MANY) + bytes(4 * MANY),
    ],
    ids=["strings", "metadata", "values", "dimensions", "tensors", "nodes", "names", "integers", "floats"],
)
def test_every_count_is_limited(body: bytes) -> None:
    for limits in (Limits(items=MANY // 8 - 1), Limits(items=9)):
        with pytest.raises(LimitError, match=r"Limits\.items"):
            decode_manifest(b"\0" + body, limits)


def test_nodes_are_counted_over_all_graphs() -> None:
    output = (Value("y", TensorType("float32", None)),)
    inner = Graph("", (), output, (Node("Identity", "", (), ("x",)), Node("Relu", "", ("x",), ("y",))))
    outer = Graph("g", (), output, (Node("If", "", (), ("y",), {"else_branch": inner, "then_branch": inner}),))
    data = encode_manifest(outer, [])
    assert len(decode_manifest(data, Limits(nodes=5))[1]) == 3
    with pytest.raises(LimitError, match=r"Limits\.nodes"):
        decode_manifest(data, Limits(nodes=4))


def test_an_attribute_with_an_endless_axis_is_refused() -> None:
    tensor = bytes([7, 1]) + varints(2, 0, 1 << 62)
    with pytest.raises(LimitError, match="tensor bytes"):
        decode_manifest(b"\0" + HEAD + varints(0, 0, 0, 1) + NODE + varints(1, 1) + tensor, DEFAULT_LIMITS)


def test_many_subgraphs_are_validated_in_linear_time() -> None:
    body = Graph("", (), (), ())
    nodes = tuple(Node("If", "", (), (f"y{i}",), {"then_branch": body}) for i in range(20_000))
    validate(Graph("g", (), (Value("y0", TensorType("float32", None)),), nodes))


@pytest.mark.parametrize("name", ["n", ""])
def test_a_well_formed_graph_costs_no_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def label(node: Node) -> str:
        raise AssertionError(f"a label of {len(node.outputs)} names for a message that is not raised")

    monkeypatch.setattr(Node, "label", property(label))
    outputs = tuple(f"{i}" for i in range(9))
    validate(Graph("g", (), (Value("0", TensorType("float32", None)),), (Node("Split", name, (), outputs),)))


def test_empty_tensors_cost_no_search_for_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = [Placed(TensorRecord(f"{i}", np.dtype("f4"), (0,), (), 1), 0) for i in range(100)]
    file = io.BytesIO()
    writer = ContainerWriter(file)
    tensors = {p.record.name: DenseTensor.of(np.zeros(0, np.float32)) for p in placed}
    writer.add(MANIFEST, encode_manifest(Graph("g", (), (), (), tensors), placed))
    writer.finish()
    searched: list[int] = []
    find = Container.find
    monkeypatch.setattr(Container, "find", lambda self, kind: searched.append(kind) or find(self, kind))
    with open_container(file.getvalue()) as container:
        assert len(read_graph(container, decode).initializers) == 100
    assert len(searched) < 5


def test_a_name_that_is_stored_twice_becomes_one_object() -> None:
    # Names are looked up by the thousand, and two objects of equal text would be compared letter by letter each time.
    text = varints(20) + b"x" * 20
    body = varints(2) + text * 2 + varints(OPSET, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 2, 0)
    (node,) = decode_manifest(b"\0" + body, DEFAULT_LIMITS)[0].nodes
    assert node.inputs == ("x" * 20,)
    assert node.inputs[0] is node.outputs[0]


def test_names_of_graphs_around_stay_visible_and_later_ones_are_not() -> None:
    output = Value("b", TensorType("float32", None))
    inner = Graph("", (), (output,), (Node("Relu", "", ("a",), ("b",)),))
    first, last = Node("Identity", "", (), ("a",)), Node("If", "", (), ("b",), {"then_branch": inner})
    validate(Graph("g", (), (output,), (first, last)))
    with pytest.raises(FormatError, match="'a' before anything defines it"):
        validate(Graph("g", (), (output,), (last, first)))


def test_the_arrays_of_a_context_mixed_tensor_are_limited() -> None:
    array = np.zeros((1000, 1), np.uint8)
    array[:20] = 3
    starts, codes, minors = np.minimum(np.arange(1001), 20), np.zeros(20, np.uint8), np.zeros(20, np.uint32)
    shared = SharedTensor(array.dtype, array.shape, (0,), "rows", starts, minors, codes, np.array([3], np.uint8))
    record = TensorRecord("w", array.dtype, array.shape, (0,), CodecId.MIXED)
    payload = codecs.find_codec(CodecId.MIXED).encode(shared, head=MixedHead(0, 1, 1, 0, 20, 1000))
    for decoder in (codecs.decode, decode):
        assert decoder(record, payload, Limits(tensor_bytes=8 * 1001 + 5 * 20)).size == 1000
        for most in (8 * 1001 - 1, 8 * 1001 + 5 * 20 - 1):
            with pytest.raises(LimitError):
                decoder(record, payload, Limits(tensor_bytes=most))


def test_names_are_bounded_and_texts_are_not() -> None:
    long = "n" * ((1 << 16) + 1)
    text = TensorType("float32", (1,))
    graph = Graph("g", (Value("x", text),), (Value("y", text),), (Node("Relu", "", ("x",), ("y",)),), metadata={"notes": long})
    assert decode_manifest(encode_manifest(graph, ()), DEFAULT_LIMITS)[0].metadata == {"notes": long}
    with_label = Node("Relu", "", ("x",), ("y",), {"label": long, "labels": (long,)})
    assert decode_manifest(encode_manifest(replace(graph, nodes=(with_label,)), ()), DEFAULT_LIMITS)[0].nodes[0].attributes
    for node in (
        Node(long, "", ("x",), ("y",)),
        Node("Relu", long, ("x",), ("y",)),
        Node("Relu", "", ("x",), ("y", long)),
        Node("Relu", "", ("x",), ("y",), {long: 1}),
    ):
        with pytest.raises(LimitError, match="65,537 name bytes"):
            decode_manifest(encode_manifest(replace(graph, nodes=(node,)), ()), DEFAULT_LIMITS)
    with pytest.raises(LimitError, match="name bytes"):
        decode_manifest(encode_manifest(replace(graph, metadata={long: ""}), ()), DEFAULT_LIMITS)


def test_a_node_of_many_outputs_is_told_by_a_few() -> None:
    outputs = tuple(f"o{i}" for i in range(1000))
    assert Node("Split", "", ("x",), outputs).label == "Split -> o0, o1, o2, o3, o4, o5, o6, o7, ..."


def test_only_limits_that_were_set_are_shown():
    assert repr(DEFAULT_LIMITS) == "Limits()"
    assert repr(Limits(rank=3, nodes=5)) == "Limits(nodes=5, rank=3)"
