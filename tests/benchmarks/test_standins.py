"""The speed stand-ins have the densities and numbers of values that they claim, and ONNX Runtime takes them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest


@pytest.fixture(scope="module")
def standins() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "standins.py"
    spec = importlib.util.spec_from_file_location("standins", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if len(t.dims) > 1}


def distinct(array: np.ndarray) -> int:
    return len(np.unique(array[array != 0]))


def test_pruned_and_shared_as_stated(standins: ModuleType) -> None:
    model = standins.build("squeezenet")
    found = weights(model)
    assert sum(w.size for w in found.values()) == 1_231_552
    for name, weight in found.items():
        expected = 1.0 if name == "conv1_w_0" else 0.33
        assert np.count_nonzero(weight) == pytest.approx(expected * weight.size, abs=1)
        assert distinct(weight) <= 64


def test_unpruned_keeps_all_with_8_bits(standins: ModuleType) -> None:
    for weight in weights(standins.build("squeezenet", pruned=False)).values():
        assert np.all(weight != 0)
        assert distinct(weight) <= 256


def test_fp32_is_neither_pruned_nor_shared(standins: ModuleType) -> None:
    weight = weights(standins.build("squeezenet", pruned=False, shared=False))["conv10_w_0"]
    assert np.all(weight != 0)
    assert distinct(weight) > 10_000


def test_the_same_seed_gives_the_same_bytes(standins: ModuleType) -> None:
    first, again, other = (standins.build("squeezenet", seed=seed).SerializeToString() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_paper_densities_name_every_layer(standins: ModuleType) -> None:
    for name in ("alexnet", "vgg19"):
        topology = standins.STAND_INS[name]
        light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"{topology.topology}.onnx"
        graph = onnx.load(light).graph
        layers = {standins.layer_name(node.input[1]) for node in graph.node if node.op_type in ("Conv", "Gemm")}
        assert layers == set(topology.densities)


def test_linear_codebook_is_evenly_spaced(standins: ModuleType) -> None:
    drawn = np.random.default_rng(0).standard_normal((50, 100), np.float32)
    shared = standins.share(drawn, 4)
    steps = np.diff(np.unique(shared))
    unit = (drawn.max() - drawn.min()) / 15
    np.testing.assert_allclose(steps / unit, np.rint(steps / unit), atol=1e-4)
    assert np.abs(shared - drawn).max() <= unit * 0.501


@pytest.mark.parametrize("pruned", [True, False])
def test_runtime_output_is_neither_flat_nor_saturated(standins: ModuleType, pruned: bool) -> None:
    model = standins.build("squeezenet", pruned=pruned)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    image = np.random.default_rng(0).standard_normal(entry.shape, np.float32)
    probabilities = np.asarray(session.run(None, {entry.name: image})[0])
    assert 0.002 < probabilities.max() < 0.999
