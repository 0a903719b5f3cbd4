"""Latency of the stand-ins beside ONNX Runtime and DeepSparse, in one run.

    python benchmarks/engine.py WORK_DIR --deepsparse /path/to/its/python --json engine.json

Each stand-in (see ``standins.py``) is packed without loss into WORK_DIR, once. Ours runs the packed file; ONNX Runtime and
DeepSparse the dense fp32 model with the same weights, zeros included, at batch 1. Every engine has a process of its own and
they take turns: in each round each engine runs for about a fifth of a second, the others idle. A round's figure is the median
of its runs; printed are the median of the rounds and, in brackets, the smallest and the largest. Outputs are compared with
ONNX Runtime's; a difference above 1e-3 of the largest value ends the benchmark.

DeepSparse needs numpy below 2, so an environment of its own: ``pip install deepsparse==1.8.0`` under Python 3.11. ``--avx2``
keeps our kernels, and nobody else's, to what a processor with AVX2 has.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from pages import write_block
from standins import STAND_INS, build

from tersor.cli._engines import Contestant, Latency, compete
from tersor.converters import from_onnx
from tersor.packer import Recipe, pack

DEEPSPARSE = Path(__file__).with_name("engine_worker.py")
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


def prepare(name: str, work: Path) -> Files:
    """Build and pack the stand-in ``name`` unless ``work``, which is made where it is not there, has it."""
    work.mkdir(parents=True, exist_ok=True)
    files = Files(work / f"{name}.onnx", work / f"{name}.tersor")
    if not files.dense.exists():
        model = build(name.removesuffix(UNPRUNED), pruned=not name.endswith(UNPRUNED))
        partial = files.dense.with_suffix(".part")
        onnx.save(model, partial)
        partial.rename(files.dense)
    if not files.packed.exists():
        pack(from_onnx(files.dense), files.packed, Recipe.lossless())
    return files


def random_input(path: Path) -> dict[str, np.ndarray]:
    """A standard normal array for the only input of an ONNX file."""
    (value,) = onnx.load(path).graph.input
    shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return {value.name: np.random.default_rng(0).standard_normal(shape, np.float32)}


def measure(files: Files, threads: int, rounds: int, *, deepsparse: str | None, avx2: bool) -> dict[str, Latency]:
    """Every engine on one network; ``deepsparse`` is its interpreter."""
    engines = [Contestant("tersor", files.packed, variables=AVX2 if avx2 else {})]
    if deepsparse:
        engines.append(Contestant("deepsparse", files.dense, DEEPSPARSE, deepsparse))
    engines.append(Contestant("onnxruntime", files.dense))
    found = compete(engines, random_input(files.dense), threads, rounds, ROUND_SECONDS)
    for name, latency in found.items():
        if not latency.difference <= TOLERANCE:
            raise SystemExit(f"{name} differs from ONNX Runtime by {latency.difference:.2g} on {files.dense.stem}")
    return found


def row(result: Mapping[str, Any]) -> str:
    """One network and number of threads as a line of markdown, speedups beside the targets of the project."""
    engines: Mapping[str, Mapping[str, float]] = result["engines"]
    cells = [result["network"], str(result["threads"])]
    for name in ("tersor", "onnxruntime", "deepsparse"):
        e = engines.get(name)
        cells.append(f"{e['median'] * 1e3:.2f} ({e['low'] * 1e3:.2f}-{e['high'] * 1e3:.2f})" if e else "")
    for name in ("onnxruntime", "deepsparse"):
        ratio = engines[name]["median"] / engines["tersor"]["median"] if name in engines else None
        target = TARGETS[result["network"]].get(name, 0.0)
        cells.append("" if ratio is None else f"{ratio:.2f} ({'≥' if ratio >= target else '< target'} {target})")
    cells.append(f"{engines['tersor']['difference']:.0e}")
    return f"| {' | '.join(cells)} |"


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results as markdown."""
    head = "| network | threads | ours ms | ONNX Runtime ms | DeepSparse ms | vs ONNX Runtime | vs DeepSparse | difference |"
    return "\n".join([head, "|---|---:|---:|---:|---:|---:|---:|---:|", *map(row, results)])


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
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the table into the block ``engine`` of a page")
    parser.add_argument("--prepare", action="store_true", help="only build and pack the models")
    args = parser.parse_args()
    results = []
    for name in args.networks:
        files = prepare(name, args.work)
        deepsparse = args.deepsparse if "deepsparse" in TARGETS[name] else None
        for threads in [] if args.prepare else args.threads:
            found = measure(files, threads, args.rounds, deepsparse=deepsparse, avx2=args.avx2)
            results.append({"network": name, "threads": threads, "engines": {k: asdict(v) for k, v in found.items()}})
            print(row(results[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    if args.write:
        write_block(args.write, "engine", table(results))
    if results:
        print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
