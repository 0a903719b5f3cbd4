"""An inference engine in a process of its own, told over a pipe what to do: the child side of :mod:`._engines`.

    python _worker.py ENGINE MODEL THREADS INPUTS.npz

The inputs are arrays without names, and their names, the last array: what numpy would call an argument may be a name of theirs.
A script, not a module: it needs nothing of Tersor but for the engine ``tersor``. The first line that it writes says that the
model is ready. Then each line read is a JSON object, and each line written the reply to it: ``{"answer": ...}``, or the last
one, ``{"error": text, "exit_code": number}``. It ends quietly when nobody is left to read. ``TERSOR_LIMITS`` in the
environment, a JSON object, are limits of a reader that are not the usual ones.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Inputs = Mapping[str, np.ndarray]
Run = Callable[[], Mapping[str, Any]]
Loader = Callable[[str, int, Inputs], Run]

ORDINARY: Mapping[type[Exception], int] = {OSError: 1, MemoryError: 4}
CANNOT_RUN = 7
"""Exit codes of the command line for errors that are not Tersor's, whose own say theirs."""


def tersor(path: str, threads: int, inputs: Inputs, memory: str = "expanded") -> Run:
    """Ours, on the packed file."""
    limits = importlib.import_module("tersor.format_spec.limits").Limits(**json.loads(os.environ.get("TERSOR_LIMITS", "{}")))
    model = importlib.import_module("tersor.runtime").load(path, threads=threads, memory=memory, limits=limits)
    return lambda: model.run(inputs)


def tersor_streamed(path: str, threads: int, inputs: Inputs) -> Run:
    """Ours, its weights left encoded."""
    return tersor(path, threads, inputs, "streamed")


def onnxruntime(path: str, threads: int, inputs: Inputs) -> Run:
    """ONNX Runtime, on an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    feeds = dict(inputs)
    return lambda: dict(zip(names, session.run(None, feeds), strict=True))


LOADERS: dict[str, Loader] = {"tersor": tersor, "tersor_streamed": tersor_streamed, "onnxruntime": onnxruntime}


def timed(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def peak_memory() -> int:
    """Largest resident set of this process, in bytes.

    ``ru_maxrss`` would count what the parent held when it started this process, so Linux is asked otherwise.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - runs under any Python
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def answer(order: Mapping[str, Any], run: Run) -> Any:
    """Do what one line asks for: ``{"runs": n}`` gives the seconds of n runs after one that does not count, ``{"save": path}``
    writes the outputs, without names, as .npz, ``{}`` gives the peak of memory in bytes."""
    if "runs" in order:
        run()
        return [timed(run) for _ in range(order["runs"])]
    if "save" in order:
        np.savez(order["save"], *run().values())
        return True
    return peak_memory()


def answers(engine: str, path: str, threads: str, given: str) -> Iterator[Any]:
    """Load and run once; then what each line of standard input asks for."""
    with np.load(given) as saved:
        *arrays, names = (saved[key] for key in saved.files)
    inputs = dict(zip(map(str, names), arrays, strict=True))
    begin = time.perf_counter()
    run = LOADERS[engine](path, int(threads), inputs)
    yield {"load": time.perf_counter() - begin, "first_run": timed(run)}
    for line in sys.stdin:
        yield answer(json.loads(line), run)


def failure(error: Exception) -> Mapping[str, Any]:
    """The reply that an error is. One that no user causes also shows where it comes from."""
    known = (code for kind, code in ORDINARY.items() if isinstance(error, kind))
    code = getattr(error, "exit_code", next(known, None))
    if code is None:
        traceback.print_exc()
    return {"error": str(error) or type(error).__name__, "exit_code": CANNOT_RUN if code is None else code}


def main() -> None:
    """Reply until the pipe closes, or something fails."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # engines print banners

    def reply(value: Mapping[str, Any]) -> None:
        try:
            print(json.dumps(value), file=replies, flush=True)
        except BrokenPipeError:
            os._exit(0)

    try:
        for found in answers(*sys.argv[1:]):
            reply({"answer": found})
    except Exception as error:
        reply(failure(error))


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules are not to be found by their bare names
    main()
