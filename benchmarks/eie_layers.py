"""The nine fully connected layers of EIE (Han et al., ISCA 2016, Table III) beside ONNX Runtime's dense Gemm.

    python benchmarks/eie_layers.py [--threads 1 2] [--batches 1 64] [--folder DIR] [--json]

Weights are random at the layer's density, shared among 32 values and packed losslessly; activations are random at the layer's
density, and where that is below 100 % the layer follows a rectifier, on both sides, as it does in its network. All nine run in
rotation, as layers of a network do, so that no dense matrix stays in the cache: one round ours, one the peer's. Both sides
get the same arrays through their public interface, in this process, with as many threads, and their outputs are compared.
The paper's own CPU figures, sparse beside dense (MKL, Core i7-5930K): 2.97 times as fast at batch 1 (the geometric mean) and
0.28 times at batch 64.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tersor.converters import from_onnx
from tersor.packer import Recipe, pack
from tersor.runtime import load

LEVELS = 32
IR_VERSION = 8
OPSET = 13
PAUSE = 0.02
"""Seconds before an engine's turn, in which the other one's waiting threads give up spinning."""

TOLERANCE = 2e-5
"""Largest difference of two outputs, relative to the largest output."""


@dataclass(frozen=True)
class Layer:
    """A matrix (outputs, inputs), and the fractions of its weights and of its activations that are not zero."""

    name: str
    inputs: int
    outputs: int
    weights: float
    activations: float


LAYERS = (
    Layer("Alex-6", 9216, 4096, 0.09, 0.351),
    Layer("Alex-7", 4096, 4096, 0.09, 0.353),
    Layer("Alex-8", 4096, 1000, 0.25, 0.375),
    Layer("VGG-6", 25088, 4096, 0.04, 0.183),
    Layer("VGG-7", 4096, 4096, 0.04, 0.375),
    Layer("VGG-8", 4096, 1000, 0.23, 0.411),
    Layer("NT-We", 4096, 600, 0.10, 1.0),
    Layer("NT-Wd", 600, 8791, 0.11, 1.0),
    Layer("NT-LSTM", 1201, 2400, 0.10, 1.0),
)


def build(layer: Layer, folder: Path) -> tuple[Path, Path]:
    """Write the layer dense (ONNX) and packed, unless ``folder`` has them."""
    dense, packed = folder / f"{layer.name}.onnx", folder / f"{layer.name}.tersor"
    if dense.exists() and packed.exists():
        return dense, packed
    rng = np.random.default_rng(LAYERS.index(layer))
    codebook = np.linspace(-1, 1, LEVELS, dtype=np.float32) / np.sqrt(np.float32(layer.inputs * layer.weights))
    shape = (layer.outputs, layer.inputs)
    present = rng.random(shape, np.float32) < layer.weights
    weights = np.zeros(shape, np.float32)
    weights[present] = codebook[rng.binomial(LEVELS - 1, 0.5, int(present.sum()))]
    bias = rng.standard_normal(layer.outputs).astype(np.float32)
    rectifier = [helper.make_node("Relu", ["x"], ["r"])] if layer.activations < 1 else []
    gemm = helper.make_node("Gemm", ["r" if rectifier else "x", "W", "b"], ["y"], transB=1)
    graph = helper.make_graph(
        [*rectifier, gemm],
        layer.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", layer.inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", layer.outputs])],
        [numpy_helper.from_array(weights, "W"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.save(model, dense)
    pack(from_onnx(dense), packed, Recipe.lossless())
    return dense, packed


def session(path: Path, threads: int) -> Any:
    """The peer."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def activations(layer: Layer, batch: int) -> np.ndarray:
    """Vectors (batch, inputs) with zeros where a rectifier would leave them."""
    rng = np.random.default_rng(1)
    x = np.abs(rng.standard_normal((batch, layer.inputs))).astype(np.float32)
    return x * (rng.random(x.shape) < layer.activations)


def rotate(engines: Sequence[Sequence[Callable[[], Any]]], rounds: int) -> list[list[float]]:
    """Median seconds of each engine's runs: in every round each engine runs all of its layers, one after another. The first
    round does not count."""
    times = [[[] for _ in runs] for runs in engines]
    for _ in range(rounds + 1):
        for runs, kept in zip(engines, times, strict=True):
            time.sleep(PAUSE)
            for run, into in zip(runs, kept, strict=True):
                begin = time.perf_counter()
                run()
                into.append(time.perf_counter() - begin)
    return [[statistics.median(seconds[1:]) for seconds in kept] for kept in times]


def measure(folder: Path, threads: int, batches: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Every layer at every batch size: milliseconds, ratio, kernel, and the difference of the outputs."""
    files = [build(layer, folder) for layer in LAYERS]
    ours = [load(packed, threads=threads) for _, packed in files]
    theirs = [session(dense, threads) for dense, _ in files]
    found: list[dict[str, Any]] = []
    for batch in batches:
        mine: list[Callable[[], Any]] = []
        peers: list[Callable[[], Any]] = []
        rows: list[dict[str, Any]] = []
        for layer, model, peer in zip(LAYERS, ours, theirs, strict=True):
            feeds = {"x": activations(layer, batch)}
            mine.append(lambda m=model, f=feeds: m.run(f)["y"])
            peers.append(lambda p=peer, f=feeds: p.run(None, f)[0])
            y, expected = mine[-1](), peers[-1]()
            error = float(np.abs(y - expected).max() / np.abs(expected).max())
            assert error < TOLERANCE, (layer.name, batch, error)
            kernel = list(model.plan({"x": feeds["x"].shape}).rows())[-1].kernel
            rows.append({"layer": layer.name, "batch": batch, "threads": threads, "kernel": kernel, "error": error})
        for row, ours_took, theirs_took in zip(rows, *rotate([mine, peers], rounds), strict=True):
            found.append(row | {"ms": ours_took * 1e3, "onnxruntime_ms": theirs_took * 1e3, "ratio": theirs_took / ours_took})
    for model in ours:
        model.close()
    return found


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where the models are kept for the next run")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        for threads in arguments.threads:
            found += measure(arguments.folder or Path(temporary), threads, arguments.batches, arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
        return
    for threads in arguments.threads:
        for batch in arguments.batches:
            rows = [row for row in found if (row["threads"], row["batch"]) == (threads, batch)]
            print(f"\nbatch {batch}, threads {threads}\n{'layer':8} {'ms':>9} {'ONNX Runtime':>12} {'ratio':>6}  kernel")
            for row in rows:
                print(f"{row['layer']:8} {row['ms']:9.3f} {row['onnxruntime_ms']:12.3f} {row['ratio']:6.2f}  {row['kernel']}")
            ratios = [row["ratio"] for row in rows]
            print(f"geometric mean {statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}")


if __name__ == "__main__":
    main()
