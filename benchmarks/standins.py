"""Build the models that speed is measured on: well-known topologies filled with random weights, pruned and shared as published.

    python benchmarks/standins.py alexnet alexnet.onnx

The topologies are the ``light`` models of the onnx package. Weights are He-normal, magnitude-pruned, rescaled to He's
variance (so that activations neither die nor saturate) and linearly shared: rounded to a codebook evenly spaced between the
smallest and the largest kept weight. AlexNet and VGG-19 have the densities and bits of Tables 4 and 5 of Deep Compression (Han,
Mao, Dally, ICLR 2016). The outputs mean nothing; sizes and densities, and so the time taken, do.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from math import prod, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

IR_VERSION = 8
UNPRUNED_BITS = 8


@dataclass(frozen=True)
class StandIn:
    """How one topology is filled: the density of each layer (``others`` where none is listed) and the bits of its codes."""

    topology: str
    conv_bits: int
    fc_bits: int
    densities: Mapping[str, float] = field(default_factory=dict)
    others: float = 1.0


ALEXNET_DENSITIES = {
    **{"conv1": 0.84, "conv2": 0.38, "conv3": 0.35, "conv4": 0.37, "conv5": 0.37},
    **{"fc6": 0.09, "fc7": 0.09, "fc8": 0.25},
}
# The paper prunes VGG-16: the fourth convolution of blocks 3 to 5, which only VGG-19 has, takes the density of the third.
VGG19_DENSITIES = {
    **{"conv1_1": 0.58, "conv1_2": 0.22, "conv2_1": 0.34, "conv2_2": 0.36},
    **{"conv3_1": 0.53, "conv3_2": 0.24, "conv3_3": 0.42, "conv3_4": 0.42},
    **{"conv4_1": 0.32, "conv4_2": 0.27, "conv4_3": 0.34, "conv4_4": 0.34},
    **{"conv5_1": 0.35, "conv5_2": 0.29, "conv5_3": 0.36, "conv5_4": 0.36},
    **{"fc6": 0.04, "fc7": 0.04, "fc8": 0.23},
}
STAND_INS = {
    "alexnet": StandIn("light_bvlc_alexnet", conv_bits=8, fc_bits=5, densities=ALEXNET_DENSITIES),
    "vgg19": StandIn("light_vgg19", conv_bits=8, fc_bits=5, densities=VGG19_DENSITIES),
    "resnet50": StandIn("light_resnet50", conv_bits=6, fc_bits=6, densities={"gpu_0/conv1": 1.0}, others=0.10),
    "squeezenet": StandIn("light_squeezenet", conv_bits=6, fc_bits=6, densities={"conv1": 1.0}, others=0.33),
}


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 weights (outputs, ...) of standard deviation sqrt(2 / fan-in)."""
    weights = rng.standard_normal(shape, np.float32)
    weights *= np.float32(sqrt(2 / prod(shape[1:])))
    return weights


def prune(weights: np.ndarray, density: float) -> np.ndarray:
    """The largest magnitudes, a fraction ``density`` of them, scaled so that the sum of squares stays; zero elsewhere."""
    magnitudes = np.abs(weights).reshape(-1)
    dropped = magnitudes.size - round(density * magnitudes.size)
    if dropped == 0:
        return weights
    threshold = np.partition(magnitudes, dropped)[dropped]
    kept = np.where(np.abs(weights) >= threshold, weights, np.float32(0))
    kept *= np.float32(sqrt(np.square(weights, dtype=np.float64).sum() / np.square(kept, dtype=np.float64).sum()))
    return kept


def share(weights: np.ndarray, bits: int) -> np.ndarray:
    """Round the nonzeros to the nearest of 2**bits values evenly spaced between their minimum and maximum."""
    present = weights != 0
    nonzeros = weights[present]
    codebook = np.linspace(nonzeros.min(), nonzeros.max(), 1 << bits, dtype=np.float32)
    codes = np.rint((nonzeros - codebook[0]) * np.float32((len(codebook) - 1) / (codebook[-1] - codebook[0])))
    shared = np.zeros_like(weights)
    shared[present] = codebook[codes.astype(np.uint16)]
    return shared


