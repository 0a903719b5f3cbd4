"""One inference engine in a process of its own, told over a pipe what to do: the child side of ``engine.py``.

    python engine_worker.py ENGINE MODEL THREADS INPUT.npy

Needs no part of Tersor unless ENGINE is ``tersor``, so that DeepSparse can run it in a Python of its own. The first line
written says that the model is ready, in seconds of loading and of the first run. Then each line read is a JSON object, and each
answer one line: ``{"runs": n}`` is answered by the seconds of ``n`` runs after one that does not count, ``{"save": path}`` by
writing the first output, ``{}`` by the process's peak memory in bytes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[], Any]


def tersor(path: str, threads: int, x: np.ndarray) -> Run:
    """Ours, on the packed file."""
    from tersor.runtime import load

    model = load(path, threads=threads)
    name, output = model.inputs[0].name, model.outputs[0].name
    return lambda: model.run({name: x})[output]


def onnxruntime(path: str, threads: int, x: np.ndarray) -> Run:
    """ONNX Runtime on the dense fp32 model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})[0]


def deepsparse(path: str, threads: int, x: np.ndarray) -> Run:
    """DeepSparse on the dense fp32 model: it finds the zeros by itself."""
    os.environ["NM_DISABLE_ANALYTICS"] = "True"
    from deepsparse import Engine  # pyright: ignore[reportMissingImports]

    engine = Engine(model=path, batch_size=len(x), num_cores=threads)
    return lambda: engine.run([x])[0]


ENGINES = {"tersor": tersor, "onnxruntime": onnxruntime, "deepsparse": deepsparse}


def timed(run: Run) -> float:
    """Seconds of one run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def peak_memory() -> int:
    """Largest resident set of this process, in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def answer(order: dict[str, Any], run: Run) -> Any:
    """Do what one line asks for."""
    if "runs" in order:
        run()
        return [timed(run) for _ in range(order["runs"])]
    if "save" in order:
        np.save(order["save"], run())
        return True
    return peak_memory()


def main() -> None:
    """Load, then answer until the pipe closes."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # engines print banners
    engine, path, threads, given = sys.argv[1:]
    x = np.load(given)
    begin = time.perf_counter()
    run = ENGINES[engine](path, int(threads), x)
    ready: Any = {"load": time.perf_counter() - begin, "first_run": timed(run)}
    print(json.dumps(ready), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), run)), file=replies, flush=True)


if __name__ == "__main__":
    main()
