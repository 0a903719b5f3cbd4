"""Models packed on one machine, checked on another that has only the runtime.

    python conformance.py FOLDER [N]

runs what ``cases.py`` put into FOLDER, of the node tests one in N. Weights must be bit-identical, and so must outputs of
integers and booleans; others agree within 1e-5 of the largest value of the output. Exit code 1: they do not.
"""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import sys
import time
from collections.abc import Mapping
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


def keep(path: Path, weights: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
    """Write beside the packed file at ``path`` what is to be compared."""
    np.savez(path.with_suffix(".inputs.npz"), allow_pickle=False, **inputs)
    np.savez(path.with_suffix(".outputs.npz"), allow_pickle=False, **outputs)
    path.with_suffix(".json").write_text(json.dumps({"weights": weights}))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max |a - b| / max |b| over the finite values; infinite where types, shapes, integers or special values differ."""
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return np.inf
    if expected.dtype.kind not in "fc":
        return 0.0 if np.array_equal(found, expected) else np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite], equal_nan=True):
        return np.inf
    apart = float(np.abs(found[finite] - expected[finite]).max(initial=0))
    return apart / float(np.abs(expected[finite]).max(initial=0)) if apart else 0.0


def compare(packed: Path) -> tuple[bool, float, float]:
    """(weights bit-identical, largest difference of an output, seconds of the first run)."""
    from tersor.runtime import load

    same = digest(packed) == json.loads(packed.with_suffix(".json").read_text())["weights"]
    with np.load(packed.with_suffix(".inputs.npz")) as inputs, load(packed, threads=1) as model:
        begin = time.perf_counter()
        outputs = model.run(dict(inputs))
        seconds = time.perf_counter() - begin
    with np.load(packed.with_suffix(".outputs.npz")) as expected:
        return same, max((difference(outputs[name], expected[name]) for name in expected), default=0.0), seconds


def check_models(folder: Path) -> bool:
    """Compare every model of ``folder``, a line each."""
    passed = True
    for packed in sorted(folder.glob("*.tersor")):
        same, error, seconds = compare(packed)
        passed &= same and error <= RTOL
        weights = "bit-identical" if same else "DIFFERENT"
        print(f"{packed.name}: weights {weights}, outputs within {error:.1e} (first run {seconds:.1f} s)", flush=True)
    return passed


def check_nodes(folder: Path, step: int) -> bool:
    """Compare one in ``step`` node tests of ``folder``: a line for each that differs, and one for all."""
    results = {}
    for packed in sorted(folder.glob("*.tersor"))[::step]:
        same, error, _ = compare(packed)
        results[packed.stem] = error if same else np.inf
        if results[packed.stem] > RTOL:
            print(f"{packed.stem}: outputs within {error:.1e}, weights {'identical' if same else 'DIFFERENT'}", flush=True)
    equal = sum(error <= RTOL for error in results.values())
    if results:
        worst = max((error for error in results.values() if error <= RTOL), default=0.0)
        print(f"node tests: {equal} of {len(results)} equal, the worst of them within {worst:.1e}", flush=True)
    return equal == len(results)


def main() -> None:
    """Run the command line."""
    begin = time.perf_counter()
    import tersor.runtime  # noqa: F401

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"import tersor.runtime: {time.perf_counter() - begin:.1f} s, {memory:.0f} MB resident, {platform.machine()}")
    folder, step = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    passed = [check_nodes(folder / "nodes", step), check_models(folder / "models")]
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
