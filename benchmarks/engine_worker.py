"""``cli/_worker.py`` with one more engine: DeepSparse, run by ``engine.py`` in a Python of its own, without Tersor."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

WORKER = Path(__file__).parents[1] / "cli" / "_worker.py"


def deepsparse(path: str, threads: int, inputs: Mapping[str, np.ndarray]) -> Any:
    """DeepSparse on the dense fp32 model: it finds the zeros by itself."""
    os.environ["NM_DISABLE_ANALYTICS"] = "True"
    from deepsparse import Engine  # pyright: ignore[reportMissingImports]

    arrays = list(inputs.values())
    engine = Engine(model=path, batch_size=len(arrays[0]), num_cores=threads)
    return lambda: {str(index): value for index, value in enumerate(engine.run(arrays))}


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    worker.LOADERS["deepsparse"] = deepsparse
    worker.main()
