"""A graph's tensors → safetensors files and npz archives, one tensor in memory at a time."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

import numpy as np

from ..format_spec.atomic import atomic_write
from ..format_spec.errors import ConversionError
from ..format_spec.graph import Graph, Tensor, graphs
from ..format_spec.model_file import declared
from .element_types import SAFETENSORS_DTYPES

_NAMES = {dtype.name: name for name, dtype in SAFETENSORS_DTYPES.items()}

_METADATA = "__metadata__"
_ALIGNMENT = 8
_MOST_HEADER_BYTES = 100_000_000
_MOST_MEMBER_NAME_BYTES = (1 << 16) - 1


def to_safetensors(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write every tensor of ``graph`` and its subgraphs, and its metadata, to a safetensors file, bit for bit.

    The file appears whole or not at all.

    Raises:
        ConversionError: two tensors of one name; a name, an element type or a length of all names that safetensors does
            not have.
        OSError: the file cannot be written.
    """
    tensors = _tensors(graph)
    header: dict[str, object] = {_METADATA: dict(graph.metadata)} if graph.metadata else {}
    end = 0
    # Wider elements first, so that all of them are aligned.
    order = sorted(tensors, key=lambda name: (-tensors[name][0].itemsize, name))
    for name in order:
        dtype, shape = tensors[name]
        if name == _METADATA:
            raise ConversionError(f"safetensors keeps the name {name!r} for metadata; write an .npz")
        if dtype.name not in _NAMES:
            raise ConversionError(f"tensor {name!r} is {dtype.name}, which safetensors does not hold; write an .npz")
        start, end = end, end + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype.name], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > _MOST_HEADER_BYTES:
        raise ConversionError(f"names and metadata take {len(text):,} bytes; safetensors reads {_MOST_HEADER_BYTES:,}")
    owners = {name: part.initializers for part in graphs(graph) for name in part.initializers}
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:
            array = owners[name][name].dense()
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def to_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write every tensor of ``graph`` and its subgraphs to a numpy archive, bit for bit; metadata is left out.

    The file appears whole or not at all.

    Raises:
        ConversionError: two tensors of one name, or a name that an archive does not hold.
        OSError: the file cannot be written.
    """
    for name in _tensors(graph):
        _member(name)
    with atomic_write(path) as file:
        _write_members(file, ((name, np.asarray(tensor.dense())) for name, tensor in _items(graph)))


def write_npz(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` as a numpy archive. Unlike ``numpy.savez``, whatever they are called.

    Raises:
        ConversionError: a name that an archive does not hold.
    """
    _write_members(file, arrays.items())


def _write_members(file: IO[bytes], arrays: Iterable[tuple[str, np.ndarray]]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays:
            with archive.open(_member(name), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    """The member that holds the tensor called ``name``."""
    member = f"{name}.npy"
    if "\0" in name:
        raise ConversionError(f"tensor {name!r}: a name in an archive ends at its NUL; write .safetensors")
    if len(member.encode()) > _MOST_MEMBER_NAME_BYTES:
        raise ConversionError(f"tensor {name[:40]!r}... has a name of {len(name):,} characters, too long for an archive")
    return zipfile.ZipInfo(member)


def _items(graph: Graph) -> Iterator[tuple[str, Tensor]]:
    for part in graphs(graph):
        yield from part.initializers.items()


def _tensors(graph: Graph) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Element types and shapes by name."""
    found: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
    for part in graphs(graph):
        for name in part.initializers:
            if name in found:
                raise ConversionError(f"two tensors are called {name!r}, in different subgraphs")
            tensor = declared(part.initializers, name)
            found[name] = (tensor.dtype, tensor.shape)
    return found
