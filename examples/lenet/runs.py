"""What the runs here have in common: their options, a reproducible start, and what a run came to."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from networks import FP32_BYTES, NETWORKS

from tersor.packer import PackReport

PATHS = ("data", "cache", "output", "save_trained")
"""Arguments that are no settings of a run."""


def options(description: str | None) -> argparse.ArgumentParser:
    """A command line with the options of every run."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the IDX files, gzipped")
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", type=int, default=5, help="distorted variants of each training image")
    parser.add_argument("--flip", action="store_true", help="mirror half of the variants")
    parser.add_argument("--cache", type=Path, help="file that keeps variants and teacher's answers between runs")
    return parser


def reproducible(seed: int) -> torch.Generator:
    """One core, deterministic algorithms; the generator that chooses batches. Initial weights depend on ``seed`` too."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def write_summary(args: argparse.Namespace, report: PackReport, before: float | None, held_out: float, started: float) -> None:
    """Print what a run came to, and write it beside ``args.output`` as JSON: ``score.py`` reads it."""
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    summary = {
        "network": args.network,
        "seed": args.seed,
        "file_bytes": report.file_bytes,
        "ratio": FP32_BYTES[args.network] / report.file_bytes,
        "paper_formula_bytes": report.paper.pqh_bits / 8,
        "paper_formula_ratio": FP32_BYTES[args.network] * 8 / report.paper.pqh_bits,
        "held_out_error_before": before,
        "held_out_error": held_out,
        "seconds": round(time.perf_counter() - started),
        "settings": {name: value for name, value in settings.items() if name not in PATHS},
    }
    print(json.dumps(summary))
    args.output.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
