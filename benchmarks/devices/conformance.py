"""Models packed on one machine, checked on another that has only the runtime.

    python conformance.py make FOLDER MODEL.onnx...      packs, runs, and keeps the answers
    python conformance.py check FOLDER                   decodes and runs the same files, and compares

Weights must be bit-identical, outputs within rtol 1e-5 of the largest value. Exit code 1: they are not.
"""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np

RTOL = 1e-5


def digest(path: Path) -> str:
    """One hash over all decoded tensors of a file, names included."""
    from tersor.runtime import load_tensors

    found = hashlib.sha256()
    with load_tensors(path) as tensors:
        for name in sorted(tensors):
            found.update(name.encode())
            found.update(np.ascontiguousarray(tensors[name]).tobytes())
    return found.hexdigest()


def make(folder: Path, models: list[Path]) -> None:
    """Pack each model without loss and with shared weights; keep inputs, outputs and the weights' hash beside it."""
    from tersor.converters import from_onnx
    from tersor.packer import Layer, Recipe, pack
    from tersor.runtime import load

    shared = Recipe(Layer(bits=8, density=0.5), Layer(bits=5, density=0.25))
    for old in folder.glob("*.tersor"):
        old.unlink()
    for path in models:
        graph = from_onnx(path)
        for kind, recipe in (("lossless", Recipe.lossless()), ("shared", shared)):
            packed = folder / f"{path.stem}-{kind}.tersor"
            pack(graph, packed, recipe)
            rng = np.random.default_rng(0)
            with load(packed, threads=1) as model:
                shapes = {v.name: [d if isinstance(d, int) else 2 for d in v.type.shape or ()] for v in model.inputs}
                inputs = {v.name: rng.standard_normal(shapes[v.name]).astype(v.type.dtype) for v in model.inputs}
                outputs = model.run(inputs)
            np.savez(packed.with_suffix(".inputs.npz"), allow_pickle=False, **inputs)
            np.savez(packed.with_suffix(".outputs.npz"), allow_pickle=False, **outputs)
            packed.with_suffix(".json").write_text(json.dumps({"weights": digest(packed)}))


def check(folder: Path) -> bool:
    """Compare every file of ``folder`` with what was kept."""
    begin = time.perf_counter()
    from tersor.runtime import load

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"import tersor.runtime: {time.perf_counter() - begin:.1f} s, {memory:.0f} MB resident, {platform.machine()}")
    passed = True
    for packed in sorted(folder.glob("*.tersor")):
        same = digest(packed) == json.loads(packed.with_suffix(".json").read_text())["weights"]
        with np.load(packed.with_suffix(".inputs.npz")) as inputs, load(packed, threads=1) as model:
            begin = time.perf_counter()
            outputs = model.run(dict(inputs))
            seconds = time.perf_counter() - begin
        with np.load(packed.with_suffix(".outputs.npz")) as expected:
            error = max(float(np.abs(outputs[n] - expected[n]).max() / np.abs(expected[n]).max()) for n in outputs)
        passed &= same and error <= RTOL
        weights = "bit-identical" if same else "DIFFERENT"
        print(f"{packed.name}: weights {weights}, outputs within {error:.1e} (first run {seconds:.1f} s)", flush=True)
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return passed


if __name__ == "__main__":
    verb, where, *rest = sys.argv[1:]
    if verb == "make":
        make(Path(where), [Path(p) for p in rest])
    else:
        sys.exit(0 if check(Path(where)) else 1)
