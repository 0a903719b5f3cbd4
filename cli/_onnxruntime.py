"""ONNX Runtime, to compare with: its errors become Tersor's."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..format_spec.errors import ConversionError, InputError, TersorError
from ._output import require


class Dense:
    """An ONNX model, run by ONNX Runtime.

    Raises:
        ConversionError: ONNX Runtime does not read the file.
        MissingExtra: it is not installed.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        runtime = require("onnxruntime", "bench")
        path.open("rb").close()  # the system says better than ONNX Runtime why a file cannot be opened
        self._path = path
        with _as(ConversionError, f"{path}: ONNX Runtime does not read it as an ONNX model"):
            self._session = runtime.InferenceSession(_named(path), _quiet(runtime), providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, np.ndarray], like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs that have the names of ``like``.

        Raises:
            InputError: the model does not take these inputs, or an output is missing or has another shape.
        """
        with _as(InputError, f"{self._path}: does not run on the packed model's inputs"):
            names = [output.name for output in self._session.get_outputs()]
            found = dict(zip(names, self._session.run(None, dict(inputs)), strict=True))
        for name, value in like.items():
            if name not in found:
                raise InputError(f"{self._path}: has no output {name!r}, as the packed model has; it has {', '.join(found)}")
            if found[name].shape != value.shape:
                shapes = f"{list(found[name].shape)}, the packed model's {list(value.shape)}"
                raise InputError(f"{self._path}: output {name!r} has the shape {shapes}")
        return {name: found[name] for name in like}


def _named(path: Path) -> str | bytes:
    """The model's name; or all of it, which ONNX Runtime takes too, where it cannot have such a name."""
    name = str(path)
    return path.read_bytes() if any("\ud800" <= letter <= "\udfff" for letter in name) else name


def _quiet(runtime: ModuleType) -> Any:
    """Options of a session that prints nothing: what it would print comes as an error as well."""
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    return options


@contextmanager
def _as(kind: type[TersorError], what: str) -> Iterator[None]:
    """Turn errors of ONNX Runtime, which have no base of their own, into one of ours."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    errors = tuple(e for e in vars(state).values() if isinstance(e, type) and issubclass(e, Exception))
    try:
        yield
    except (*errors, RuntimeError, ValueError) as error:  # ValueError: names of inputs
        told = str(error).strip() or type(error).__name__
        raise kind(f"{what} ({told.splitlines()[0]})") from None
