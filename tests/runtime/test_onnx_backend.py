"""ONNX's own backend suite through the whole path: convert, pack without loss, load, run."""

from __future__ import annotations

import unittest
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test import BackendTest

from tersor.converters import from_onnx
from tersor.format_spec.errors import UnsupportedOperator
from tersor.packer import pack
from tersor.runtime import Model, load

LEAST_PASSING_NODES = 1588

REFUSED = {
    "OnnxBackendRealModelTest": set(),
    "OnnxBackendPyTorchConvertedModelTest": set(),
    "OnnxBackendPyTorchOperatorModelTest": set(),
    "OnnxBackendSimpleModelTest": {
        "test_gradient_of_add_and_mul_cpu",
        "test_gradient_of_add_cpu",
        *(f"test_sequence_model{i}_cpu" for i in range(1, 9)),
        "test_strnorm_model_monday_casesensintive_lower_cpu",
        "test_strnorm_model_monday_casesensintive_nochangecase_cpu",
        "test_strnorm_model_monday_casesensintive_upper_cpu",
        "test_strnorm_model_monday_empty_output_cpu",
        "test_strnorm_model_monday_insensintive_upper_twodim_cpu",
        "test_strnorm_model_nostopwords_nochangecase_cpu",
    },
}
"""Sequences, strings and training."""


class Prepared(BackendRep):
    """A packed model in memory."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(self, inputs: Any, **_: Any) -> tuple[np.ndarray, ...]:
        names = [value.name for value in self.model.inputs]
        outputs = self.model.run({name: np.asarray(x) for name, x in zip(names, inputs, strict=True)})
        return tuple(outputs[value.name] for value in self.model.outputs)


def backend(folder: Path) -> type[Backend]:
    """The backend that packs into ``folder``."""

    class Tersor(Backend):
        @classmethod
        def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **_: Any) -> Prepared:
            path = folder / "model.tersor"
            pack(from_onnx(model), path, threads=1)
            return Prepared(load(path.read_bytes(), threads=1))

        @classmethod
        def supports_device(cls, device: str) -> bool:
            return device == "CPU"

    return Tersor


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, type[unittest.TestCase]]:
    """The suite's test cases by class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators of the node tests overflow and divide by zero on purpose
        return BackendTest(backend(tmp_path_factory.mktemp("backend")), __name__).test_cases


def refuses(case: type[unittest.TestCase], name: str) -> bool:
    """Run one test: whether the project refuses its model by name; any other failure is raised."""
    try:
        getattr(case(name), name)()
    except UnsupportedOperator:
        return True
    return False


def outcomes(case: type[unittest.TestCase]) -> tuple[set[str], set[str]]:
    """Run every CPU test: the names of those that pass, and of those that are refused."""
    names = {name for name in vars(case) if name.startswith("test_") and name.endswith("_cpu")}
    refused = {name for name in sorted(names) if refuses(case, name)}
    return names - refused, refused


@pytest.mark.parametrize("suite", REFUSED)
def test_models(suite: str, cases: dict[str, type[unittest.TestCase]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNX_HOME", str(tmp_path))
    passed, refused = outcomes(cases[suite])
    assert refused == REFUSED[suite]
    assert passed


def test_nodes(cases: dict[str, type[unittest.TestCase]]) -> None:
    passed, _ = outcomes(cases["OnnxBackendNodeModelTest"])
    assert len(passed) >= LEAST_PASSING_NODES
