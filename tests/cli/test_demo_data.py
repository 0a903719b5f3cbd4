"""The demo's model and images are what examples/lenet/README.md says they are."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import onnx
import onnxruntime
import pytest

DEMO = files("tersor.cli") / "demo"


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load_from_string((DEMO / "lenet5.onnx").read_bytes())


@pytest.fixture(scope="module")
def test_set() -> tuple[np.ndarray, np.ndarray]:
    with (DEMO / "mnist_test_1000.npz").open("rb") as stream, np.load(stream) as arrays:
        return arrays["images"], arrays["labels"]


def test_model_is_caffe_lenet5(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert shapes == {
        **{"conv1.weight": (20, 1, 5, 5), "conv1.bias": (20,), "conv2.weight": (50, 20, 5, 5), "conv2.bias": (50,)},
        **{"fc1.weight": (500, 800), "fc1.bias": (500,), "fc2.weight": (10, 500), "fc2.bias": (10,)},
    }
    assert [node.op_type for node in model.graph.node] == ["Conv", "MaxPool"] * 2 + ["Flatten", "Gemm", "Relu", "Gemm"]
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["logits"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert model.ByteSize() <= 1_750_000


def test_model_carries_its_preprocessing_and_no_leftovers(model: onnx.ModelProto) -> None:
    assert {prop.key for prop in model.metadata_props} == {"preprocessing", "classes"}
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_images_and_labels(test_set: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = test_set
    assert (images.shape, images.dtype) == ((1000, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((1000,), np.uint8)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert images.max() == 255


def test_six_of_the_thousand_are_wrong(model: onnx.ModelProto, test_set: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = test_set
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": images[:, np.newaxis].astype(np.float32) / np.float32(255)})
    assert np.count_nonzero(np.asarray(logits).argmax(1) != labels) == 6
