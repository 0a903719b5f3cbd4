"""All runs behind ``models/``: both networks, three seeds at the record budget, other budgets for the curve.

    python examples/lenet/record.py MNIST_DIR [--fashion FASHION_DIR] [--models examples/lenet/models] [--cache CACHE_DIR]

Runs whose file exists are left out, so that an interrupted record goes on. Each run takes a few minutes on a quiet core.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SETTINGS = {
    "lenet-5": "--structure 0.5 --rate 2e-3 --steps 1500 3000 2000",
    "lenet-300-100": "--structure 0.5 --steps 3000 6000 4000",
}
RECORD = {"lenet-5": (4_100, "--values 6"), "lenet-300-100": (7_000, "")}
CURVE = {"lenet-5": (2_000, 2_800, 3_800, 6_000), "lenet-300-100": (4_500, 5_700, 10_000)}
FASHION = {"lenet-5": (5_000, 10_000, 20_000), "lenet-300-100": (7_000, 14_000, 28_000)}
SEEDS = (0, 1, 2)


def compress(data: Path, network: str, budget: int, seed: int, folder: Path, *options: str) -> None:
    """One run of ``compress.py``, unless its file is there."""
    output = folder / f"{network}_{budget}_{seed}.tersor"
    if output.exists():
        return
    print(f"== {output.name}", flush=True)
    arguments = [str(data), network, "--bytes", str(budget), "--seed", str(seed), "--output", str(output), *options]
    subprocess.run([sys.executable, str(HERE / "compress.py"), *arguments, *SETTINGS[network].split()], check=True)


def mnist(data: Path, models: Path, cache: Path) -> None:
    """The record and the curve."""
    runs = [(network, budget, seed, extra) for seed in SEEDS for network, (budget, extra) in RECORD.items()]
    runs += [(network, budget, 0, "") for network, budgets in CURVE.items() for budget in budgets]
    for network, budget, seed, extra in runs:
        options = [*extra.split(), "--cache", str(cache / "mnist.pt")]
        options += ["--dense", "demo"] if network == "lenet-5" else []
        compress(data, network, budget, seed, models, *options)


def fashion(data: Path, models: Path, cache: Path) -> None:
    """LeNet-5 learns from labels, then teaches LeNet-300-100."""
    dense = cache / "fashion-lenet-5.npz"
    for network, budgets in FASHION.items():
        for budget in budgets:
            options = ["--variants", "2", "--flip"]
            if network == "lenet-5":
                options += ["--teacher", "none", *(["--dense", str(dense)] if dense.exists() else ["--save-dense", str(dense)])]
            else:
                options += ["--teacher", str(dense), "--cache", str(cache / "fashion.pt")]
            compress(data, network, budget, 0, models / "fashion", *options)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, help="folder with MNIST's IDX files, gzipped")
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST's IDX files, gzipped")
    parser.add_argument("--models", type=Path, default=HERE / "models")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for distorted images and dense networks")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    mnist(args.mnist, args.models, args.cache)
    if args.fashion is not None:
        fashion(args.fashion, args.models, args.cache)


if __name__ == "__main__":
    main()
