"""Time and peak memory of packing large models whose weights are external data, each in a process of its own.

    python benchmarks/large_models.py vgg16 --folder SCRATCH
    python benchmarks/large_models.py external --folder SCRATCH

``vgg16``: 138 M He-normal weights, pruned and shared by the packer at the densities and bits of Deep Compression's Table 5.
``external``: 4.3 GB in sixteen matrices of 256 MiB, a tenth of it kept, 5 bits. Peak memory is the operating system's figure.
The files are removed at the end. Yardstick from the same run: ``numpy.sort`` of 37.7 M weights.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from standins import IR_VERSION, VGG19_DENSITIES

VGG16 = {
    **{"conv1_1": (64, 3), "conv1_2": (64, 64), "conv2_1": (128, 64), "conv2_2": (128, 128)},
    **{"conv3_1": (256, 128), "conv3_2": (256, 256), "conv3_3": (256, 256)},
    **{"conv4_1": (512, 256), "conv4_2": (512, 512), "conv4_3": (512, 512)},
    **{"conv5_1": (512, 512), "conv5_2": (512, 512), "conv5_3": (512, 512)},
    **{"fc6": (4096, 25088), "fc7": (4096, 4096), "fc8": (1000, 4096)},
}
SIDE, MATRICES, DENSITY = 8192, 16, 0.1

PACK = """
import json, resource, sys, time
from tersor.converters import from_onnx
from tersor.packer import Layer, Recipe, pack
source, target, rules, threads = sys.argv[1:]
rules = {name: Layer(bits=bits, density=density) for name, (bits, density) in json.loads(rules).items()}
begin = time.perf_counter()
pack(from_onnx(source), target, Recipe(rules=rules), threads=int(threads))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - begin, "peak": peak}))
"""


@dataclass(frozen=True)
class Network:
    """Nodes in a chain, their weights' shapes by name, and how the packer treats each: bits and density."""

    nodes: list[onnx.NodeProto]
    inputs: tuple[int, ...]
    weights: dict[str, tuple[int, ...]]
    rules: dict[str, tuple[int, float]]


def vgg16() -> Network:
    """VGG-16: thirteen convolutions and three fully connected layers."""
    nodes, shapes, before = [], {}, "x"
    for name, shape in VGG16.items():
        is_conv = name.startswith("conv")
        shapes[name] = (*shape, 3, 3) if is_conv else shape
        if name == "fc6":
            nodes.append(helper.make_node("Flatten", [before], ["flat"]))
            before = "flat"
        names = [before, name], [f"{name}_out"]
        layer = helper.make_node("Conv", *names, pads=[1, 1, 1, 1]) if is_conv else helper.make_node("Gemm", *names, transB=1)
        nodes.append(layer)
        nodes.append(helper.make_node("Relu", [f"{name}_out"], [f"{name}_relu"]))
        before = f"{name}_relu"
        if name in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
            nodes.append(helper.make_node("MaxPool", [before], [f"{name}_pool"], kernel_shape=[2, 2], strides=[2, 2]))
            before = f"{name}_pool"
    rules = {name: (8 if name.startswith("conv") else 5, VGG19_DENSITIES[name]) for name in VGG16}
    return Network(nodes, (1, 3, 224, 224), shapes, rules)


def external() -> Network:
    """A chain of square matrices."""
    names = [f"matrix{i}" for i in range(MATRICES)]
    nodes = [helper.make_node("MatMul", [f"{i}" if i else "x", name], [f"{i + 1}"]) for i, name in enumerate(names)]
    return Network(nodes, (1, SIDE), dict.fromkeys(names, (SIDE, SIDE)), dict.fromkeys(names, (5, DENSITY)))


NETWORKS = {"vgg16": vgg16, "external": external}


def drawn(shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, np.ndarray]]:
    """He-normal weights, one tensor at a time."""
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        weights = rng.standard_normal(shape, np.float32)
        weights *= np.float32(sqrt(2 / prod(shape[1:])))
        yield name, weights


def write(network: Network, path: Path) -> int:
    """Write the model, its weights in a file beside it; returns the weights' bytes."""
    initializers, at = [], 0
    with path.with_suffix(".data").open("wb") as file:
        for name, weights in drawn(network.weights):
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=weights.shape, data_location=TensorProto.EXTERNAL)
            places = {"location": path.with_suffix(".data").name, "offset": at, "length": weights.nbytes}
            for key, value in places.items():
                tensor.external_data.add(key=key, value=str(value))
            initializers.append(tensor)
            file.write(weights.data)
            at += weights.nbytes
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, network.inputs)]
    outputs = [helper.make_tensor_value_info(network.nodes[-1].output[0], TensorProto.FLOAT, None)]
    graph = helper.make_graph(network.nodes, "large", inputs, outputs, initializers)
    onnx.save(helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", 17)]), path)
    return at


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--folder", type=Path, help="where the files go for as long as it takes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    network = NETWORKS[options.network]()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, target = Path(folder) / "large.onnx", Path(folder) / "large.tersor"
        size = write(network, source)
        weights = np.random.default_rng(0).standard_normal(9216 * 4096, np.float32)
        begin = time.perf_counter()
        np.sort(weights)
        print(f"yardstick: numpy.sort of 37.7 M weights {time.perf_counter() - begin:.2f} s", flush=True)
        arguments = [str(source), str(target), json.dumps(network.rules), str(options.threads)]
        done = subprocess.run([sys.executable, "-c", PACK, *arguments], check=True, stdout=subprocess.PIPE, text=True)
        figures = json.loads(done.stdout)
        print(
            f"{options.network}: {size:,} bytes of weights to {target.stat().st_size:,} in {figures['seconds']:.1f} s "
            f"on {options.threads} threads, peak {figures['peak'] / 1e6:,.0f} MB"
        )


if __name__ == "__main__":
    main()
