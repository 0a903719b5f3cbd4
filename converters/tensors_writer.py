"""A graph's tensors → safetensors files and npz archives, one tensor in memory at a time."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator

import numpy as np

from ..format_spec.atomic import atomic_write
from ..format_spec.errors import ConversionError
from ..format_spec.graph import Graph, Tensor

_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
    "complex64": "C64",
}

_ALIGNMENT = 8


def to_safetensors(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write every tensor of ``graph`` and its subgraphs, and its metadata, to a safetensors file, bit for bit.

    The file appears whole or not at all.

    Raises:
        ConversionError: two tensors of one name, or an element type that safetensors does not have.
        OSError: the file cannot be written.
    """
    tensors = _tensors(graph)
    header: dict[str, object] = {"__metadata__": dict(graph.metadata)} if graph.metadata else {}
    end = 0
    # Wider elements first, so that all of them are aligned.
    order = sorted(tensors, key=lambda name: (-tensors[name][0].itemsize, name))
    for name in order:
        dtype, shape = tensors[name]
        if dtype.name not in _NAMES:
            raise ConversionError(f"tensor {name!r} is {dtype.name}, which safetensors does not hold; write an .npz")
        start, end = end, end + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype.name], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    readers = dict(_items(graph))
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:
            array = readers[name].dense()
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def to_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write every tensor of ``graph`` and its subgraphs to a numpy archive, bit for bit; metadata is left out.

    The file appears whole or not at all.

    Raises:
        ConversionError: two tensors of one name.
        OSError: the file cannot be written.
    """
    _tensors(graph)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, tensor in _items(graph):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(tensor.dense()), allow_pickle=False)


def _items(graph: Graph) -> Iterator[tuple[str, Tensor]]:
    for part in (graph, *graph.subgraphs()):
        yield from part.initializers.items()


def _tensors(graph: Graph) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Element types and shapes by name."""
    found: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
    for name, tensor in _items(graph):
        if name in found:
            raise ConversionError(f"two tensors are called {name!r}, in different subgraphs")
        found[name] = (tensor.dtype, tensor.shape)
    return found