def layer_name(weight: str) -> str:
    """The layer that a weight of a light model belongs to: ``conv1_1`` of ``conv1_1_w_0``."""
    return weight.removesuffix("_w_0")


def batch_norm(rng: np.random.Generator, names: tuple[str, ...], channels: int) -> dict[str, np.ndarray]:
    """Scale, bias, mean and variance near those of normalised data; quarter scale at the end of a residual branch.

    A residual branch as strong as its shortcut would double the variance at every block and saturate the softmax.
    """
    scale, bias, mean, variance = names
    strength = 0.25 if "branch2c" in scale else 1.0
    values = {
        scale: strength * rng.uniform(0.9, 1.1, channels),
        bias: 0.05 * rng.standard_normal(channels),
        mean: 0.05 * rng.standard_normal(channels),
        variance: rng.uniform(0.9, 1.1, channels),
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def parameters(
    stand_in: StandIn, graph: onnx.GraphProto, *, pruned: bool, shared: bool, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Values of every weight, bias and batch-norm vector of ``graph``, by name, drawn in node order."""
    shapes = declared_shapes(graph)
    values: dict[str, np.ndarray] = {}
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            values |= batch_norm(rng, tuple(node.input[1:]), prod(shapes[node.input[1]]))
        elif node.op_type in ("Conv", "Gemm"):
            name = node.input[1]
            weights = he_normal(rng, shapes[name])
            if pruned:
                weights = prune(weights, stand_in.densities.get(layer_name(name), stand_in.others))
            if shared:
                bits = stand_in.conv_bits if node.op_type == "Conv" else stand_in.fc_bits
                weights = share(weights, bits if pruned else UNPRUNED_BITS)
            values[name] = weights
            values |= {b: np.float32(0.01) * rng.standard_normal(shapes[b], np.float32) for b in node.input[2:]}
    return values


def declared_shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Shape of every initializer, and of every output of a ``ConstantOfShape`` whose shape is one."""
    tensors = {t.name: t for t in graph.initializer}
    shapes = {name: tuple(t.dims) for name, t in tensors.items()}
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            shapes[node.output[0]] = tuple(onnx.numpy_helper.to_array(tensors[node.input[0]]).tolist())
    return shapes


def build(name: str, *, pruned: bool = True, shared: bool = True, seed: int = 0) -> onnx.ModelProto:
    """The stand-in called ``name`` (a key of ``STAND_INS``), batch 1, every parameter a dense float32 initializer.

    Without ``pruned`` every weight is kept, and shared weights have 8-bit codes whatever the layer. The same arguments give
    the same model.
    """
    stand_in = STAND_INS[name]
    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"{stand_in.topology}.onnx"
    source = onnx.load(light)
    graph = source.graph
    values = parameters(stand_in, graph, pruned=pruned, shared=shared, rng=np.random.default_rng(seed))
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    used = {value for node in nodes for value in node.input}
    others = [t for t in graph.initializer if t.name in used and t.name not in values]
    tensors = [onnx.numpy_helper.from_array(value, key) for key, value in values.items()]
    known = {t.name for t in graph.initializer}
    inputs = [value for value in graph.input if value.name not in known]
    rebuilt = onnx.helper.make_graph(nodes, name, inputs, list(graph.output), [*others, *tensors])
    return onnx.helper.make_model(
        rebuilt, ir_version=IR_VERSION, opset_imports=source.opset_import, producer_name="tersor benchmarks/standins.py"
    )


def main() -> None:
    """Write one stand-in and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(STAND_INS))
    parser.add_argument("output", type=Path, help="ONNX file to write")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--unpruned", action="store_true", help="keep every weight; share with 8-bit codes")
    kind.add_argument("--fp32", action="store_true", help="keep every weight as drawn: neither pruned nor shared")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = build(args.name, pruned=not (args.unpruned or args.fp32), shared=not args.fp32, seed=args.seed)
    onnx.save(model, args.output)
    weights = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if len(t.dims) > 1]
    size, kept = sum(w.size for w in weights), sum(np.count_nonzero(w) for w in weights)
    print(f"{args.output}: {len(weights)} weight tensors, {size:,} weights, {kept / size:.2%} nonzero")


if __name__ == "__main__":
    main()
