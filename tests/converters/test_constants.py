"""Every way in which ONNX holds a constant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import AttributeProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper, numpy_helper

from tersor.converters import from_onnx
from tersor.converters.constants import DTYPES, Fill, from_sparse_proto, from_tensor_proto
from tersor.format_spec.errors import ConversionError
from tersor.format_spec.tensors import DenseTensor

NATIVE = sorted(DTYPES.values(), key=str)


def reading(*nodes: NodeProto, initializer: list[TensorProto] | None = None, output: str = "c") -> ModelProto:
    """A model whose output ``y`` is a copy of ``output``."""
    nodes = (*nodes, helper.make_node("Identity", [output], ["y"], name="last"))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [], [y], initializer or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@given(hnp.arrays(st.sampled_from(NATIVE), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
@settings(max_examples=60, deadline=None)
def test_tensors_keep_their_bits(array):
    tensor = from_tensor_proto(numpy_helper.from_array(array, "t"), None)
    assert (tensor.dtype, tensor.shape) == (array.dtype, array.shape)
    assert tensor.dense().tobytes() == array.tobytes()


@pytest.mark.parametrize("number", DTYPES, ids=lambda number: DTYPES[number].name)
def test_typed_fields_are_read_too(number):
    proto = helper.make_tensor("t", number, [2, 2], [0, 1, 1, 0])
    assert not proto.HasField("raw_data")
    np.testing.assert_array_equal(from_tensor_proto(proto, None).dense(), np.array([[0, 1], [1, 0]], DTYPES[number]))


@pytest.mark.parametrize("shape", [(3,), ()])
def test_a_bool_of_any_byte_is_one(shape, tmp_path):
    data = bytes([2, 0, 255]) if shape else b"\2"
    (tmp_path / "data.bin").write_bytes(data)
    inside = TensorProto(name="t", data_type=TensorProto.BOOL, dims=shape, raw_data=data)
    beside = TensorProto(name="t", data_type=TensorProto.BOOL, dims=shape, data_location=TensorProto.EXTERNAL)
    beside.external_data.add(key="location", value="data.bin")
    for proto in (inside, beside):
        array = from_tensor_proto(proto, tmp_path).dense()
        assert (array.dtype, array.shape) == (np.bool_, shape)
        assert array.tobytes() == bytes(bool(byte) for byte in data)


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        (("value", numpy_helper.from_array(np.array([[1, -2]], np.int8))), np.array([[1, -2]], np.int8)),
        (("value_float", 0.1), np.float32(0.1)),
        (("value_floats", [0.1, 0.2]), np.array([0.1, 0.2], np.float32)),
        (("value_int", -3), np.int64(-3)),
        (("value_ints", [3, 4]), np.array([3, 4], np.int64)),
    ],
)
def test_constant_nodes(attribute, expected):
    node = NodeProto(op_type="Constant", output=["c"], attribute=[helper.make_attribute(*attribute)])
    held = from_onnx(reading(node)).initializers["c"].dense()
    assert held.dtype == expected.dtype
    np.testing.assert_array_equal(held, expected)


def sparse(shape: tuple[int, ...], values: list[float], indices: np.ndarray, name: str = "s") -> SparseTensorProto:
    proto = SparseTensorProto(dims=shape)
    proto.values.CopyFrom(numpy_helper.from_array(np.array(values, np.float32), name))
    proto.indices.CopyFrom(numpy_helper.from_array(indices))
    return proto


@pytest.mark.parametrize("indices", [np.array([1, 5]), np.array([[0, 1], [1, 2]])], ids=["linear", "coordinates"])
def test_sparse_tensors_in_both_layouts(indices):
    proto = sparse((2, 3), [7, -0.0], indices)
    expected = np.array([[0, 7, 0], [0, 0, -0.0]], np.float32)
    assert from_sparse_proto(proto, None, "s").dense().tobytes() == expected.tobytes()
    node = NodeProto(op_type="Constant", output=["c"], attribute=[helper.make_attribute("sparse_value", proto)])
    assert from_onnx(reading(node)).initializers["c"].dense().tobytes() == expected.tobytes()
    model = reading(output="s")
    model.graph.sparse_initializer.append(proto)
    assert from_onnx(model).initializers["s"].dense().tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["initializer", "Constant"])
@pytest.mark.parametrize("opset", [11, 17])
def test_sparse_tensors_of_branches_are_read(kind: str, opset: int, agree: Callable[..., ModelProto]):
    held = sparse((2, 3), [7, -1], np.array([1, 5]))
    product, y = helper.make_node("Add", ["x", "s"], ["t"]), helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    constant = helper.make_node("Constant", [], ["s"], sparse_value=held)
    t, e = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "te")
    sum_ = helper.make_graph([constant, product], "then", [], [t])
    if kind == "initializer":
        sum_ = helper.make_graph([product], "then", [], [t], sparse_initializer=[held])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [], [e])
    inner = helper.make_node("If", ["c"], ["i"], then_branch=sum_, else_branch=other)
    i, o = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "io")
    outer = helper.make_graph([inner], "outer", [], [i])
    negative = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "negative", [], [o])
    node = helper.make_node("If", ["c"], ["y"], then_branch=outer, else_branch=negative)
    x, c = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
    )
    graph = helper.make_graph([node], "g", [x, c], [y])
    source = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    before = source.SerializeToString(deterministic=True)
    agree(source, np.ones((2, 3), np.float32), np.array(True))
    assert source.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.array([1, 6]), "outside"),
        (np.array([-1, 2]), "outside"),
        (np.array([[0, 3], [1, 0]]), "outside"),
        (np.array([4, 4]), "twice"),
        (np.array([1, 2, 3]), "do not fit"),
        (np.array([1, 2], np.int32), "int64"),
    ],
)
def test_bad_sparse_indices_are_refused(indices, message):
    with pytest.raises(ConversionError, match=message):
        from_sparse_proto(sparse((2, 3), [7, 8], indices), None, "s")


@pytest.mark.parametrize("kind", ["BFLOAT16", "FLOAT8E4M3FN", "INT4", "STRING", "COMPLEX64"])
def test_other_element_types_are_named(kind):
    proto = TensorProto(name="odd", data_type=TensorProto.DataType.Value(kind), dims=[2])
    with pytest.raises(ConversionError, match=f"'odd' has element type {kind.lower()}"):
        from_onnx(reading(initializer=[proto], output="odd"))


def test_what_is_no_constant_is_refused():
    node = NodeProto(op_type="Constant", name="both", output=["c"])
    node.attribute.extend([helper.make_attribute("value_int", 1), helper.make_attribute("value_float", 1.0)])
    with pytest.raises(ConversionError, match="node 'both': a Constant must have one attribute and one output"):
        from_onnx(reading(node))
    value = numpy_helper.from_array(np.zeros(2, np.float32))
    node = helper.make_node("ConstantOfShape", ["shape"], ["c"], name="two", value=value)
    with pytest.raises(ConversionError, match="node 'two': the value of ConstantOfShape must have one element"):
        from_onnx(reading(node, initializer=[numpy_helper.from_array(np.array([3]), "shape")]))


def test_string_constants_are_refused():
    node = helper.make_node("Constant", [], ["c"], name="words", value_strings=[b"a"])
    with pytest.raises(ConversionError, match="node 'words': a Constant given by 'value_strings'"):
        from_onnx(reading(node))


def test_a_payload_of_the_wrong_length_is_refused():
    proto = numpy_helper.from_array(np.zeros(4, np.float32), "short")
    proto.raw_data = proto.raw_data[:-1]
    with pytest.raises(ConversionError, match="'short' of shape \\[4\\] and type float32 holds 15 bytes, not 16"):
        from_onnx(reading(initializer=[proto], output="short"))
    proto = TensorProto(name="parts", data_type=TensorProto.FLOAT, dims=[4])
    proto.segment.begin, proto.segment.end = 0, 2
    with pytest.raises(ConversionError, match="tensor 'parts' is split in segments"):
        from_onnx(reading(initializer=[proto], output="parts"))
    with pytest.raises(ConversionError, match="tensor 'n' has 65 dimensions; the most is "):
        from_tensor_proto(TensorProto(name="n", data_type=AttributeProto.FLOAT, dims=[1] * 65), None)
    with pytest.raises(ConversionError, match="negative dimension"):
        from_tensor_proto(TensorProto(name="n", data_type=AttributeProto.FLOAT, dims=[-1]), None)


def test_constant_of_shape_is_a_fill_that_allocates_nothing():
    value = numpy_helper.from_array(np.array([0.5], np.float16))
    node = helper.make_node("ConstantOfShape", ["shape"], ["c"], value=value)
    shape = numpy_helper.from_array(np.array([1 << 10, 1 << 20]), "shape")
    model = reading(node, initializer=[shape])
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    graph = from_onnx(model)
    tensor = graph.initializers["c"]
    array = tensor.dense()
    assert isinstance(tensor, DenseTensor)
    assert isinstance(tensor.read, Fill)
    assert (array.shape, array.dtype, array.strides) == ((1 << 10, 1 << 20), np.float16, (0, 0))
    assert array[3, 4] == 0.5
    assert graph.initializers["shape"].dense().tolist() == [1 << 10, 1 << 20]


@pytest.mark.parametrize(
    "shape", [(1 << 40, 4), (1 << 62, 1 << 62), (0, 1 << 62)], ids=["too large", "beyond 64 bits", "empty"]
)
def test_tensors_of_any_size_that_take_a_few_bytes_of_the_model_are_refused(shape: tuple[int, ...]):
    fill = helper.make_node("ConstantOfShape", ["shape"], ["c"])
    dense = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=shape)
    with pytest.raises(ConversionError, match=r"ConstantOfShape 'c' of shape .* bytes; the most is 4,294,967,296"):
        from_onnx(reading(fill, initializer=[numpy_helper.from_array(np.array(shape), "shape")]))
    model = reading()
    model.graph.sparse_initializer.append(sparse(shape, [], np.zeros((0, 2), np.int64), "c"))
    with pytest.raises(ConversionError, match=r"sparse tensor 'c' of shape .* bytes; the most is 4,294,967,296"):
        from_onnx(model)
    with pytest.raises(ConversionError, match=r"tensor 'c' of shape .* (bytes; the most is|holds 0 values, not) "):
        from_onnx(reading(initializer=[dense]))
