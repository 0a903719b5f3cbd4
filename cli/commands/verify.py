"""``tersor verify``: is the file whole, and does it still say what the model said?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .._output import bytes_text, json_option, print_json, require

CHECK_FAILED = 11


@click.command(name="verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="MODEL.onnx", help="Also compare outputs with this model's."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="Largest difference allowed with --against, relative to the largest output.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random inputs for --against.")
@json_option
@click.pass_context
def command(ctx: click.Context, file: Path, against: Path | None, tolerance: float, seed: int, as_json: bool) -> None:
    """Verify every checksum of FILE and decode every stream in it.

    With --against, both models also run on the same random inputs (unknown dimensions are taken as 1, or as what the
    model's operators need), and the command fails when an output differs by more than the tolerance. A model packed with
    --lossless should pass at the default; a pruned or shared one differs by what packing cost it.
    """
    result: dict[str, Any] = check_file(file)
    if against is not None:
        result["differences"] = compare(file, against, seed)
        result["ok"] = all(d["relative"] <= tolerance for d in result["differences"])
    if as_json:
        print_json(result)
    else:
        click.echo(
            f"{file}: {result['sections']} sections and {result['tensors']} tensors ({bytes_text(result['bytes'])}) are sound"
        )
        for difference in result.get("differences", ()):
            click.echo(f"  {difference['output']}: differs by at most {difference['relative']:.2e} of the largest value")
    if not result["ok"]:
        click.echo(f"tersor: outputs differ by more than {tolerance:g}", err=True)
        ctx.exit(CHECK_FAILED)


def check_file(file: Path) -> dict[str, Any]:
    """Read every section and decode every tensor; raises what the reader raises at the first defect."""
    from ...format_spec.container import open_container
    from ...format_spec.manifest import graphs
    from ...format_spec.model_file import read_graph
    from ...runtime.decode import decode

    with open_container(file) as container:
        for index in range(len(container.sections)):
            container.section(index)
        tensors = 0
        for graph in graphs(read_graph(container, decode)):
            for name in graph.initializers:
                tensor = graph.initializers[name]
                if not tensor.shape:
                    tensor.dense()
                tensors += 1
        return {
            "file": str(file),
            "bytes": container.length,
            "sections": len(container.sections),
            "tensors": tensors,
            "ok": True,
        }


def compare(file: Path, against: Path, seed: int) -> list[dict[str, Any]]:
    """Run both models on random inputs; per output, the largest difference over the largest magnitude."""
    import numpy as np

    from ...runtime import load
    from .._inputs import random_inputs

    onnxruntime = require("onnxruntime", "bench")
    session = onnxruntime.InferenceSession(str(against), providers=["CPUExecutionProvider"])
    with load(file) as model:
        inputs = random_inputs(model.inputs, seed)
        ours = model.run(inputs)
        theirs = dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))
    found: list[dict[str, Any]] = []
    for name, value in ours.items():
        want, got = np.asarray(theirs[name], np.float64), np.asarray(value, np.float64)
        largest = np.abs(want).max(initial=0)
        difference = np.abs(want - got).max(initial=0)
        found.append({"output": name, "relative": float(difference / largest) if largest else float(difference)})
    return found
