"""Files that models and tensors come from and go to, told apart by their endings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..format_spec.graph import Graph

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


def read_model(path: Path) -> Graph:
    """The model, or the tensors, in the file at ``path``.

    Raises:
        click.UsageError: a file of Keras or TensorFlow Lite.
    """
    from .. import converters

    ending = path.suffix.lower()
    if ending in THROUGH_ONNX:
        raise click.UsageError(
            f"{ending} files are not read, make an ONNX model first: {THROUGH_ONNX[ending].format(file=path)}"
        )
    return getattr(converters, READERS.get(ending, "from_onnx"))(path)


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
