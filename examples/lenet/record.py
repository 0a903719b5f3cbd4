"""All runs behind ``models/``: dense networks, three seeds at the record budget, the 2016 pipeline, the curve, Fashion-MNIST.

    python examples/lenet/record.py MNIST_DIR [--fashion FASHION_DIR] [--models examples/lenet/models] [--cache CACHE_DIR]

Runs whose file exists are left out, so that an interrupted record goes on. Each run takes a few minutes on a quiet core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SETTINGS = {
    "lenet-5": "--structure 0.5 --rate 2e-3 --steps 1500 3000 2000",
    "lenet-300-100": "--structure 0.5 --steps 0 3500 2000",
}
RECORD = {"lenet-5": (4_100, "--values 6"), "lenet-300-100": (7_000, "")}
CURVE = {"lenet-5": (2_000, 2_800, 3_800, 6_000), "lenet-300-100": (3_500, 5_000, 10_000)}
PIPELINE = {"lenet-5": "--steps 1500", "lenet-300-100": "--steps 6000"}
FASHION = {
    "lenet-5": {5_000: "", 10_000: "--sizes 12 32 200", 20_000: "--sizes 16 40 300"},
    "lenet-300-100": {7_000: "", 14_000: "", 28_000: ""},
}
"""Budgets and what else they need: of the units that LeNet-5 starts from on MNIST, no more than 7,500 bytes come."""

FASHION_STEPS = {"lenet-5": "--steps 800 1600 1200", "lenet-300-100": "--steps 0 3000 2000"}
SEEDS = (0, 1, 2)
DENSE = "dense/lenet-300-100.tersor"


@dataclass(frozen=True)
class Paths:
    """Where data is read and files are written."""

    data: Path
    models: Path
    cache: Path


def run(script: str, paths: Paths, network: str, output: str, *options: str) -> None:
    """One run of ``script``, unless its file is there."""
    path = paths.models / output
    if path.exists():
        return
    print(f"== {output}", flush=True)
    arguments = [str(paths.data), network, "--output", str(path), *(word for option in options for word in option.split())]
    subprocess.run([sys.executable, str(HERE / script), *arguments], check=True)


def compress(paths: Paths, network: str, budget: int, seed: int, *options: str) -> None:
    """One run of ``compress.py`` on MNIST."""
    name = f"{network}_{budget}_{seed}.tersor"
    start = f"--dense {dense(paths, network)} --cache {paths.cache / 'mnist.pt'}"
    run("compress.py", paths, network, name, f"--bytes {budget} --seed {seed}", SETTINGS[network], start, *options)


def dense(paths: Paths, network: str) -> str:
    """The dense network for MNIST that everything starts from, as ``compress.py`` takes it."""
    return "demo" if network == "lenet-5" else str(paths.models / DENSE)


def mnist(paths: Paths) -> None:
    """The dense network, the record and the 2016 pipeline."""
    run("train_dense.py", paths, "lenet-300-100", DENSE, f"--cache {paths.cache / 'mnist.pt'}")
    for seed in SEEDS:
        for network, (budget, extra) in RECORD.items():
            compress(paths, network, budget, seed, extra)
    for seed in SEEDS:
        for network, settings in PIPELINE.items():
            options = f"--dense {dense(paths, network)} --seed {seed} --cache {paths.cache / 'mnist.pt'}"
            run("pipeline_2016.py", paths, network, f"pipeline_2016/{network}_{seed}.tersor", options, settings)


def curve(paths: Paths) -> None:
    """Other budgets on MNIST."""
    for network, budgets in CURVE.items():
        for budget in budgets:
            compress(paths, network, budget, 0)


def fashion(paths: Paths) -> None:
    """The dense LeNet-5 learns from labels, then teaches the dense LeNet-300-100 and both networks while they shrink."""
    variants, cache = "--variants 2 --flip", f"--cache {paths.cache / 'fashion.pt'}"
    starts = {network: f"fashion/dense/{network}.tersor" for network in FASHION}
    teacher = f"--teacher {paths.models / starts['lenet-5']}"
    run("train_dense.py", paths, "lenet-5", starts["lenet-5"], variants, "--steps 2500")
    run("train_dense.py", paths, "lenet-300-100", starts["lenet-300-100"], variants, cache, teacher)
    for network, budgets in FASHION.items():
        for budget, extra in budgets.items():
            start = f"--dense {paths.models / starts[network]}"
            name = f"fashion/{network}_{budget}_0.tersor"
            options = [SETTINGS[network], FASHION_STEPS[network], variants, cache, teacher, start, extra]
            run("compress.py", paths, network, name, f"--bytes {budget}", *options)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, help="folder with MNIST's IDX files, gzipped")
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST's IDX files, gzipped")
    parser.add_argument("--models", type=Path, default=Path(os.path.relpath(HERE / "models")))  # what is written names it
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for distorted images")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    mnist(Paths(args.mnist, args.models, args.cache))
    if args.fashion is not None:
        fashion(Paths(args.fashion, args.models, args.cache))
    curve(Paths(args.mnist, args.models, args.cache))


if __name__ == "__main__":
    main()
