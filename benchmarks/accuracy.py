"""What packing without retraining costs on trained networks, in real bytes of the file.

    python benchmarks/accuracy.py mnist mnist_cnn.onnx MNIST_DIR
    python benchmarks/accuracy.py imagenet squeezenet11.onnx IMAGE_DIR

``mnist``: conv 8 bits, fully connected 5 bits; densities are chosen on training images and the test set is read once.
``imagenet``: 6 bits, nothing pruned, k-means from companded centroids, rounding errors fed back; IMAGE_DIR holds
pictures named CLASS.jpg; the figure is how often the packed network's first answer is the dense network's. ONNX Runtime
runs the dense networks.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from tersor.converters import from_onnx
from tersor.format_spec.graph import Graph
from tersor.packer import Layer, Recipe, pack
from tersor.packer.weights import find_weights
from tersor.runtime import load

CHOOSE_ON = 4_000
LADDER = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.16, 0.12, 0.09, 0.06)
ALLOWED_DROP = 0.0005
# Least error of the outputs on the first 50 of the pictures, among feedback 0 to 0.75 and 0 to 2,000 iterations.
SIX_BITS = Layer(bits=6, init="companding", feedback=0.4, iterations=20)


def read_idx(path: Path, offset: int) -> np.ndarray:
    """The bytes of a gzipped IDX file after its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def mnist(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 1, 28, 28) float32 normalised by mean 0.1307 and deviation 0.3081, and labels (n,)."""
    pixels = read_idx(folder / f"{split}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    return ((pixels / np.float32(255)) - np.float32(0.1307)) / np.float32(0.3081), read_idx(
        folder / f"{split}-labels-idx1-ubyte.gz", 8
    )


def weight_bytes(graph: Graph) -> int:
    """Bytes of the weight matrices as fp32."""
    return sum(4 * part.initializers[name].size for part, name in find_weights(graph))


def answers(path: Path, x: np.ndarray) -> np.ndarray:
    """First output (n, classes) of a packed file, in batches of 500."""
    with load(path) as model:
        name = model.inputs[0].name
        return np.concatenate([next(iter(model.run({name: x[i : i + 500]}).values())) for i in range(0, len(x), 500)])


def dense_runner(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """First output of the dense model in ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: np.asarray(session.run(None, {name: x})[0])


@dataclass(frozen=True)
class Outcome:
    """A packed network beside its dense one: real bytes, fp32 bytes of the weights, and the measured quality of both."""

    weight_bytes: int
    packed_bytes: int
    dense: float
    packed: float
    agreement: float | None = None

    @property
    def ratio(self) -> float:
        """How many times smaller than its fp32 weights the file is."""
        return self.weight_bytes / self.packed_bytes


@dataclass(frozen=True)
class Candidate:
    """Densities of the weight tensors, the bytes of the file, and cross entropy and accuracy on the images that choose."""

    densities: Mapping[str, float]
    size: int
    loss: float
    accuracy: float


def layer(kind: str, density: float) -> Layer:
    """Convolutions at 8 bits, fully connected layers at 5."""
    return Layer(bits=8 if kind == "conv" else 5, density=density, init="companding")


def choose_densities(graph: Graph, x: np.ndarray, labels: np.ndarray, path: Path) -> Candidate:
    """Lower one density after another, always the one that costs least cross entropy per byte saved.

    Stops before the accuracy falls more than :data:`ALLOWED_DROP` below that of the shared, unpruned network.
    """
    kinds = {name: weight.kind for (_, name), weight in find_weights(graph).items()}

    def judge(densities: Mapping[str, float]) -> Candidate:
        rules = {n: layer(kinds[n], d) for n, d in densities.items()}
        size = pack(graph, path, Recipe(rules=rules)).file_bytes
        scores = answers(path, x)
        exact = np.exp(scores - scores.max(1, keepdims=True))
        right = exact[np.arange(len(x)), labels] / exact.sum(1)
        return Candidate(densities, size, float(-np.log(right + 1e-12).mean()), float((scores.argmax(1) == labels).mean()))

    best = judge(dict.fromkeys(kinds, 1.0))
    lowest = best.accuracy - ALLOWED_DROP
    while True:
        lower = [
            judge({**best.densities, name: LADDER[LADDER.index(density) + 1]})
            for name, density in best.densities.items()
            if density > LADDER[-1]
        ]
        allowed = [c for c in lower if c.accuracy >= lowest and c.size < best.size]
        if not allowed:
            return best
        best = min(allowed, key=lambda c: (c.loss - best.loss) / (best.size - c.size))
        print(f"  {best.size:,} bytes, {best.accuracy:.2%}, " + ", ".join(f"{n} {d:.0%}" for n, d in best.densities.items()))


def measure_mnist(model: Path, folder: Path) -> Outcome:
    """Choose densities on training images, then read the test set once."""
    graph, dense = from_onnx(model), dense_runner(model)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "packed.tersor"
        x, labels = mnist(folder, "train")
        chosen = choose_densities(graph, x[:CHOOSE_ON], labels[:CHOOSE_ON], path)
        rules = {n: layer(w.kind, chosen.densities[n]) for (_, n), w in find_weights(graph).items()}
        size = pack(graph, path, Recipe(rules=rules)).file_bytes
        x, labels = mnist(folder, "t10k")
        before, after = (float((scores.argmax(1) == labels).mean()) for scores in (dense(x), answers(path, x)))
    found = Outcome(weight_bytes(graph), size, before, after)
    print(f"{size:,} bytes, {found.ratio:.1f} times smaller than the {found.weight_bytes:,} bytes of fp32 weights")
    print(f"test set: dense {before:.2%}, packed {after:.2%}")
    return found


def read_image(path: Path) -> np.ndarray:
    """(1, 3, 224, 224) float32, BGR, channel means subtracted, as SqueezeNet 1.1 was trained."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((224, 224)), np.float32)[..., ::-1]
    return np.ascontiguousarray((pixels - np.array([103.939, 116.779, 123.68], np.float32)).transpose(2, 0, 1)[None])


def measure_imagenet(model: Path, folder: Path) -> Outcome:
    """Bytes a weight, and agreement of the first answers."""
    graph, dense = from_onnx(model), dense_runner(model)
    images = sorted(folder.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "packed.tersor"
        pack(graph, path, Recipe(SIX_BITS, SIX_BITS))
        size = path.stat().st_size
        with load(path) as packed:
            name = packed.inputs[0].name
            pairs = [(dense(x), next(iter(packed.run({name: x}).values()))) for x in map(read_image, images)]
    same = float(np.mean([a.argmax() == b.argmax() for a, b in pairs]))
    right = [float(np.mean([p[k].argmax() == int(i.stem) for p, i in zip(pairs, images, strict=True)])) for k in (0, 1)]
    found = Outcome(weight_bytes(graph), size, right[0], right[1], same)
    print(f"{size:,} bytes for {found.weight_bytes // 4:,} weights: {4 / found.ratio:.3f} bytes a weight")
    print(f"first answers agree on {same:.1%} of {len(images)} images; top-1 dense {right[0]:.1%}, packed {right[1]:.1%}")
    return found


def main() -> None:
    """Run one of the two measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["mnist", "imagenet"])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    {"mnist": measure_mnist, "imagenet": measure_imagenet}[arguments.what](arguments.model, arguments.data)


if __name__ == "__main__":
    main()
