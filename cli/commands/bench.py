"""``tersor bench``: how fast a packed model loads and runs, beside ONNX Runtime when asked."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from .._output import console, json_option, print_json, require, table, threads_option


@click.command(name="bench")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", type=click.Choice(["onnxruntime"]), help="Also run the dense model there, in turn with ours.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Size of every symbolic dimension.")
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True, help="Runs that count.")
@click.option("--warmup", type=click.IntRange(min=0), default=3, show_default=True, help="Runs before them that do not.")
@threads_option
@json_option
def command(file: Path, against: str | None, batch: int, runs: int, warmup: int, threads: int | None, as_json: bool) -> None:
    """Time FILE on random inputs: loading, the first run, and the median of many.

    With --against onnxruntime (needs tersor[pack,bench]) the same decoded weights run there as a dense fp32 model, with the
    same threads, in the same process, run by run in turn.
    """
    from ...runtime import load
    from .._inputs import random_inputs

    begin = time.perf_counter()
    model = load(file, threads=threads)
    loaded = time.perf_counter()
    with model:
        symbols = {d: batch for v in model.inputs for d in v.type.shape or () if isinstance(d, str)}
        inputs = random_inputs(model.inputs, 0, symbols)
        start = time.perf_counter()
        model.run(inputs)
        first = time.perf_counter()
        runners: dict[str, Callable[[], object]] = {"tersor": lambda: model.run(inputs)}
        if against is not None:
            runners["onnxruntime"] = onnxruntime_runner(file, inputs, model.threads)
        times = in_turn(runners, runs, warmup)
        used = model.threads
    result: dict[str, Any] = {"file": str(file), "threads": used, "runs": runs}
    result |= {"load_seconds": loaded - begin, "first_run_seconds": first - start, "latency": times}
    if "onnxruntime" in times:
        result["speedup"] = times["onnxruntime"]["median"] / times["tersor"]["median"]
    if as_json:
        print_json(result)
        return
    shown = table(f"{file} on {used} threads", "engine", ">median ms", ">fastest ms", ">slowest ms")
    for name, figures in times.items():
        shown.add_row(name, *(f"{figures[key] * 1e3:.3f}" for key in ("median", "min", "max")))
    console().print(shown)
    click.echo(f"load {result['load_seconds'] * 1e3:.0f} ms, first run {result['first_run_seconds'] * 1e3:.0f} ms")
    if "speedup" in result:
        click.echo(f"{result['speedup']:.2f} times as fast as ONNX Runtime")


def in_turn(runners: Mapping[str, Callable[[], object]], runs: int, warmup: int) -> dict[str, dict[str, float]]:
    """Call the runners one after another, ``warmup + runs`` times; seconds of the last ``runs`` calls of each."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(warmup + runs):
        for name, run in runners.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    counted = {name: values[warmup:] for name, values in times.items()}
    return {name: {"median": statistics.median(v), "min": min(v), "max": max(v)} for name, v in counted.items()}


def onnxruntime_runner(file: Path, inputs: Mapping[str, np.ndarray], threads: int) -> Callable[[], object]:
    """ONNX Runtime on the decoded model."""
    import tempfile

    from ...converters import to_onnx
    from ...format_spec.container import open_container
    from ...format_spec.model_file import read_graph
    from ...runtime.decode import decode

    onnxruntime = require("onnxruntime", "bench")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dense.onnx"
        with open_container(file) as container:
            to_onnx(read_graph(container, decode), path)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, dict(inputs))
