"""``tersor bench``: how fast a packed model loads and runs, beside ONNX Runtime when asked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from .._output import (
    batch_option,
    bytes_text,
    cache_option,
    counted,
    echo,
    json_option,
    limits_option,
    memory_option,
    print_json,
    print_table,
    require,
    size_option,
    threads_option,
)
from .._sources import loaded, opened
from .._types import FilePath, Number

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...runtime.load import Memory
    from .._types import Sizes

TITLES = {"tersor": "Tersor", "tersor_streamed": "Tersor, streamed", "onnxruntime": "ONNX Runtime"}


@click.command(name="bench")
@click.argument("file", type=FilePath())
@click.option("--against", type=click.Choice(["onnxruntime"]), help="Also run the dense model there, in turn with ours.")
@batch_option
@size_option
@click.option("--rounds", type=click.IntRange(min=1), default=9, show_default=True, help="Turns that each engine takes.")
@click.option("--seconds", type=Number(min=0), default=0.2, show_default=True, help="Length of a turn.")
@threads_option
@memory_option
@cache_option
@limits_option
@json_option
def command(
    file: Path,
    against: str | None,
    batch: int,
    sizes: Sizes,
    rounds: int,
    seconds: float,
    threads: int | None,
    memory: Memory,
    limits: Limits,
    as_json: bool,
) -> None:
    """Time FILE on random inputs: loading, the first run, the median of many, and peak memory.

    With --against onnxruntime (needs tersor[pack,bench]) the same weights, decoded, run there as a dense fp32 model, on as many
    threads. Each engine has a process of its own; they take turns, and their outputs are compared.
    """
    from .._engines import Contestant, compete
    from .._inputs import chosen_sizes, naming_sizes, random_inputs

    with loaded(file, threads=threads, limits=limits) as model:
        chosen = chosen_sizes(file, model.inputs, sizes, batch)
        inputs, used = random_inputs(model.inputs, 0, chosen, limits), model.threads
    with TemporaryDirectory() as folder:
        ours = "tersor" if memory == "expanded" else "tersor_streamed"
        contestants = [Contestant(ours, file, variables={"TERSOR_LIMITS": json.dumps(asdict(limits))})]
        if against is not None:
            contestants.append(Contestant(against, _unpacked(file, Path(folder), limits)))
        with naming_sizes(chosen):
            found = compete(contestants, inputs, used, rounds, seconds)
    result: dict[str, Any] = {"file": str(file), "threads": used, "batch": batch, "rounds": rounds}
    result["engines"] = {name: asdict(latency) for name, latency in found.items()}
    if against is not None:
        result["speedup"] = found[against].median / found[ours].median
    if as_json:
        print_json(result)
    else:
        _show(result)


def _unpacked(file: Path, folder: Path, limits: Limits) -> Path:
    """The model as a dense ONNX file."""
    for module in ("onnx", "onnxruntime"):
        require(module, "pack,bench")
    from ...converters import to_onnx
    from ...format_spec.model_file import read_graph
    from ...runtime.decode import decode

    path = folder / "dense.onnx"
    with opened(file, limits) as container:
        to_onnx(read_graph(container, decode), path)
    return path


def _show(result: dict[str, Any]) -> None:
    title = f"{result['file']}, batch {result['batch']}, {counted(result['threads'], 'thread')}"
    columns = ("engine", ">median ms", ">fastest", ">slowest", ">load ms", ">first run ms", ">peak memory")
    print_table(title, columns, (_engine_row(name, facts) for name, facts in result["engines"].items()))
    if "speedup" in result:
        difference = next(iter(result["engines"].values()))["difference"]
        echo(f"{result['speedup']:.2f} times as fast as ONNX Runtime; outputs differ by {difference:.1e} of the largest value")


def _engine_row(name: str, facts: dict[str, Any]) -> tuple[str, ...]:
    times = [f"{facts[key] * 1e3:.2f}" for key in ("median", "low", "high")]
    start = [f"{facts[key] * 1e3:.0f}" for key in ("load", "first_run")]
    return (TITLES[name], *times, *start, bytes_text(facts["peak"]))
