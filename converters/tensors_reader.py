"""Tensors without a model: safetensors files, npz archives and torch state dicts → a graph that holds nothing else."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..format_spec.errors import ConversionError, MissingExtra, UnsupportedOperator
from ..format_spec.graph import Graph
from ..format_spec.records import DTYPE_IDS
from ..format_spec.tensors import DenseTensor
from .element_types import unsupported_type

if TYPE_CHECKING:
    import torch

_SAFETENSORS_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
    "C64": np.complex64,
}

_DAMAGE = (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AssertionError)
"""What torch raises for a file that is not one of its own, or holds more than tensors."""


def from_safetensors(path: str | os.PathLike[str]) -> Graph:
    """The tensors of a safetensors file, each read when asked for; its metadata becomes the graph's.

    Raises:
        MissingExtra: safetensors is not installed.
        UnsupportedOperator: an element type that numpy does not have (bfloat16, float8).
        ConversionError: not a safetensors file, or a damaged one.
        OSError: the file cannot be read.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise MissingExtra("reading safetensors files needs safetensors: pip install 'tersor[pack]'") from error
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            types = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except SafetensorError as error:
        raise ConversionError(f"{os.fspath(path)} is not a safetensors file, or damaged: {error}") from error

    def tensor(name: str) -> DenseTensor:
        kind, shape = types[name]
        if kind not in _SAFETENSORS_DTYPES:
            raise _unsupported(name, kind.lower())

        def read() -> np.ndarray:
            with safe_open(path, framework="numpy") as file:
                return file.get_tensor(name)

        return DenseTensor(np.dtype(_SAFETENSORS_DTYPES[kind]), shape, read)

    return _graph(path, {name: tensor(name) for name in sorted(types)}, metadata)


def from_npz(path: str | os.PathLike[str]) -> Graph:
    """The arrays of a numpy archive, each read when asked for; pickled objects are refused.

    Raises:
        UnsupportedOperator: an array of objects, text or another type that a file does not hold.
        ConversionError: not an archive of arrays.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            types = {name.removesuffix(".npy"): _header(archive, name) for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError) as error:
        raise ConversionError(f"{os.fspath(path)} is not an archive of numpy arrays: {error}") from error

    def tensor(name: str) -> DenseTensor:
        dtype, shape = types[name]
        native = dtype.newbyteorder("=")

        def read() -> np.ndarray:
            with np.load(path, allow_pickle=False) as archive:
                return np.ascontiguousarray(archive[name], native).reshape(shape)

        return DenseTensor(_held(name, native), shape, read)

    return _graph(path, {name: tensor(name) for name in types}, {})


def from_state_dict(source: str | os.PathLike[str] | Mapping[str, torch.Tensor]) -> Graph:
    """The tensors of a torch state dict, or of the ``.pt`` or ``.pth`` file that holds one.

    Files are loaded by torch with ``weights_only=True``: what else they pickle is refused, and never run.

    Raises:
        MissingExtra: torch is not installed.
        UnsupportedOperator: an element type that numpy does not have (bfloat16, float8).
        ConversionError: not a state dict.
        OSError: the file cannot be read.
    """
    if isinstance(source, Mapping):
        return _graph("state_dict", {name: _from_torch(name, value) for name, value in source.items()}, {})
    state = _load(Path(source))
    if not isinstance(state, Mapping):
        raise ConversionError(
            f"{os.fspath(source)} holds an object of type {type(state).__name__}, not a state dict: save model.state_dict()"
        )
    return _graph(source, {str(name): _from_torch(str(name), value) for name, value in state.items()}, {})


def _load(path: Path) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("reading torch files needs torch: pip install 'tersor[torch]'") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{path} holds more than tensors, or is no torch file: save model.state_dict() ({reason})"
        raise ConversionError(message) from error


def _from_torch(name: str, value: Any) -> DenseTensor:
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if not kind or not hasattr(value, "detach"):
        raise ConversionError(f"{name!r} is of type {type(value).__name__}, not a tensor: give the state dict itself")
    if kind not in DTYPE_IDS:
        raise _unsupported(name, kind)
    return DenseTensor(np.dtype(kind), tuple(value.shape), lambda: np.ascontiguousarray(value.detach().cpu().numpy()))


def _header(archive: zipfile.ZipFile, name: str) -> tuple[np.dtype, tuple[int, ...]]:
    with archive.open(name) as file:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return dtype, shape


def _held(name: str, dtype: np.dtype) -> np.dtype:
    if dtype.name not in DTYPE_IDS:
        raise _unsupported(name, dtype.name)
    return dtype


def _unsupported(name: str, kind: str) -> UnsupportedOperator:
    return unsupported_type(f"tensor {name!r}", kind, DTYPE_IDS)


def _graph(source: str | os.PathLike[str], tensors: Mapping[str, DenseTensor], metadata: Mapping[str, str]) -> Graph:
    if "" in tensors:
        raise ConversionError("a tensor has no name")
    return Graph(Path(source).stem, (), (), (), tensors, metadata)
