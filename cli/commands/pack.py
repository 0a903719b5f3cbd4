"""``tersor pack``: an ONNX model, or a file of tensors, becomes a .tersor file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...format_spec.limits import Limits
from .._output import echo, json_option, limits_option, print_json, progress, threads_option
from .._recipe import make_recipe, recipe_options
from .._sources import beside, files_read, keep_apart, naming, read_model
from .._types import FilePath


@click.command(name="pack")
@click.argument("model", type=FilePath())
@click.option("--output", "-o", type=FilePath(), metavar="FILE", help="[default: MODEL with the ending .tersor]")
@recipe_options
@threads_option
@click.option("--quiet", "-q", is_flag=True, help="No progress bar, no report.")
@limits_option
@json_option
def command(
    model: Path, output: Path | None, threads: int | None, quiet: bool, limits: Limits, as_json: bool, **flags: Any
) -> None:
    """Prune, share and encode the weights of MODEL into one small file.

    MODEL is an ONNX model; or tensors without a graph, for those who keep their own model code and read them with
    tersor.runtime.load_tensors: .safetensors, .npz, or a torch state dict (.pt, .pth).

    \b
    tersor pack net.onnx                                     8-bit sharing, nothing pruned
    tersor pack net.onnx --lossless                          every bit kept
    tersor pack net.onnx --conv-bits 8 --conv-density 0.4 --fc-bits 5 --fc-density 0.1
    tersor pack net.onnx --bits 6 --keep 'head.*' --rule 'fc1.weight=bits:4,density:0.08'

    Where no option says how to prune or to share, all weights are shared at 8 bits; where one does, what no option names stays
    as it is. MODEL is not modified. Pruning without retraining costs accuracy: measure it (tersor verify --against, tersor
    run), and start from densities of 0.3 to 0.6.
    """
    from ...packer import pack

    target = output or beside(model, ".tersor")
    keep_apart(target, model, flags["recipe"])
    recipe = make_recipe(flags)
    with naming(model), progress(f"packing {model.name}", quiet or as_json) as step:
        if target.exists():  # the model is parsed once more to know, and let go before it is read
            keep_apart(target, *files_read(model))
        report = pack(read_model(model), target, recipe, threads=threads, progress=step, limits=limits)
    if as_json:
        print_json({"output": str(target), **report.to_dict()})
    elif not quiet:
        echo(*str(report).splitlines())
        echo(f"wrote {target}")
