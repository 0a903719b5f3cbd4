"""``tersor unpack``: back to ONNX, or to a file of tensors."""

from __future__ import annotations

from pathlib import Path

import click

from ...format_spec.limits import Limits
from .._output import bytes_text, echo, json_option, limits_option, print_json
from .._sources import beside, files_written, keep_apart, opened, write_model
from .._types import FilePath


@click.command(name="unpack")
@click.argument("file", type=FilePath())
@click.argument("output", type=FilePath(), required=False)
@limits_option
@json_option
def command(file: Path, output: Path | None, limits: Limits, as_json: bool) -> None:
    """Write what FILE holds, decoded, for other tools.

    OUTPUT's ending says what to write: .onnx the graph with its weights, .safetensors or .npz the tensors alone. It is FILE
    with the ending .onnx unless given, or .safetensors where FILE has no graph; such a file is only replaced when OUTPUT says
    so, for it may be the model that FILE was packed from. The graph is at the opset that the file holds; names and metadata
    are the source model's. Weights are what FILE holds: bit for bit the source's where it was packed with --lossless.
    """
    from ...format_spec.model_file import read_graph
    from ...runtime.decode import decode

    with opened(file, limits) as container:
        graph = read_graph(container, decode)
        target = output or beside(file, ".onnx" if graph.outputs else ".safetensors")
        for written in files_written(graph, target):
            keep_apart(written, file)
            if output is None and written.exists():
                raise click.UsageError(
                    f"{written} exists, and may be the model that {file} was packed from: give OUTPUT to replace it"
                )
        write_model(graph, target)
    size = target.stat().st_size
    if as_json:
        print_json({"file": str(file), "output": str(target), "bytes": size})
    else:
        echo(f"{target}: {bytes_text(size)} (packed: {bytes_text(file.stat().st_size)})")
