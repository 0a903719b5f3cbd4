"""The names that users import, and what importing them costs."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

PUBLIC = {
    "tersor.converters": [
        "from_npz",
        "from_onnx",
        "from_safetensors",
        "from_state_dict",
        "from_torch",
        "to_npz",
        "to_onnx",
        "to_safetensors",
    ],
    "tersor.packer": ["Layer", "PackReport", "Recipe", "pack"],
    "tersor.runtime": ["Model", "load", "load_tensors"],
}
SIGNATURES = {
    "tersor.packer.pack": ["graph", "path", "recipe", "limits", "threads", "progress"],
    "tersor.runtime.load": ["source", "threads", "memory", "limits"],
    "tersor.runtime.load_tensors": ["source", "limits"],
    "tersor.runtime.Model.run": ["self", "inputs", "outputs", "out"],
    "tersor.converters.from_onnx": ["source"],
    "tersor.converters.to_onnx": ["graph", "path"],
    "tersor.converters.from_safetensors": ["path"],
    "tersor.converters.from_npz": ["path"],
    "tersor.converters.from_state_dict": ["source"],
    "tersor.converters.to_safetensors": ["graph", "path"],
    "tersor.converters.to_npz": ["graph", "path"],
}
HEAVY = {
    "tersor.runtime": ["numba", "onnx", "torch", "bitarray", "zstandard.backend_cffi", "click", "rich"],
    "tersor.converters": ["onnx", "torch", "numba"],
    "tersor.packer": ["onnx", "torch", "numba", "rich"],
    "tersor.cli.main": ["numpy", "numba", "onnx", "torch", "rich"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(module: str):
    found = importlib.import_module(module)
    assert sorted(found.__all__) == PUBLIC[module]
    assert all(getattr(found, name) is not None for name in PUBLIC[module])


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str):
    module = ".".join(name.split(".")[:2])
    found: Any = importlib.import_module(module)
    for part in name.removeprefix(f"{module}.").split("."):
        found = getattr(found, part)
    assert list(inspect.signature(found).parameters) == SIGNATURES[name]


@pytest.mark.parametrize("module", HEAVY)
def test_imports_stay_light(module: str):
    code = f"import sys, {module}; print([m for m in {HEAVY[module]} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_pack_is_the_function_whatever_was_imported_before():
    code = "import tersor.packer.repack; from tersor.packer import pack; print(callable(pack))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "True"
