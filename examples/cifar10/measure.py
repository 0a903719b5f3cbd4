"""Score the files in ``models`` on the CIFAR-10 test set, and the dense network packed without retraining beside them.

    python examples/cifar10/measure.py DATA_DIR

Everything runs through ``tersor.runtime``. Writes ``results.json`` and ``RESULTS.md`` beside the models. Needs torch only to
fold batch norm in the dense network before it is packed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import TRAIN_IMAGES, preprocess, read_cifar
from network import EXPORT, folded, load_state

from tersor.packer import Layer, Recipe, pack
from tersor.packer.training import to_graph
from tersor.runtime import load

HERE = Path(__file__).parent
DENSE = "dense, batch norm folded"
RECIPES = {
    "8 bits": Recipe(conv=Layer(bits=8), fc=Layer(bits=8)),
    "5 bits": Recipe(conv=Layer(bits=5), fc=Layer(bits=5)),
    "4 bits": Recipe(conv=Layer(bits=4), fc=Layer(bits=4)),
    "4 bits, 60 % kept": Recipe(conv=Layer(bits=4, density=0.6), fc=Layer(bits=4)),
    "4 bits, 40 % kept": Recipe(conv=Layer(bits=4, density=0.4), fc=Layer(bits=4)),
    "4 bits, 25 % kept": Recipe(conv=Layer(bits=4, density=0.25), fc=Layer(bits=4)),
}
"""How the dense network is packed without retraining."""


def error(path: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of (N, 32, 32, 3) uint8 images that the file's network classifies wrongly, in percent."""
    with load(path) as model:
        parts = [
            model.run({"image": preprocess(part)})["logits"].argmax(1)
            for part in np.array_split(images, -(-len(images) // 500))
        ]
    return round(100 * float(np.mean(np.concatenate(parts) != labels)), 2)


def document(rows: list[dict[str, Any]]) -> str:
    """``RESULTS.md``: a line a file."""
    head = "| network | bytes | of the fp32 parameters | held-out error | test error |\n|---|---:|---:|---:|---:|\n"
    lines = [
        f"| {r['how']} | {r['file_bytes']:,} | 1/{r['ratio']:.1f} | {r['held_out_error']:.2f} % | {r['test_error']:.2f} % |\n"
        for r in rows
    ]
    return head + "".join(lines)


def main() -> None:
    """Pack, score, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the PNG sprites and labels")
    parser.add_argument("--models", type=Path, default=HERE / "models")
    args = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = read_cifar(args.data, "train")
    held_out, test = (images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]), read_cifar(args.data, "test")
    plain = folded(load_state(args.models / "dense.tersor"))
    fp32 = 4 * sum(parameter.numel() for parameter in plain.parameters())
    graph = to_graph(plain, torch.zeros(2, 3, 32, 32), compact=True, **EXPORT)

    def row(how: str, path: Path) -> dict[str, Any]:
        size = path.stat().st_size
        errors = {"held_out_error": error(path, *held_out), "test_error": error(path, *test)}
        return {"how": how, "file": path.name, "file_bytes": size, "ratio": fp32 / size, **errors}

    rows = [row("dense.tersor: fp16 weights, batch norm not folded", args.models / "dense.tersor")]
    with tempfile.TemporaryDirectory() as folder:
        for how, recipe in {DENSE: Recipe.lossless(), **RECIPES}.items():
            path = Path(folder) / "packed.tersor"
            pack(graph, path, recipe)
            rows.append(row(how if recipe == Recipe.lossless() else f"not retrained: {how}", path))
    retrained = sorted(args.models.glob("retrained_*.tersor"), key=lambda path: -path.stat().st_size)
    rows += [row(f"retrained: `{path.name}`", path) for path in retrained]
    text = document(rows)
    print(text)
    (args.models / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    (args.models / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
