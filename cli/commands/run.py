"""``tersor run``: one inference from files to files."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._inputs import Preprocessing, is_image, read_inputs
from .._output import cache_option, echo, json_option, limits_option, memory_option, print_json, print_table, threads_option
from .._sources import keep_apart, loaded
from .._types import FilePath, Number, Numbers

if TYPE_CHECKING:
    import numpy as np

    from ...format_spec.limits import Limits
    from ...runtime.load import Memory
    from ...runtime.plan.trace import Trace

TRACED_RUNS = 10


def _named(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str | None, Path]]:
    """``NAME=FILE`` pairs."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is not NAME=FILE")
    return [(name, FilePath().convert(path, param, ctx)) for name, _, path in (value.partition("=") for value in values)]


@click.command(name="run")
@click.argument("file", type=FilePath())
@click.argument("inputs", nargs=-1, type=FilePath())
@click.option("--input", "-i", "named", multiple=True, callback=_named, metavar="NAME=FILE", help="A file for the input NAME.")
@click.option("--output", "-o", type=FilePath(), metavar="OUT.npz", help="Write every output there.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Largest values to show of each output.")
@click.option("--scale", type=Number(nonzero=True), help="Images: divide pixels by this  [default: 255; 1 for integers],")
@click.option("--mean", type=Numbers(Number()), default="0", show_default=True, metavar="M[,M,M]", help="subtract this,")
@click.option(
    "--std", type=Numbers(Number(nonzero=True)), default="1", show_default=True, metavar="S[,S,S]", help="and divide by this."
)
@click.option("--bgr", is_flag=True, help="Images: channels in the order blue, green, red.")
@click.option(
    "--trace",
    "trace_file",
    type=FilePath(),
    metavar="OUT.json",
    help=f"Run {TRACED_RUNS} times more, show the time of each step, and write a trace that Chrome and Perfetto open.",
)
@threads_option
@memory_option
@cache_option
@limits_option
@json_option
def command(
    file: Path,
    inputs: tuple[Path, ...],
    named: list[tuple[str | None, Path]],
    output: Path | None,
    top: int,
    scale: float | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    bgr: bool,
    trace_file: Path | None,
    threads: int | None,
    memory: Memory,
    limits: Limits,
    as_json: bool,
) -> None:
    """Run FILE on INPUTS: .npy or .npz arrays, or images.

    \b
    tersor run digits.tersor five.png --mean 0.1307 --std 0.3081
    tersor run net.tersor --input tokens=t.npy --input mask=m.npy -o out.npz

    An .npz whose arrays carry the inputs' names gives them all. Several images become one batch; each is resized to what the
    input asks for. Arrays are used exactly as they are.
    """
    import numpy as np

    from ...converters.tensors_writer import write_npz
    from ...format_spec.atomic import atomic_write

    given = [*named, *((None, path) for path in inputs)]
    for written in (output, trace_file):
        keep_apart(written, file, *(path for _, path in given))
    keep_apart(output, trace_file)
    if output is not None and output.suffix.lower() == ".npy":
        raise click.UsageError(f"outputs are written as an archive: {output.with_suffix('.npz')}, not .npy")
    preprocessing = Preprocessing(scale, mean, std, bgr)
    if preprocessing != Preprocessing() and not any(is_image(path) for _, path in given):
        raise click.UsageError("--scale, --mean, --std and --bgr are for images: arrays are used exactly as they are")
    with loaded(file, threads=threads, memory=memory, limits=limits) as model:
        arrays = read_inputs(model.inputs, given, preprocessing)
        begin = time.perf_counter()
        outputs = model.run(arrays)
        seconds = time.perf_counter() - begin
        trace = model.trace(arrays, TRACED_RUNS) if trace_file is not None else None
    if trace is not None and trace_file is not None:
        with atomic_write(trace_file) as stream:
            stream.write(json.dumps(trace.chrome()).encode())
    if output is not None:
        with atomic_write(output) as stream:
            write_npz(stream, outputs)
    if as_json:
        facts = {n: {"dtype": str(v.dtype), "shape": list(v.shape), "top": _largest(v, top)} for n, v in outputs.items()}
        print_json({"seconds": seconds, "outputs": facts, **({"steps": _steps(trace)} if trace is not None else {})})
        return
    for name, value in outputs.items():
        echo(f"{name}: {value.dtype}{list(value.shape)}")
        if unknown := np.count_nonzero(np.isnan(value)) if value.dtype.kind == "f" else 0:
            echo(f"  {unknown:,} of {value.size:,} values are not a number (NaN)")
        rows = ["  ".join(f"{e['index']} = {_short(e['value'])}" for e in entries) for entries in _largest(value, top)[:10]]
        if rows:
            print_table("", (">row", "largest: index = value"), ((str(index), row) for index, row in enumerate(rows)))
    echo(f"{seconds * 1e3:.2f} ms (first run, kernels being prepared)" + (f"; outputs in {output}" if output else ""))
    if trace is not None:
        _show(trace)


def _steps(trace: Trace) -> list[dict[str, Any]]:
    """The time of each step as plain values."""
    from ...runtime.plan.trace import summary

    return [
        {**asdict(row), "seconds": seconds, "share": share, "multiplications_per_second": rate}
        for row, seconds, share, rate in summary(trace)
    ]


def _show(trace: Trace) -> None:
    steps = _steps(trace)
    total = sum(step["seconds"] for step in steps)
    title = f"Steps, median of {len(trace.runs)} runs: {total * 1e3:.2f} ms"
    columns = (">step", "node", "operator", "kernel", "output", ">ms", ">share", ">GMAC/s")
    print_table(title, columns, map(_step_row, steps))


def _step_row(step: dict[str, Any]) -> tuple[str, ...]:
    rate = f"{step['multiplications_per_second'] / 1e9:.1f}" if step["macs"] else ""
    figures = (f"{step['seconds'] * 1e3:.3f}", f"{step['share']:.1%}", rate)
    return (str(step["index"]), step["node"], step["op"], step["kernel"], step["output"], *figures)


def _short(value: float) -> str:
    """An integer whole, another number with four digits."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _largest(array: np.ndarray, top: int) -> list[list[dict[str, float]]]:
    """For each row (leading index), the ``top`` largest entries of what follows, largest first; integers stay integers."""
    import numpy as np

    if not array.size:
        return []
    rows = array.reshape(len(array), -1) if array.ndim > 1 else array.reshape(1, -1)
    whole = array.dtype.kind in "iub"
    best = [np.argsort(~row if whole else -row.astype(np.float64), kind="stable")[:top] for row in rows]
    number = int if whole else float
    return [[{"index": int(i), "value": number(row[i])} for i in order] for row, order in zip(rows, best, strict=True)]
