"""Packs what a device is to be checked with, and keeps this machine's answers: see ``conformance.py``.

    python cases.py FOLDER [--light] [--nodes] [MODEL.onnx...]

Models are packed without loss and, unless they are ONNX's light ones (``--light``: their weights are one value each), with
pruned and shared weights too. ``--nodes`` adds every node test of ONNX that the project runs.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from conformance import digest, keep
from onnx import numpy_helper

from tersor.converters import from_onnx
from tersor.format_spec.errors import UnsupportedOperator
from tersor.format_spec.graph import Graph
from tersor.packer import Layer, Recipe, pack
from tersor.runtime import Model, load

SHARED = Recipe(Layer(bits=8, density=0.5), Layer(bits=5, density=0.25))

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def random_inputs(model: Model) -> dict[str, np.ndarray]:
    """Standard normal inputs, open dimensions being 1."""
    rng = np.random.default_rng(0)
    shapes = {value.name: [d if isinstance(d, int) else 1 for d in value.type.shape or ()] for value in model.inputs}
    return {value.name: rng.standard_normal(shapes[value.name]).astype(value.type.dtype) for value in model.inputs}


def save(graph: Graph, recipe: Recipe, path: Path, inputs: Mapping[str, np.ndarray] | None = None) -> None:
    """Pack ``graph`` to ``path`` and keep inputs, outputs and the hash of the weights beside it."""
    pack(graph, path, recipe)
    with load(path, threads=1) as model:
        given = random_inputs(model) if inputs is None else inputs
        keep(path, digest(path), given, model.run(given))


def node_tests() -> Iterator[tuple[str, onnx.ModelProto, list[np.ndarray]]]:
    """Name, model and inputs of every node test whose inputs are tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators overflow and divide by zero on purpose
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    for case in cases:
        if case.model is None or not case.data_sets:
            continue
        inputs = case.data_sets[0][0]
        values = [numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value for value in inputs]
        if not any(isinstance(value, (list, dict)) for value in values):
            yield case.name, case.model, [np.asarray(value) for value in values]


def save_node(name: str, proto: onnx.ModelProto, inputs: Sequence[np.ndarray], folder: Path) -> None:
    """Keep a node test, unless it is refused."""
    try:
        graph = from_onnx(proto)
        named = dict(zip((value.name for value in graph.inputs), inputs, strict=True))
        save(graph, Recipe.lossless(), folder / f"{name}.tersor", named)
    except UnsupportedOperator:
        return


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--nodes", action="store_true")
    arguments = parser.parse_intermixed_args()
    for kind in ("models", "nodes"):
        shutil.rmtree(arguments.folder / kind, ignore_errors=True)
        (arguments.folder / kind).mkdir(parents=True)
    for path in arguments.models:
        for kind, recipe in (("lossless", Recipe.lossless()), ("shared", SHARED)):
            save(from_onnx(path), recipe, arguments.folder / "models" / f"{path.stem}-{kind}.tersor")
    for path in sorted(LIGHT.glob("*.onnx")) if arguments.light else ():
        save(from_onnx(path), Recipe.lossless(), arguments.folder / "models" / f"{path.stem}-lossless.tersor")
    for case in node_tests() if arguments.nodes else ():
        save_node(*case, arguments.folder / "nodes")


if __name__ == "__main__":
    main()
