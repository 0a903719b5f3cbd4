"""Does a lossless pack change anything? Outputs beside ONNX Runtime's, and every weight bit for bit after unpacking.

    python benchmarks/lossless.py net.onnx rec.onnx@1x3x48x320
    python benchmarks/lossless.py net.onnx --density 0.1

``@`` gives the input's shape where the model leaves dimensions open (they are 1 otherwise). Inputs are seeded, standard normal.
With ``--density`` the model is pruned first, as torch does it: of tensors with two axes or more, the largest weights stay and
others are multiplied by 0, which makes -0.0 of those below. xz and zstd compress the model's file, at their highest levels.
The unpacked model passes ONNX's checker, and ONNX Runtime's answers to it are compared with those to the source.
"""

from __future__ import annotations

import argparse
import lzma
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import zstandard
from onnx import numpy_helper
from rich.console import Console
from rich.table import Table

from tersor.converters import from_onnx, to_onnx
from tersor.format_spec.container import open_container
from tersor.format_spec.model_file import read_graph
from tersor.packer import Recipe, pack
from tersor.runtime import load
from tersor.runtime.decode import decode


def source_tensors(path: Path) -> dict[str, np.ndarray]:
    """Initializers and constants of an ONNX file by name."""
    graph = onnx.load(path).graph
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found.update((node.output[0], numpy_helper.to_array(a.t)) for a in node.attribute if a.name == "value")
    return found


def prune(path: Path, density: float, target: Path) -> None:
    """Write the model with so many of the weights of each tensor."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim > 1 and values.dtype == np.float32:
            mask = np.abs(values) >= np.quantile(np.abs(values), 1 - density)
            tensor.CopyFrom(numpy_helper.from_array(values * mask, tensor.name))
    onnx.save(model, target)


def inputs_for(session: onnxruntime.InferenceSession, shape: tuple[int, ...] | None) -> dict[str, np.ndarray]:
    """Random inputs; the first has ``shape`` where one is given."""
    rng = np.random.default_rng(0)
    made: dict[str, np.ndarray] = {}
    for index, value in enumerate(session.get_inputs()):
        declared = [d if isinstance(d, int) and d > 0 else 1 for d in value.shape]
        made[value.name] = rng.standard_normal(shape if shape and index == 0 else declared).astype(np.float32)
    return made


def answer(session: onnxruntime.InferenceSession, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """ONNX Runtime's outputs by name."""
    names = [value.name for value in session.get_outputs()]
    return {name: np.asarray(value) for name, value in zip(names, session.run(names, dict(inputs)), strict=True)}


def difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """max|a-b| / max|b|, the worst of all outputs."""
    return max(float(np.abs(found[k].astype(np.float64) - expected[k]).max() / np.abs(expected[k]).max()) for k in expected)


def check(path: Path, shape: tuple[int, ...] | None, folder: Path) -> tuple[str, ...]:
    """Pack, run, unpack; one row of the table."""
    packed, unpacked = folder / "packed.tersor", folder / "unpacked.onnx"
    begin = time.perf_counter()
    pack(from_onnx(path), packed, Recipe.lossless())
    seconds = time.perf_counter() - begin
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = inputs_for(session, shape)
    theirs = answer(session, inputs)
    with load(packed) as model:
        worst = difference(model.run(inputs), theirs)
    with open_container(packed) as container:
        to_onnx(read_graph(container, decode), unpacked)
    onnx.checker.check_model(unpacked, full_check=True)
    again = difference(answer(onnxruntime.InferenceSession(str(unpacked), providers=["CPUExecutionProvider"]), inputs), theirs)
    back, source = source_tensors(unpacked), source_tensors(path)
    same = sum(name in back and back[name].tobytes() == value.tobytes() for name, value in source.items())
    content = path.read_bytes()
    peers = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME), zstandard.ZstdCompressor(level=22).compress(content)
    sizes = (len(content), packed.stat().st_size, *map(len, peers))
    verdict = "equal" if max(worst, again) <= 1e-4 and same == len(source) else "DIFFERENT"
    return (
        path.name,
        f"{worst:.1e}",
        f"{again:.1e}",
        f"{same}/{len(source)}",
        *(f"{s:,}" for s in sizes),
        f"{seconds:.1f}",
        verdict,
    )


def main() -> None:
    """Print one row a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.onnx[@SHAPE]")
    parser.add_argument("--density", type=float, help="prune first: share of the weights that stays")
    options = parser.parse_args()
    names = (
        "model",
        "max|a-b| / max|b|",
        "unpacked",
        "bit-identical",
        "ONNX bytes",
        "packed",
        "xz -9e",
        "zstd -22",
        "pack s",
        "verdict",
    )
    table = Table(*names)
    with tempfile.TemporaryDirectory() as folder:
        for text in options.models:
            name, _, shape = text.partition("@")
            path = Path(name)
            if options.density is not None:
                path = Path(folder) / path.name
                prune(Path(name), options.density, path)
            table.add_row(*check(path, tuple(map(int, shape.split("x"))) if shape else None, Path(folder)))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
