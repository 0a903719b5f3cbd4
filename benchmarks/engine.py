"""Latency of the stand-ins beside ONNX Runtime and DeepSparse, in one run.

    python benchmarks/engine.py WORK_DIR --deepsparse /path/to/its/python --json engine.json

Each stand-in (see ``standins.py``) is packed without loss into WORK_DIR, once. Ours runs the packed file; ONNX Runtime and
DeepSparse the dense fp32 model with the same weights, zeros included, at batch 1. Every engine has a process of its own
(``engine_worker.py``) and they take turns: in each round each engine runs for about a fifth of a second, the others idle. A
round's figure is the median of its runs; printed are the median of the rounds and, in brackets, the smallest and the largest.
Outputs are compared with ONNX Runtime's; a relative difference above 1e-3 of the largest value ends the benchmark.

DeepSparse needs numpy below 2, so an environment of its own: ``pip install deepsparse==1.8.0`` under Python 3.11. ``--avx2``
keeps our kernels, and nobody else's, to what a processor with AVX2 has.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx
from standins import STAND_INS, build

from tersor.converters import from_onnx
from tersor.packer import Recipe, pack

HERE = Path(__file__).parent
ROUND_SECONDS = 0.2
TOLERANCE = 1e-3
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe,+popcnt,+sse4.2"}

UNPRUNED = "-unpruned"
NETWORKS = [*STAND_INS, *(f"{name}{UNPRUNED}" for name in STAND_INS)]
TARGETS = {
    "alexnet": {"onnxruntime": 3.2, "deepsparse": 1.8},
    "resnet50": {"onnxruntime": 5.0, "deepsparse": 1.8},
    "vgg19": {"onnxruntime": 2.1, "deepsparse": 1.1},
    "squeezenet": {"onnxruntime": 1.6, "deepsparse": 1.3},
    **{f"{name}{UNPRUNED}": {"onnxruntime": 0.8} for name in STAND_INS},
}


@dataclass(frozen=True)
class Files:
    """One stand-in on disk."""

    dense: Path
    packed: Path
    input: Path


@dataclass(frozen=True)
class Latency:
    """Seconds of one engine: median, smallest and largest of the rounds' medians; loading, first run, and peak bytes."""

    median: float
    low: float
    high: float
    load: float
    first_run: float
    peak: int
    difference: float


def prepare(name: str, work: Path) -> Files:
    """Build and pack the stand-in ``name`` unless ``work`` has it."""
    files = Files(work / f"{name}.onnx", work / f"{name}.tersor", work / f"{name}.npy")
    if not files.dense.exists():
        model = build(name.removesuffix(UNPRUNED), pruned=not name.endswith(UNPRUNED))
        partial = files.dense.with_suffix(".part")
        onnx.save(model, partial)
        partial.rename(files.dense)
    if not files.packed.exists():
        pack(from_onnx(files.dense), files.packed, Recipe.lossless())
    if not files.input.exists():
        model = onnx.load(files.dense)
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        np.save(files.input, np.random.default_rng(0).standard_normal(shape, np.float32))
    return files


class Worker:
    """An engine with a model loaded, in a process of its own; a context manager that ends it."""

    def __init__(self, python: str, engine: str, model: Path, threads: int, x: Path, variables: Mapping[str, str]) -> None:
        command = [python, str(HERE / "engine_worker.py"), engine, str(model), str(threads), str(x)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
        )
        self.ready = self._answer()

    def ask(self, **order: Any) -> Any:
        """Send one order and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"an engine ended: {self._process.args}")
        return json.loads(line)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate()


def measure(
    files: Files, engines: Mapping[str, tuple[str, Mapping[str, str]]], threads: int, rounds: int
) -> dict[str, Latency]:
    """Run every engine of ``engines`` (name to Python and environment variables) in turn on one network."""
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                Worker(python, name, files.packed if name == "tersor" else files.dense, threads, files.input, variables)
            )
            for name, (python, variables) in engines.items()
        }
        differences = compare(workers, files.input.with_suffix(""))
        once = {name: statistics.median(worker.ask(runs=2)) for name, worker in workers.items()}
        runs = {name: max(2, round(ROUND_SECONDS / seconds)) for name, seconds in once.items()}
        found: dict[str, list[float]] = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                found[name].append(statistics.median(worker.ask(runs=runs[name])))
        return {
            name: Latency(
                statistics.median(found[name]), min(found[name]), max(found[name]), **worker.ready, peak=worker.ask(),
                difference=differences[name],
            )
            for name, worker in workers.items()
        }  # fmt: skip


def compare(workers: Mapping[str, Worker], stem: Path) -> dict[str, float]:
    """Largest difference of each engine's output from ONNX Runtime's, relative to the largest value."""
    outputs = {}
    for name, worker in workers.items():
        path = stem.with_name(f"{stem.name}-{name}-output.npy")
        worker.ask(save=str(path))
        outputs[name] = np.load(path)
    expected = outputs["onnxruntime"]
    found = {name: float(np.abs(y - expected).max() / np.abs(expected).max()) for name, y in outputs.items()}
    for name, difference in found.items():
        if not difference <= TOLERANCE:
            raise SystemExit(f"{name} differs from ONNX Runtime by {difference:.2g} on {stem.name}")
    return found


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results as markdown, speedups beside the targets of the project."""
    lines = ["| network | threads | ours ms | ONNX Runtime ms | DeepSparse ms | vs ONNX Runtime | vs DeepSparse | difference |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for result in results:
        engines: Mapping[str, Mapping[str, float]] = result["engines"]
        cells = [result["network"], str(result["threads"])]
        for name in ("tersor", "onnxruntime", "deepsparse"):
            e = engines.get(name)
            cells.append(f"{e['median'] * 1e3:.2f} ({e['low'] * 1e3:.2f}-{e['high'] * 1e3:.2f})" if e else "")
        for name in ("onnxruntime", "deepsparse"):
            target = TARGETS[result["network"]].get(name)
            ratio = engines[name]["median"] / engines["tersor"]["median"] if name in engines else None
            goal = "" if target is None or ratio is None else f", {'reached' if ratio >= target else 'target'} {target}"
            cells.append("" if ratio is None else f"{ratio:.2f}{goal}")
        cells.append(f"{engines['tersor']['difference']:.1e}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for the models, made when absent")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--deepsparse", metavar="PYTHON", help="interpreter of the environment that has DeepSparse")
    parser.add_argument("--avx2", action="store_true", help="compile our kernels for AVX2")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--prepare", action="store_true", help="only build and pack the models")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    results = []
    for name in args.networks:
        files = prepare(name, args.work)
        if args.prepare:
            continue
        engines = {"tersor": (sys.executable, AVX2 if args.avx2 else {}), "onnxruntime": (sys.executable, {})}
        if args.deepsparse and "deepsparse" in TARGETS[name]:
            engines["deepsparse"] = (args.deepsparse, {})
        for threads in args.threads:
            found = measure(files, engines, threads, args.rounds)
            results.append({"network": name, "threads": threads, "engines": {k: asdict(v) for k, v in found.items()}})
            print(table(results[-1:]).splitlines()[-1], flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    if not args.prepare:
        print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
