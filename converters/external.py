"""Tensors whose bytes lie in a file beside the model (ONNX external data)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

import numpy as np
from google.protobuf.message import Message
from onnx import ModelProto, TensorProto

from ..format_spec.errors import ConversionError
from .check import fields


def external_reader(proto: TensorProto, dtype: np.dtype, folder: Path | None) -> Callable[[], np.ndarray]:
    """What reads ``proto`` from its data file, memory-mapped anew by each call.

    ``folder`` is the model's; ``None`` means that the model did not come from a path.

    Raises:
        ConversionError: no folder, a location outside it, or a range that the data file does not hold.
    """
    where = f"external tensor {proto.name!r}"
    if folder is None:
        raise ConversionError(
            f"{where}: a model with external data must be given as a path, so that its data file can be found"
        )
    entries = {entry.key: entry.value for entry in proto.external_data}
    path = _data_file(entries.get("location", ""), folder, where)
    shape = tuple(proto.dims)
    needed = prod(shape) * dtype.itemsize
    offset = _number(entries, "offset", 0, where)
    length = _number(entries, "length", needed, where)
    if length != needed:
        raise ConversionError(f"{where}: length is {length:,} bytes but shape {list(shape)} of {dtype} takes {needed:,}")
    size = path.stat().st_size
    if offset + length > size:
        raise ConversionError(f"{where}: bytes {offset:,} to {offset + length:,} lie beyond {path.name} ({size:,} bytes)")
    stored = dtype.newbyteorder("<")

    def read() -> np.ndarray:
        if not needed:
            return np.empty(shape, dtype)
        array = np.asarray(np.memmap(path, stored, "r", offset, (prod(shape),)))
        return array.astype(dtype, copy=False).reshape(shape)

    return read


def data_files(model: ModelProto, folder: Path) -> set[Path]:
    """The files that tensors of ``model``, wherever they are in it, lie in; ``folder`` is the model's. None is opened.

    Raises:
        ConversionError: a location outside the folder, or one where no file is.
    """
    external = (proto for proto in _tensors(model) if proto.data_location == TensorProto.EXTERNAL)
    return {
        _data_file(entry.value, folder, f"external tensor {proto.name!r}")
        for proto in external
        for entry in proto.external_data
        if entry.key == "location"
    }


def _tensors(message: Message) -> Iterator[TensorProto]:
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in fields(message):
        if field.type == field.TYPE_MESSAGE:
            for item in (value,) if isinstance(value, Message) else value:
                yield from _tensors(item)


def _data_file(location: str, folder: Path, where: str) -> Path:
    root = folder.resolve()
    # Backslashes and drive letters must not mean one thing here and another on Windows.
    if not location or "\\" in location or ":" in location or Path(location).is_absolute():
        raise ConversionError(f"{where}: location {location!r} is not a relative POSIX path")
    path = (root / location).resolve()
    if not path.is_relative_to(root):
        raise ConversionError(f"{where}: location {location!r} leaves the model's folder")
    if not path.is_file():
        raise ConversionError(f"{where}: the data file {location!r} is missing beside the model")
    return path


def _number(entries: dict[str, str], key: str, default: int, where: str) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ConversionError(f"{where}: {key} {text!r} is not a whole number")
    return int(text)
