"""What packing without retraining costs on trained networks, in real bytes of the file.

    python benchmarks/accuracy.py mnist mnist_cnn.onnx MNIST_DIR
    python benchmarks/accuracy.py imagenet squeezenet11.onnx IMAGE_DIR

``mnist``: conv 8 bits, fully connected 5 bits; densities are chosen on training images and the test set is read once.
``imagenet``: 6 bits, nothing pruned; IMAGE_DIR holds pictures named CLASS.jpg; the figure is how often the packed network's
first answer is the dense network's. ONNX Runtime runs the dense networks.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from tersor.converters import from_onnx
from tersor.format_spec.graph import Graph
from tersor.packer import Layer, Recipe, pack
from tersor.packer.targets import find_weights
from tersor.runtime import load

CHOOSE_ON = 20_000
CONV_DENSITIES = (0.35, 0.45, 0.55, 0.65)
FC_DENSITIES = (0.06, 0.08, 0.10, 0.13, 0.17)
ALLOWED_DROP = 0.001


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
    return sum(4 * graph.initializers[name].size for name in find_weights(graph))


def packed_accuracy(path: Path, x: np.ndarray, labels: np.ndarray) -> float:
    """Share of right answers of a packed file, in batches of 500."""
    with load(path) as model:
        name = model.inputs[0].name
        outputs = [next(iter(model.run({name: x[i : i + 500]}).values())).argmax(1) for i in range(0, len(x), 500)]
    return float((np.concatenate(outputs) == labels).mean())


def dense_runner(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """First output of the dense model in ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: np.asarray(session.run(None, {name: x})[0])


def measure_mnist(model: Path, folder: Path) -> None:
    """Choose densities on training images, then read the test set once."""
    graph, dense = from_onnx(model), dense_runner(model)
    x, labels = (part[:CHOOSE_ON] for part in mnist(folder, "train"))
    base = float((dense(x).argmax(1) == labels).mean())
    print(f"dense, {CHOOSE_ON:,} training images: {base:.2%}; fp32 weights {weight_bytes(graph):,} bytes")
    with tempfile.TemporaryDirectory() as scratch:
        best: tuple[int, float, float, Path] | None = None
        for conv, fc in itertools.product(CONV_DENSITIES, FC_DENSITIES):
            path = Path(scratch) / f"{conv}-{fc}.tersor"
            pack(graph, path, Recipe(Layer(bits=8, density=conv), Layer(bits=5, density=fc)))
            accuracy, size = packed_accuracy(path, x, labels), path.stat().st_size
            print(f"  conv {conv:.0%}, fc {fc:.0%}: {accuracy:.2%} at {size:,} bytes")
            if accuracy >= base - ALLOWED_DROP and (best is None or size < best[0]):
                best = (size, conv, fc, path)
        if best is None:
            raise SystemExit(f"no densities keep the accuracy within {ALLOWED_DROP:.1%} of the dense network's")
        size, conv, fc, path = best
        x, labels = mnist(folder, "t10k")
        before, after = float((dense(x).argmax(1) == labels).mean()), packed_accuracy(path, x, labels)
    times = weight_bytes(graph) / size
    print(f"chosen: conv {conv:.0%}, fc {fc:.0%}, {size:,} bytes, {times:.1f} times smaller than the fp32 weights")
    print(f"test set: dense {before:.2%}, packed {after:.2%}")


def read_image(path: Path) -> np.ndarray:
    """(1, 3, 224, 224) float32, BGR, channel means subtracted, as SqueezeNet 1.1 was trained."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((224, 224)), np.float32)[..., ::-1]
    return np.ascontiguousarray((pixels - np.array([103.939, 116.779, 123.68], np.float32)).transpose(2, 0, 1)[None])


def measure_imagenet(model: Path, folder: Path) -> None:
    """Bytes a weight, and agreement of the first answers."""
    graph, dense = from_onnx(model), dense_runner(model)
    images = sorted(folder.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "packed.tersor"
        pack(graph, path, Recipe(Layer(bits=6), Layer(bits=6)))
        size = path.stat().st_size
        with load(path) as packed:
            name = packed.inputs[0].name
            pairs = [(dense(x), next(iter(packed.run({name: x}).values()))) for x in map(read_image, images)]
    same = np.mean([a.argmax() == b.argmax() for a, b in pairs])
    right = [np.mean([p[k].argmax() == int(i.stem) for p, i in zip(pairs, images, strict=True)]) for k in (0, 1)]
    weights = weight_bytes(graph) // 4
    print(f"{size:,} bytes for {weights:,} weights: {size / weights:.3f} bytes a weight")
    print(f"first answers agree on {same:.1%} of {len(images)} images; top-1 dense {right[0]:.1%}, packed {right[1]:.1%}")


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
