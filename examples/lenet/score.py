"""Score the committed files on the full test sets, through ``tersor.runtime``, and write the tables.

    python examples/lenet/score.py MNIST_DIR [--fashion FASHION_DIR] [--models examples/lenet/models]

Writes ``results.json`` and ``RESULTS.md`` beside the models; without ``--fashion``, what they say about Fashion-MNIST stays.
Needs neither torch nor onnx.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from mnist import preprocess, read_mnist

from tersor.runtime import load

HERE = Path(__file__).parent
FOLDERS = {"mnist": ".", "mnist-dense": "dense", "mnist-pipeline-2016": "pipeline_2016"}
"""Sections of the results and their folders in ``models``."""

FASHION = {"fashion-mnist": "fashion", "fashion-mnist-dense": "fashion/dense"}

TARGETS = {"lenet-300-100": (1_066_440, 1.64), "lenet-5": (1_724_320, 0.80)}
"""Bytes of the fp32 parameters, and the error that the paper's reference network has, in percent."""


def test_error(path: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of (N, 28, 28) uint8 images that the file's network classifies wrongly, in percent."""
    with load(path) as model:
        parts = [model.run({"image": part})["logits"].argmax(1) for part in np.split(preprocess(images), 20)]
    return 100 * float(np.mean(np.concatenate(parts) != labels))


def score(folder: Path, data: Path) -> list[dict[str, Any]]:
    """One row a file of ``folder``, by name: what its run wrote beside it, and the test error."""
    images, labels = read_mnist(data, "t10k")
    rows = []
    for path in sorted(folder.glob("*.tersor")):
        row = {"file": path.name, **json.loads(path.with_suffix(".json").read_text())}
        row["file_bytes"] = path.stat().st_size
        row["ratio"] = TARGETS[row["network"]][0] / row["file_bytes"]
        row["test_error"] = round(test_error(path, images, labels), 2)
        rows.append(row)
    return sorted(rows, key=lambda row: (row["network"], row["settings"].get("bytes", 0), row["seed"]))


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line a file, then the median of each group of seeds, if there are any."""
    head = "| file | bytes | ratio, real bytes | ratio, paper's formula | held-out error | test error |\n"
    lines = [
        f"| `{r['file']}` | {r['file_bytes']:,} | {r['ratio']:.1f} | {r['paper_formula_ratio']:.1f} "
        f"| {r['held_out_error']:.2f} % | {r['test_error']:.2f} % |\n"
        for r in rows
    ]
    return head + "|---|---:|---:|---:|---:|---:|\n" + "".join(lines) + medians_table(medians(rows))


def medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each group of files that only the seed tells apart: count; median, least and most of bytes, ratios and test error."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["file"].removesuffix(f"_{row['seed']}.tersor"), []).append(row)
    figures = ("file_bytes", "ratio", "paper_formula_ratio", "test_error")
    return [
        {"files": f"{stem}_*", "network": group[0]["network"], "seeds": len(group)}
        | {name: _spread([row[name] for row in group]) for name in figures}
        for stem, group in groups.items()
        if len(group) > 1
    ]


def medians_table(groups: list[dict[str, Any]]) -> str:
    """Markdown of :func:`medians`; nothing when there are no groups."""
    lines = [
        f"| `{g['files']}`, {g['seeds']} | {_text(g['file_bytes'], ',.0f')} | {_text(g['ratio'], '.1f')} "
        f"| {_text(g['paper_formula_ratio'], '.1f')} | {_text(g['test_error'], '.2f')} |\n"
        for g in groups
    ]
    head = "\n| median (least to most) of seeds | bytes | ratio, real bytes | ratio, paper's formula | test error, % |\n"
    return head + "|---|---:|---:|---:|---:|\n" + "".join(lines) if lines else ""


def _spread(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


def _text(spread: tuple[float, float, float], form: str) -> str:
    middle, least, most = (format(value, form) for value in spread)
    return f"{middle} ({least} to {most})"


def document(results: dict[str, list[dict[str, Any]]]) -> str:
    """``RESULTS.md``: a section a data set."""
    return "\n".join(f"## {name}\n\n{table(rows)}" for name, rows in results.items())


def merged(scored: dict[str, list[dict[str, Any]]], path: Path) -> dict[str, list[dict[str, Any]]]:
    """``scored``, and the sections that only the results at ``path`` have, if there are any, in the order of the folders."""
    earlier = json.loads(path.read_text())["files"] if path.exists() else {}
    results = {**earlier, **scored}
    return {name: results[name] for name in (*FOLDERS, *FASHION) if name in results}


def main() -> None:
    """Score, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, help="folder with MNIST's IDX files, gzipped")
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST's IDX files, gzipped")
    parser.add_argument("--models", type=Path, default=HERE / "models")
    args = parser.parse_args()
    results = {name: score(args.models / folder, args.mnist) for name, folder in FOLDERS.items()}
    if args.fashion is not None:
        results |= {name: score(args.models / folder, args.fashion) for name, folder in FASHION.items()}
    results = merged(results, args.models / "results.json")
    text = document(results)
    print(text)
    groups = {name: medians(rows) for name, rows in results.items()}
    (args.models / "results.json").write_text(json.dumps({"files": results, "medians": groups}, indent=1) + "\n")
    (args.models / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
