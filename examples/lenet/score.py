"""Score the committed files on the full test sets, through ``tersor.runtime``, and write the tables.

    python examples/lenet/score.py MNIST_DIR [--fashion FASHION_DIR] [--models examples/lenet/models]

Writes ``results.json`` and ``RESULTS.md`` beside the models. Needs neither torch nor onnx.
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
    return sorted(rows, key=lambda row: (row["network"], row["settings"]["bytes"], row["seed"]))


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line a file, then the median of each group of seeds."""
    head = "| file | bytes | ratio, real bytes | ratio, paper's formula | held-out error | test error |\n"
    lines = [
        f"| `{r['file']}` | {r['file_bytes']:,} | {r['ratio']:.0f} | {r['paper_formula_ratio']:.0f} "
        f"| {r['held_out_error']:.2f} % | {r['test_error']:.2f} % |\n"
        for r in rows
    ]
    return head + "|---|---:|---:|---:|---:|---:|\n" + "".join(lines) + "\n" + _medians(rows)


def document(results: dict[str, list[dict[str, Any]]]) -> str:
    """``RESULTS.md``: a section a data set."""
    return "\n".join(f"## {name}\n\n{table(rows)}" for name, rows in results.items())


def _medians(rows: list[dict[str, Any]]) -> str:
    text = (
        "| network, budget | seeds | median bytes (least to most) | median test error (least to most) |\n|---|---:|---:|---:|\n"
    )
    for key in sorted({(row["network"], row["settings"]["bytes"]) for row in rows}):
        group = [row for row in rows if (row["network"], row["settings"]["bytes"]) == key]
        sizes, errors = ([row[name] for row in group] for name in ("file_bytes", "test_error"))
        text += (
            f"| {key[0]}, {key[1]:,} | {len(group)} | {statistics.median(sizes):,.0f} ({min(sizes):,} to {max(sizes):,}) "
            f"| {statistics.median(errors):.2f} % ({min(errors):.2f} to {max(errors):.2f}) |\n"
        )
    return text


def main() -> None:
    """Score, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, help="folder with MNIST's IDX files, gzipped")
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST's IDX files, gzipped")
    parser.add_argument("--models", type=Path, default=HERE / "models")
    args = parser.parse_args()
    results = {"mnist": score(args.models, args.mnist)}
    if args.fashion is not None:
        results["fashion-mnist"] = score(args.models / "fashion", args.fashion)
    text = document(results)
    print(text)
    (args.models / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.models / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
