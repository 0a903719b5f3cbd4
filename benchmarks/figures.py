"""Measure the README's table and write it there.

    python benchmarks/figures.py --models MODEL_DIR --mnist MNIST_DIR --images IMAGE_DIR

MODEL_DIR holds ``mnist_cnn.onnx`` and ``squeezenet11.onnx``; see ``accuracy.py`` for the others. Latency is the median of runs
in turn with ONNX Runtime on the decoded dense weights, one thread each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from accuracy import Outcome, measure_imagenet, measure_mnist
from pages import write_block

from tersor.cli._engines import Contestant, compete
from tersor.cli.commands.demo import run_demo
from tersor.converters import from_onnx
from tersor.packer import Recipe, pack

HERE = Path(__file__).parent
NAMES = {"lenet-300-100": "LeNet-300-100", "lenet-5": "LeNet-5"}
FP32_BYTES = {"lenet-300-100": 1_066_440, "lenet-5": 1_724_320}
"""Weights and biases of the networks before they were retrained."""


def megabytes(count: int) -> str:
    """A byte count to three digits."""
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"


def row(name: str, how: str, found: Outcome, quality: str) -> str:
    """One line of the table."""
    sizes = f"{megabytes(found.weight_bytes)} | {megabytes(found.packed_bytes)} | {found.ratio:.1f} |"
    return f"| {name} | {how} | {sizes} {quality} |\n"


def lenet5() -> str:
    """The demo's network."""
    with tempfile.TemporaryDirectory() as folder:
        result = run_demo(Path(folder) / "lenet5.tersor", quiet=True)
    weights = sum(t.dense_bytes for t in result["report"].tensors if t.kind != "other")
    found = Outcome(weights, result["packed_bytes"], result["before"]["accuracy"], result["after"]["accuracy"])
    return row("LeNet-5 (`tersor demo`)", "pruned, 5/4 bits", found, f"{found.dense:.1%} → {found.packed:.1%} of 1,000 images")


def alexnet() -> str:
    """The stand-in: random weights at the paper's densities, so that only size and speed mean anything."""
    with tempfile.TemporaryDirectory() as folder:
        dense, packed = Path(folder) / "a.onnx", Path(folder) / "a.tersor"
        subprocess.run([sys.executable, "standins.py", "alexnet", dense], check=True, cwd=HERE)
        report = pack(from_onnx(dense), packed, Recipe.lossless())
        inputs = {"data_0": np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)}
        times = compete(
            [Contestant("tersor", packed), Contestant("onnxruntime", dense)], inputs, 1, rounds=9, round_seconds=0.3
        )
    found = Outcome(sum(t.dense_bytes for t in report.tensors if t.kind != "other"), report.file_bytes, 0, 0)
    ours, theirs = (times[name].median * 1e3 for name in ("tersor", "onnxruntime"))
    quality = f"{ours:.1f} ms an image on one thread; ONNX Runtime, dense: {theirs:.1f} ms"
    return row("AlexNet, random weights", "the paper's densities, 8/5 bits", found, quality)


def retrained() -> list[str]:
    """The two networks of the paper, retrained: medians of the seeds that ``examples/lenet/score.py`` scored."""
    groups = json.loads((HERE.parent / "examples" / "lenet" / "models" / "results.json").read_text())["medians"]
    rows = []
    for group in groups["mnist"]:
        found = Outcome(FP32_BYTES[group["network"]], round(group["file_bytes"][0]), 0, 0)
        best, worst = (f"{100 - error:.2f}" for error in group["test_error"][1:])
        middle = f"{100 - group['test_error'][0]:.2f} %"
        quality = f"{middle} of 10,000 images (median of {group['seeds']} seeds, {worst} to {best} %)"
        rows.append(row(f"{NAMES[group['network']]}, retrained", "[examples/lenet](examples/lenet/README.md)", found, quality))
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("models", "mnist", "images"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    paths = parser.parse_args()
    rows = [lenet5()]
    found = measure_mnist(paths.models / "mnist_cnn.onnx", paths.mnist)
    rows.append(row("MNIST CNN", "pruned, 8/5 bits", found, f"{found.dense:.2%} → {found.packed:.2%} of 10,000 images"))
    found = measure_imagenet(paths.models / "squeezenet11.onnx", paths.images)
    rows.append(
        row("SqueezeNet 1.1", "6 bits, not pruned", found, f"first answers agree on {found.agreement:.1%} of 250 images")
    )
    rows += [alexnet(), *retrained()]
    head = "| network | how | fp32 weights | `.tersor` file | times smaller | measured |\n|---|---|---|---|---|---|\n"
    write_block(HERE.parent / "README.md", "figures", head + "".join(rows))
    print(head + "".join(rows))


if __name__ == "__main__":
    main()
