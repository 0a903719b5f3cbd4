"""Files that models and tensors come from and go to: told apart by their endings, named in errors, kept from one another."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..format_spec.container import open_container
from ..format_spec.errors import ConversionError, FormatError, LimitError, PlanError, RecipeError, SignatureError
from ..format_spec.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from ..format_spec.container import Container
    from ..format_spec.graph import Graph
    from ..runtime.model import Model

READERS = {
    ".safetensors": "from_safetensors",
    ".npz": "from_npz",
    ".pt": "from_state_dict",
    ".pth": "from_state_dict",
}
"""The function of :mod:`tersor.converters` for each ending; ONNX for any other."""

THROUGH_ONNX = {
    ".tflite": "python -m tf2onnx.convert --tflite {file} --output model.onnx",
    ".keras": 'keras.models.load_model("{file}").export("model.onnx", format="onnx")',
    ".h5": 'keras.models.load_model("{file}").export("model.onnx", format="onnx")',
}
"""How models that are not read become ONNX models, by ending."""

WRITERS = {".onnx": "to_onnx", ".safetensors": "to_safetensors", ".npz": "to_npz"}


OF_A_FILE = (FormatError, LimitError, ConversionError, PlanError, RecipeError, SignatureError)
"""Errors about what a file holds. Those who raise them may have nothing but its bytes."""


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Errors about what ``file`` holds begin with its name, once."""
    try:
        yield
    except OF_A_FILE as error:
        if not str(error).startswith((f"{file}: ", f"{file} ")):
            error.args = (f"{file}: {error}",)
        raise


@contextmanager
def opened(file: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Container]:
    """:func:`open_container`, with errors that name the file."""
    with naming(file), open_container(file, limits) as container:
        yield container


@contextmanager
def loaded(file: Path, **settings: Any) -> Iterator[Model]:
    """:func:`tersor.runtime.load`, with errors that name the file, those of its runs included."""
    from ..runtime import load

    with naming(file), load(file, **settings) as model:
        yield model


def beside(file: Path, ending: str) -> Path:
    """The output that a verb writes unless another is given: ``file`` with another ending.

    Raises:
        IsADirectoryError: ``file`` is a folder.
    """
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(file))
    return file.with_suffix(ending)


def keep_apart(output: Path | None, *others: Path | None) -> None:
    """Refuse an output that would replace what the verb reads, or writes besides.

    Raises:
        click.UsageError: it is one of ``others``, under whatever name.
    """
    for other in others:
        if output is not None and other is not None and _same(output, other):
            raise click.UsageError(f"the output would replace {other}: name another one")


def _same(a: Path, b: Path) -> bool:
    return os.path.realpath(a) == os.path.realpath(b) or (a.exists() and b.exists() and a.samefile(b))


def read_model(path: Path) -> Graph:
    """The model, or the tensors, in the file at ``path``.

    Raises:
        click.UsageError: a file of Keras or TensorFlow Lite.
    """
    from .. import converters

    reader = _reader(path)
    with naming(path):
        return getattr(converters, reader)(path)


def files_read(path: Path) -> set[Path]:
    """The files that :func:`read_model` reads: the one at ``path``, and an ONNX model's external data.

    A pipe, which can be read once, comes alone.

    Raises:
        click.UsageError: a file of Keras or TensorFlow Lite.
    """
    from .. import converters

    if _reader(path) != "from_onnx" or path.is_fifo():
        return {path}
    with naming(path):
        return converters.files_read(path)


def _reader(path: Path) -> str:
    """The name of the function that reads the file at ``path``."""
    ending = path.suffix.lower()
    if ending in THROUGH_ONNX:
        command = THROUGH_ONNX[ending].format(file=path)
        raise click.UsageError(f"{ending} files are not read, make an ONNX model first: {command}")
    return READERS.get(ending, "from_onnx")


def files_written(graph: Graph, path: Path) -> tuple[Path, ...]:
    """The files that :func:`write_model` makes or replaces."""
    from .. import converters

    return converters.files_written(graph, path) if WRITERS.get(path.suffix.lower()) == "to_onnx" else (path,)


def write_model(graph: Graph, path: Path) -> None:
    """Write ``graph``, or its tensors, as the ending of ``path`` says.

    Raises:
        click.UsageError: an ending that is not known, or an ONNX file for a graph that holds only tensors.
    """
    from .. import converters

    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise click.UsageError(f"cannot tell what to write from the ending of {path.name}: {', '.join(WRITERS)}")
    if writer == "to_onnx" and not graph.outputs:
        raise click.UsageError(f"the file holds tensors and no graph: write {path.stem}.safetensors or {path.stem}.npz")
    getattr(converters, writer)(graph, path)
