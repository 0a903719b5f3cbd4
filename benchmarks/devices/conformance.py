"""Models packed on one machine, checked on another that has only the runtime.

    python conformance.py FOLDER [--one-in N] [--requests REQUESTS]

runs what ``cases.py`` put into FOLDER, of the node tests one in N. Weights must be bit-identical, and so must outputs of
integers and booleans; others agree within 1e-5 of the largest value of the output. Exit code 1: they do not. What a case
showed is kept beside it: a run that was interrupted goes on where it stopped. With ``--requests``, kernels are compiled by
``compile_for.py`` on another machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
    from tersor.converters.tensors_writer import write_npz

    for what, arrays in (("inputs", inputs), ("outputs", outputs)):
        with path.with_suffix(f".{what}.npz").open("wb") as file:
            write_npz(file, arrays)
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


@dataclass(frozen=True)
class Result:
    """Whether the weights are bit-identical, the largest difference of an output, and the seconds of the first run."""

    same: bool
    error: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Same weights, and outputs near enough."""
        return self.same and self.error <= RTOL

    def __str__(self) -> str:
        weights = "bit-identical" if self.same else "DIFFERENT"
        return f"weights {weights}, outputs within {self.error:.1e} (first run {self.seconds:.1f} s)"


def compare(packed: Path) -> Result:
    """Run the model at ``packed``."""
    from tersor.runtime import load

    same = digest(packed) == json.loads(packed.with_suffix(".json").read_text())["weights"]
    with np.load(packed.with_suffix(".inputs.npz")) as inputs, load(packed, threads=1) as model:
        begin = time.perf_counter()
        outputs = model.run(dict(inputs))
        seconds = time.perf_counter() - begin
    with np.load(packed.with_suffix(".outputs.npz")) as expected:
        return Result(same, max((difference(outputs[name], expected[name]) for name in expected), default=0.0), seconds)


def result(packed: Path) -> Result:
    """What :func:`compare` finds, or found in an earlier run."""
    kept = packed.with_suffix(".result.json")
    if not kept.exists():
        kept.write_text(json.dumps(asdict(compare(packed))))
    return Result(**json.loads(kept.read_text()))


def check_models(folder: Path) -> bool:
    """Compare every model of ``folder``, a line each."""
    passed = True
    for packed in sorted(folder.glob("*.tersor")):
        found = result(packed)
        passed &= found.passed
        print(f"{packed.name}: {found}", flush=True)
    return passed


def check_nodes(folder: Path, step: int) -> bool:
    """Compare one in ``step`` node tests of ``folder``: a line for each that differs, and one for all."""
    results = {packed.stem: result(packed) for packed in sorted(folder.glob("*.tersor"))[::step]}
    for name, found in results.items():
        if not found.passed:
            print(f"{name}: {found}")
    equal = [found.error for found in results.values() if found.passed]
    if results:
        print(f"node tests: {len(equal)} of {len(results)} equal, the worst of them within {max(equal, default=0.0):.1e}")
    return len(equal) == len(results)


def compile_elsewhere(requests: Path) -> None:
    """Leave a request for each kernel that must be compiled, and wait for the code to be in the cache."""
    from tersor.runtime.jit.jitted import Jitted, kind_of

    def compiled(self: Jitted, name: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        function, kinds = self.py_func, tuple(map(kind_of, arguments))
        part, request = requests / f"{name}.part", requests / f"{name}.request"
        part.write_bytes(pickle.dumps((function.__module__, function.__qualname__, kinds)))
        part.rename(request)
        while request.exists():
            time.sleep(0.1)
        entry = self._stored(name)
        if entry is None:
            raise SystemExit(f"{name}: what was compiled elsewhere does not fit")
        return entry

    Jitted._compiled = compiled


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--one-in", type=int, default=1, metavar="N")
    parser.add_argument("--requests", type=Path)
    arguments = parser.parse_args()
    begin = time.perf_counter()
    import tersor.runtime  # noqa: F401

    seconds, memory = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"import tersor.runtime: {seconds:.1f} s, {memory:.0f} MB resident, {platform.machine()}", flush=True)
    if arguments.requests:
        compile_elsewhere(arguments.requests)
    passed = [check_models(arguments.folder / "models"), check_nodes(arguments.folder / "nodes", arguments.one_in)]
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
