"""Tensors in a data file beside the model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tersor.converters import from_onnx
from tersor.converters.external import data_files
from tersor.format_spec.errors import ConversionError

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)


def model(dims: tuple[int, ...] = (3, 4), **entries: str) -> onnx.ModelProto:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, dims[0]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, dims[1]])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "w.bin").write_bytes(b"\xff" * 5 + WEIGHT.tobytes())
    (tmp_path / "outside.bin").write_bytes(bytes(100))
    return path


def save(folder, proto):
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


def test_read_lazily_at_any_offset(folder):
    graph = from_onnx(save(folder, model(location="w.bin", offset="5", length="48")))
    np.testing.assert_array_equal(graph.initializers["w"].dense(), WEIGHT)
    (folder / "w.bin").write_bytes(bytes(5) + (WEIGHT + 1).tobytes())
    np.testing.assert_array_equal(graph.initializers["w"].dense(), WEIGHT + 1)


def test_an_empty_tensor_reads_nothing(folder):
    graph = from_onnx(save(folder, model((0, 4), location="w.bin")))
    assert graph.initializers["w"].dense().shape == (0, 4)


def test_a_model_beyond_two_gigabytes(folder):
    with (folder / "big.bin").open("wb") as file:
        file.truncate(3 << 30)  # a hole: no disk is used
    graph = from_onnx(save(folder, model((3 << 20, 256), location="big.bin")))
    assert graph.initializers["w"].shape == (3 << 20, 256)
    assert not graph.initializers["w"].dense()[-1].any()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "w.bin", "offset": "6"}, "lie beyond w.bin"),
        ({"location": "w.bin", "length": "44"}, "takes 48"),
        ({"location": "w.bin", "offset": "-5"}, "not a whole number"),
        ({"location": "../outside.bin"}, "leaves the model's folder"),
        ({"location": "none.bin"}, "missing"),
        ({"location": "/w.bin"}, "not a relative POSIX path"),
        ({"location": "C:w.bin"}, "not a relative POSIX path"),
        ({"location": "..\\outside.bin"}, "not a relative POSIX path"),
        ({}, "not a relative POSIX path"),
    ],
)
def test_bad_references_are_refused(folder, entries, message):
    with pytest.raises(ConversionError, match=f"external tensor 'w'.*{message}"):
        from_onnx(save(folder, model(**entries)))


def test_a_link_that_leaves_the_folder_is_refused(folder):
    (folder / "link.bin").symlink_to(folder.parent / "outside.bin")
    with pytest.raises(ConversionError, match="leaves the model's folder"):
        from_onnx(save(folder, model(location="link.bin")))


def test_external_data_needs_a_path():
    with pytest.raises(ConversionError, match="must be given as a path"):
        from_onnx(model(location="w.bin"))


def test_every_data_file_is_found_wherever_a_tensor_is(folder):
    (folder / "v.bin").write_bytes(WEIGHT.tobytes())
    proto, branch = model(location="w.bin", offset="5"), model(location="v.bin").graph
    constant = helper.make_node("Constant", [], ["v"], value=branch.initializer[0])
    del branch.initializer[:]
    branch.node.insert(0, constant)
    proto.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch))
    assert data_files(proto, folder) == {folder / "v.bin", folder / "w.bin"}
    assert data_files(onnx.ModelProto(), folder) == set()
    with pytest.raises(ConversionError, match="missing beside the model"):
        data_files(model(location="none.bin"), folder)
