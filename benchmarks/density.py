"""Latency against density, for a 3x3 and a 1x1 convolution, beside ONNX Runtime's dense line; drawn as SVG.

    python benchmarks/density.py --plot docs/density.svg --json density.json

Every density of a layer, and ONNX Runtime with the same weights, run in turn in one process, on one thread by default. The
dashed line is ours with every weight kept, for which the plan takes what suits dense weights best: where it lies below the
curve, pruning costs time. The benchmark says at which density the curve meets ONNX Runtime's line, and whether it stays
within 5 % of our dense line everywhere; if not, its exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from standins import he_normal, prune, share

from tersor.converters import from_onnx
from tersor.packer import Recipe, pack
from tersor.runtime import Model, load

DENSITIES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BITS = 6
TOLERATED = 1.05
WIDTH, HEIGHT, MARGIN = 420, 320, 56


@dataclass(frozen=True)
class Layer:
    """A square convolution: ``channels`` in and out, ``size`` x ``size`` outputs."""

    name: str
    channels: int
    size: int
    kernel: int

    def model(self, density: float) -> onnx.ModelProto:
        """The layer with He-normal weights, pruned to ``density`` and shared."""
        shape = (self.channels, self.channels, self.kernel, self.kernel)
        weights = share(prune(he_normal(np.random.default_rng(0), shape), density), BITS)
        pads, dims = [self.kernel // 2] * 4, (1, self.channels, self.size, self.size)
        kind = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in "xy"]
        node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=shape[2:], pads=pads)
        graph = helper.make_graph([node], "layer", kind[:1], kind[1:], [numpy_helper.from_array(weights, "w")])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


LAYERS = (Layer("3x3, 256 to 256 channels, 28x28", 256, 28, 3), Layer("1x1, 512 to 512 channels, 28x28", 512, 28, 1))


@dataclass(frozen=True)
class Line:
    """Milliseconds of one layer: ours by density, and ONNX Runtime's."""

    name: str
    ours: dict[float, float]
    dense: float

    @property
    def meets(self) -> float | None:
        """The density from which on ONNX Runtime is faster; ``None`` when it never is."""
        points = sorted(self.ours.items())
        for (d0, t0), (d1, t1) in pairwise(points):
            if t0 < self.dense <= t1:
                return d0 + (d1 - d0) * (self.dense - t0) / (t1 - t0)
        return None

    @property
    def worst(self) -> float:
        """Largest ratio of our time to our own with every weight kept."""
        return max(self.ours.values()) / self.ours[1.0]


def session_of(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime, on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def packed(source: onnx.ModelProto, threads: int) -> Model:
    """The model, packed without loss and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.tersor"
        pack(from_onnx(source), path, Recipe.lossless())
        return load(path.read_bytes(), threads=threads)


def measure(layer: Layer, threads: int, rounds: int) -> Line:
    """Run everything in turn; medians."""
    x = {"x": np.random.default_rng(1).standard_normal((1, layer.channels, layer.size, layer.size)).astype(np.float32)}
    runners: list[Callable[[], Any]] = []
    for density in DENSITIES:
        source = layer.model(density)
        model, expected = packed(source, threads), np.asarray(session_of(source, threads).run(None, x)[0])
        np.testing.assert_allclose(model.run(x)["y"], expected, atol=1e-4 * np.abs(expected).max())
        runners.append(partial(model.run, x))
    runners.append(partial(session_of(layer.model(1.0), threads).run, None, x))
    times: list[list[float]] = [[] for _ in runners]
    for _ in range(rounds):
        for run, found in zip(runners, times, strict=True):
            run()
            begin = time.perf_counter()
            run()
            run()
            found.append((time.perf_counter() - begin) / 2e-3)
    *ours, dense = map(statistics.median, times)
    return Line(layer.name, dict(zip(DENSITIES, ours, strict=True)), dense)


def panel(line: Line, left: int) -> str:
    """One layer: our curve, our dense line, ONNX Runtime's line."""
    top = 1.15 * max(*line.ours.values(), line.dense)
    right, base = left + WIDTH - 12, HEIGHT - MARGIN

    def place(density: float, value: float) -> tuple[float, float]:
        return left + MARGIN + density * (WIDTH - MARGIN - 12), base - value / top * (base - 30)

    out = [_text(left + WIDTH / 2, 18, line.name, "middle", "bold")]
    step = next(s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if top / s <= 8)
    for value in (i * step for i in range(int(top / step) + 1)):
        x, y = place(0, value)
        out.append(f'<path d="M{x:.1f} {y:.1f}H{right}" stroke="#ddd"/>' + _text(x - 6, y + 4, f"{value:g}", "end"))
    out += [_text(*place(d, -0.08 * top), f"{d:.0%}", "middle") for d in (0.0, 0.25, 0.5, 0.75, 1.0)]
    out.append(_text(left + WIDTH / 2, HEIGHT - 12, "density: weights that are not zero", "middle"))
    for name, value, style in (
        ("ONNX Runtime, dense", line.dense, 'stroke="#c30"'),
        ("Tersor, every weight kept", line.ours[1.0], 'stroke="#06c" stroke-dasharray="5 4"'),
    ):
        x, y = place(0, value)
        out.append(f'<path d="M{x:.1f} {y:.1f}H{right}" fill="none" {style}/>' + _text(x + 6, y - 5, name, "start"))
    points = [place(density, value) for density, value in sorted(line.ours.items())]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    out.append(f'<path d="M{path}" fill="none" stroke="#06c" stroke-width="2"/>')
    out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#06c"/>' for x, y in points]
    return "\n".join(out)


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{text}</text>'


def draw(lines: Sequence[Line]) -> str:
    """The whole picture, a panel for each layer."""
    width = WIDTH * len(lines)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}"'
    axis = f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">ms, one image</text>'
    panels = [panel(line, WIDTH * index) for index, line in enumerate(lines)]
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'{head} font-family="sans-serif" font-size="12">', background, axis, *panels, "</svg>\n"])


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--plot", type=Path, help="SVG file to write")
    parser.add_argument("--json", type=Path, help="figures to write")
    args = parser.parse_args()
    lines = [measure(layer, args.threads, args.rounds) for layer in LAYERS]
    for line in lines:
        print(f"{line.name}: ONNX Runtime {line.dense:.2f} ms")
        print("  " + ", ".join(f"{d:.0%} {t:.2f}" for d, t in line.ours.items()))
        meets = "nowhere" if line.meets is None else f"at {line.meets:.0%}"
        print(f"  meets ONNX Runtime's line {meets}; at most {line.worst:.3f} of the time with every weight kept")
    if args.json:
        args.json.write_text(json.dumps([asdict(line) for line in lines], indent=2), encoding="utf-8")
    if args.plot:
        args.plot.write_text(draw(lines), encoding="utf-8")
    if any(line.worst > TOLERATED for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    main()
