"""How long do published models take, packed without loss, beside ONNX Runtime?

    python benchmarks/latency.py squeezenet.onnx recognizer.onnx@p2o.DynamicDimension.0=1,p2o.DynamicDimension.2=320

``@`` gives the sizes that a model leaves open (they are 1 otherwise). Each model is packed without loss, and ``tersor bench``
runs it beside the same weights in ONNX Runtime, in turns, on one thread and on two. Prints a table for the documentation:
medians of latency in ms, ONNX Runtime's time over ours, and the largest difference of an output.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from tersor.converters import from_onnx
from tersor.packer import Recipe, pack

THREADS = 1, 2


def bench(packed: Path, sizes: list[str], threads: int, rounds: int) -> dict[str, Any]:
    """What ``tersor bench`` measured."""
    chosen = [part for size in sizes for part in ("--size", size)]
    how = ["--against", "onnxruntime", "--threads", str(threads), "--rounds", str(rounds), *chosen, "--json"]
    done = subprocess.run([sys.executable, "-m", "tersor.cli", "bench", str(packed), *how], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def row(model: str, folder: Path, rounds: int) -> str:
    """A line of the table."""
    path, _, given = model.partition("@")
    packed = folder / f"{Path(path).stem}.tersor"
    pack(from_onnx(Path(path)), packed, Recipe.lossless())
    found = [bench(packed, given.split(",") if given else [], threads, rounds) for threads in THREADS]
    cells, worst = [Path(path).stem], 0.0
    for measured in found:
        ours, theirs = (measured["engines"][name] for name in ("tersor", "onnxruntime"))
        cells += [f"{ours['median'] * 1e3:.2f}", f"{theirs['median'] * 1e3:.2f}", f"{theirs['median'] / ours['median']:.2f}"]
        worst = max(worst, ours["difference"])
    return f"| {' | '.join(cells)} | {worst:.1e} |"


def main() -> None:
    """Measure every model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="ONNX[@DIM=N,...]")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each engine takes (9)")
    args = parser.parse_args()
    console = Console(soft_wrap=True)
    columns = [f"{what}, {threads}" for threads in THREADS for what in ("Tersor", "ONNX Runtime", "ratio")]
    console.print(f"| model | {' | '.join(columns)} | difference |", markup=False)
    console.print("| --- |" + " ---: |" * (len(columns) + 1), markup=False)
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models:
            console.print(row(model, Path(folder), args.rounds), markup=False)


if __name__ == "__main__":
    main()
