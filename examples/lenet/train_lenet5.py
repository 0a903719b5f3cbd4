"""Train the LeNet-5 of Caffe (431,080 parameters) on MNIST and export it: the network that ``tersor demo`` packs.

    python examples/lenet/train_lenet5.py DATA_DIR [--output cli/demo]

``DATA_DIR`` holds the four IDX files of MNIST, gzipped. Of the training images the first 50,000 train, each shifted at random,
and the last 10,000 choose the epoch; the test images are read once, after everything is chosen. Runs on one CPU core.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import torch
from mnist import TRAIN_IMAGES, preprocess, read_mnist
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO_IMAGES = 1_000
SHIFT = 2
OPSET = 18
PREPROCESSING = "float32 image = uint8 pixel / 255 (0 black background, 1 white stroke), layout (N, 1, 28, 28)"


class LeNet5(nn.Module):
    """Caffe's LeNet: two convolutions, each followed by max pooling and no activation, then two linear layers with one ReLU."""

    def __init__(self) -> None:
        """Initialise with torch's defaults, from its global generator."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28)."""
        x = functional.max_pool2d(self.conv1(image), 2)
        x = functional.max_pool2d(self.conv2(x), 2)
        return self.fc2(functional.relu(self.fc1(torch.flatten(x, 1))))


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image of (N, 1, 28, 28) moved by its own offset of -SHIFT to SHIFT pixels on each axis, filled with background."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT))
    offsets = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), generator=generator)
    rows = (offsets[0] + torch.arange(height))[:, :, None]
    columns = (offsets[1] + torch.arange(width))[:, None, :]
    return padded[torch.arange(count)[:, None, None], 0, rows, columns][:, None]


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices 0 to count - 1 in random order, ``size`` at a time."""
    yield from torch.randperm(count, generator=generator).split(size)


def errors(network: nn.Module, images: Tensor, labels: Tensor) -> int:
    """How many images the network classifies wrongly."""
    network.eval()
    with torch.inference_mode():
        return sum(int((network(x).argmax(1) != y).sum()) for x, y in zip(images.split(500), labels.split(500), strict=True))


def train(images: Tensor, labels: Tensor, args: argparse.Namespace) -> LeNet5:
    """The network as it was after the epoch with the fewest validation errors (the later one of equals)."""
    generator = torch.Generator().manual_seed(args.seed)
    torch.manual_seed(args.seed)
    network = LeNet5()
    optimizer = torch.optim.SGD(network.parameters(), args.rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = args.epochs * math.ceil(TRAIN_IMAGES / args.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    fewest, best = len(labels), network
    for epoch in range(args.epochs):
        started = time.perf_counter()
        network.train()
        for chosen in batches(TRAIN_IMAGES, args.batch, generator):
            optimizer.zero_grad()
            functional.cross_entropy(network(shifted(images[chosen], generator)), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
        wrong = errors(network, images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:])
        if wrong <= fewest:
            fewest, best = wrong, copy.deepcopy(network)
        print(f"epoch {epoch + 1:2}: {wrong / 100:.2f} % validation error, {time.perf_counter() - started:.0f} s", flush=True)
    return best


def export(network: LeNet5, path: Path) -> None:
    """Write ``network`` as ONNX: ``image`` to ``logits``, free batch dimension ``N``, preprocessing in the metadata."""
    network.eval()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated but keeps parameter names and leaves no source paths in the file.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, 28, 28),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        )
    model = onnx.load(path)
    model.graph.name = "lenet5"
    onnx.helper.set_model_props(model, {"preprocessing": PREPROCESSING, "classes": "0123456789"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def exported_errors(path: Path, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether ONNX Runtime gets each image wrong with the exported file, bool (N,)."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    parts = [session.run(["logits"], {"image": part})[0] for part in np.split(preprocess(images), 20)]
    return np.concatenate([np.asarray(part) for part in parts]).argmax(1) != labels


def main() -> None:
    """Train, export, and print the exported file's test error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the IDX files, gzipped")
    parser.add_argument("--output", type=Path, default=Path("cli/demo"), help="folder for the model and the test images")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.03, help="initial learning rate; falls to 0 along a half cosine")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    images, labels = read_mnist(args.data, "train")
    network = train(torch.from_numpy(preprocess(images)), torch.from_numpy(labels.astype(np.int64)), args)
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "lenet5.onnx"
    export(network, path)

    images, labels = read_mnist(args.data, "t10k")
    first = slice(DEMO_IMAGES)
    np.savez_compressed(args.output / "mnist_test_1000.npz", images=images[first], labels=labels[first])
    wrong = exported_errors(path, images, labels)
    print(f"{path}: {path.stat().st_size:,} bytes")
    print(f"test error {wrong.mean():.2%}, on the first {DEMO_IMAGES:,} images {wrong[first].mean():.2%}")


if __name__ == "__main__":
    main()
