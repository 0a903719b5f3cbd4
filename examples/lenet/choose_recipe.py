"""Choose the demo's densities: the smallest file that answers as well as the dense network on images it was not trained on.

    python examples/lenet/choose_recipe.py DATA_DIR

DATA_DIR holds MNIST's gzipped IDX files. Candidates are judged on the last 10,000 training images, which the network was not
trained on; the test set is not read. Prints every candidate and the recipe to put into ``cli/demo/recipe.toml``.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np
from mnist import TRAIN_IMAGES, preprocess, read_mnist

from tersor.converters import from_onnx
from tersor.packer import Layer, Recipe, pack
from tersor.runtime import Model, load

MODEL = Path(__file__).parents[2] / "cli" / "demo" / "lenet5.onnx"
CONV_DENSITIES = (0.7, 0.85, 1.0)
FC_DENSITIES = (0.16, 0.20, 0.25, 0.30)
LAST = Layer(bits=4, density=0.5)
ALLOWED_DROP = 0.001


def accuracy(model: Model, x: np.ndarray, labels: np.ndarray) -> float:
    """Share of right answers, in batches of 1,000."""
    name = model.inputs[0].name
    answers = [next(iter(model.run({name: part}).values())).argmax(1) for part in np.split(x, len(x) // 1000)]
    return float((np.concatenate(answers) == labels).mean())


def main() -> None:
    """Try every candidate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    images, labels = read_mnist(parser.parse_args().data, "train")
    x, labels = preprocess(images[TRAIN_IMAGES:]), labels[TRAIN_IMAGES:]
    graph = from_onnx(MODEL)
    with Model(graph) as dense:
        base = accuracy(dense, x, labels)
    print(f"dense: {base:.2%}")
    best: tuple[int, Recipe] | None = None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidate.tersor"
        for conv, fc in itertools.product(CONV_DENSITIES, FC_DENSITIES):
            recipe = Recipe(conv=Layer(bits=5, density=conv), fc=Layer(bits=4, density=fc), rules={"fc2.weight": LAST})
            size = pack(graph, path, recipe).file_bytes
            with load(path) as model:
                found = accuracy(model, x, labels)
            print(f"conv {conv:.0%}, fc {fc:.0%}: {found:.2%} at {size:,} bytes")
            if found >= base - ALLOWED_DROP and (best is None or size < best[0]):
                best = (size, recipe)
    if best is None:
        raise SystemExit(f"no candidate stays within {ALLOWED_DROP:.1%} of the dense network")
    print(f"\nsmallest within {ALLOWED_DROP:.1%} of the dense network, {best[0]:,} bytes:\n{best[1].to_toml()}")


if __name__ == "__main__":
    main()
