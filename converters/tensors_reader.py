"""Tensors without a model: safetensors files, npz archives and torch state dicts → a graph that holds nothing else."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..format_spec.errors import ConversionError, MissingExtra, UnsupportedOperator
from ..format_spec.graph import Graph
from ..format_spec.records import DTYPE_IDS
from ..format_spec.tensors import DenseTensor
from .damage import damage_told
from .element_types import SAFETENSORS_DTYPES, unsupported_type

if TYPE_CHECKING:
    import torch

_TORCH_DAMAGE = (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AssertionError)
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
    Path(path).open("rb").close()  # the system says better than safetensors why a file cannot be opened
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            types = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except SafetensorError as error:
        raise ConversionError(f"{os.fspath(path)} is not a safetensors file, or damaged: {error}") from error

    def tensor(name: str) -> DenseTensor:
        kind, shape = types[name]
        if kind not in SAFETENSORS_DTYPES:
            raise _unsupported(name, kind.lower())

        def read() -> np.ndarray:
            with safe_open(path, framework="numpy") as file:
                return file.get_tensor(name)

        return DenseTensor(SAFETENSORS_DTYPES[kind], shape, read)

    return _graph(path, {name: tensor(name) for name in sorted(types)}, metadata)


def from_npz(path: str | os.PathLike[str]) -> Graph:
    """The arrays of a numpy archive, each read when asked for; pickled objects are refused.

    Raises:
        UnsupportedOperator: an array of objects, text or another type that a file does not hold.
        ConversionError: not an archive of arrays, two arrays of one name, or damage, also when an array is read.
        OSError: the file cannot be read.
    """
    tensors: dict[str, DenseTensor] = {}
    with _npz(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in tensors:
                raise ConversionError(f"{os.fspath(path)} holds two arrays called {name!r}")
            tensors[name] = _from_npz(path, archive, member, name)
    return _graph(path, tensors, {})


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
        return _from_mapping("state_dict", source)
    state = _load(Path(source))
    if not isinstance(state, Mapping):
        raise ConversionError(
            f"{os.fspath(source)} holds an object of type {type(state).__name__}, not a state dict: save model.state_dict()"
        )
    return _from_mapping(source, state)


def _from_mapping(source: str | os.PathLike[str], state: Mapping[Any, Any]) -> Graph:
    """Tensors by name; a name may be a number, as of the layers of a list."""
    return _graph(source, {str(name): _from_torch(str(name), value) for name, value in state.items()}, {})


def _load(path: Path) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("reading torch files needs torch: pip install 'tersor[torch]'") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _TORCH_DAMAGE as error:
        message = f"{path} holds more than tensors, or is no torch file: save model.state_dict() ({type(error).__name__})"
        raise ConversionError(message) from error


def _from_torch(name: str, value: Any) -> DenseTensor:
    """A tensor that looks like ``value``, lazy conjugation and negation included; it is copied only when it is read."""
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if not kind or not hasattr(value, "detach"):
        raise ConversionError(f"{name!r} is of type {type(value).__name__}, not a tensor: give the state dict itself")
    if kind not in DTYPE_IDS:
        raise _unsupported(name, kind)
    layout = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
    if layout != "strided":
        raise ConversionError(f"tensor {name!r} is {layout}, not dense: replace it by its to_dense() in the state dict")
    if value.is_meta:
        raise ConversionError(f"tensor {name!r} is on the meta device and has no elements: load the weights first")

    def read() -> np.ndarray:
        return np.asarray(value.detach().cpu().resolve_conj().resolve_neg().numpy(), order="C")

    return DenseTensor(np.dtype(kind), tuple(value.shape), read)


@contextmanager
def _npz(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """The archive at ``path``; raises :class:`ConversionError` when it is none."""
    with Path(path).open("rb") as file:
        with damage_told(os.fspath(path), "an archive of numpy arrays"):
            archive = zipfile.ZipFile(file)
        with archive:
            yield archive


def _from_npz(path: str | os.PathLike[str], archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> DenseTensor:
    where, what = f"{member.filename!r} in {os.fspath(path)}", "a numpy array"
    with damage_told(where, what), archive.open(member) as file:
        dtype, shape = _header(file, member.file_size)
    native = dtype.newbyteorder("=")
    if native.name not in DTYPE_IDS:
        raise _unsupported(name, native.name)

    def read() -> np.ndarray:
        with _npz(path) as again, damage_told(where, what), again.open(member) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False), native, order="C").reshape(shape)

    return DenseTensor(native, shape, read)


def _header(file: IO[bytes], size: int) -> tuple[np.dtype, tuple[int, ...]]:
    """Element type and shape of the array in a file of ``size`` bytes; raises :class:`ValueError` where they do not fit it."""
    major, _ = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(file)
    except MemoryError as error:  # Python's parser, of nesting: numpy refuses a header of more than 10,000 bytes
        raise ValueError("its header is nested too deep") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"its header declares a negative length: {tuple(shape)}")
    if not dtype.hasobject and prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"its header declares {dtype.name}{list(shape)}, but {size - file.tell():,} bytes follow")
    return dtype, tuple(map(int, shape))


def _unsupported(name: str, kind: str) -> UnsupportedOperator:
    return unsupported_type(f"tensor {name!r}", kind, DTYPE_IDS)


def _graph(source: str | os.PathLike[str], tensors: Mapping[str, DenseTensor], metadata: Mapping[str, str]) -> Graph:
    if "" in tensors:
        raise ConversionError("a tensor has no name")
    return Graph(Path(source).stem, (), (), (), tensors, metadata)
