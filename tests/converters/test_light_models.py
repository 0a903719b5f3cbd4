"""The nine classification networks that the onnx wheel carries: IR version 3, opset 9, weights made by ConstantOfShape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tersor.converters import from_onnx
from tersor.converters.constants import Fill
from tersor.format_spec.tensors import DenseTensor

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
MODELS = sorted(path.stem for path in FOLDER.glob("*.onnx"))
QUICK = ["light_inception_v1", "light_shufflenet", "light_squeezenet"]


def test_the_models_are_there():
    assert len(MODELS) == 9
    assert set(QUICK) <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_source_tensor_is_kept(name):
    source = onnx.load(FOLDER / f"{name}.onnx")
    graph = from_onnx(FOLDER / f"{name}.onnx")
    assert len(graph.inputs) == 1
    for proto in source.graph.initializer:
        array, held = numpy_helper.to_array(proto), graph.initializers[proto.name].dense()
        assert (held.dtype, held.shape, held.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("name", MODELS)
def test_what_remains_is_the_network(name):
    graph = from_onnx(FOLDER / f"{name}.onnx")
    left = {node.op_type for node in graph.nodes}
    assert not left & {"ConstantOfShape", "Shape", "Dropout", "Identity", "Constant"}
    large = [t for t in graph.initializers.values() if t.size > 1 << 16]
    assert large
    assert all(isinstance(t, DenseTensor) and isinstance(t.read, Fill) for t in large)


@pytest.mark.parametrize("name", QUICK)
def test_the_answers_are_the_source_s(name, agree):
    source = onnx.load(FOLDER / f"{name}.onnx")
    weights = {proto.name for proto in source.graph.initializer}
    value = next(value for value in source.graph.input if value.name not in weights)
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    agree(source, np.random.default_rng(0).standard_normal(shape).astype(np.float32))
