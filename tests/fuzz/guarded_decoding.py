"""Run the jitted decoders on mutated payloads in guarded memory: ``python -m tests.fuzz.guarded_decoding --inputs 2000``.

Payload, outputs and scratch memory end at a page without access, so that a kernel which leaves them ends this process. With
``--overrun`` one byte is read past a payload on purpose: the process must die, or the guard is none. With
NUMBA_BOUNDSCHECK=1 in the environment Numba checks the indices of whatever is no raw pointer as well.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numba import njit

from tersor.runtime import decode as decoders
from tersor.runtime.decode.jitted import bits
from tersor.runtime.jit.jitted import Jitted, jit

from .guard import GuardedNumpy, guarded, guarded_copy
from .mutate import mutate
from .targets import outcome, read_input, seeds, targets

GOLDEN = Path(__file__).parents[1] / "golden"


@njit
def load(data: np.ndarray, at: int) -> int:
    """Eight bytes through a raw pointer."""
    return bits.load_big_endian(data, at)


@jit
def second(array: np.ndarray) -> float:
    """The element after the first."""
    return array[1]


def checks_bounds() -> bool:
    """Whether Numba checks the indices of kernels."""
    try:
        second(np.zeros(2)[:1])
    except IndexError:
        return True
    return False


def overrun() -> None:
    """Read one byte past a guarded array, as a wrong kernel would."""
    data = guarded(64, np.uint8)
    data.flags.writeable = False
    load(data, 56)
    sys.stdout.write("inside: fine\n")
    sys.stdout.flush()
    load(data, 57)


def guard_modules() -> list[str]:
    """Let the modules that prepare memory for kernels allocate guarded memory; kernels themselves are compiled with numpy's."""
    names = []
    for module in pkgutil.iter_modules(decoders.__path__):
        loaded = importlib.import_module(f"{decoders.__name__}.{module.name}")
        has_kernels = any(isinstance(v, Jitted) and v.__module__ == loaded.__name__ for v in vars(loaded).values())
        if hasattr(loaded, "np") and not has_kernels:
            vars(loaded)["np"] = GuardedNumpy()
            names.append(module.name)
    return names


def run(inputs: int, seed: int) -> dict[str, Any]:
    """Decode ``inputs`` mutated payloads of each codec; returns the outcomes."""
    pools = {name: seeds(name, GOLDEN) for name in targets() if name != "file"}
    for name, pool in pools.items():
        for data in pool:
            decode_one(name, data, guard=False)
    modules = guard_modules()
    random = Random(seed)
    counts: Counter[str] = Counter()
    for name, pool in pools.items():
        for data in pool:
            counts[decode_one(name, data)] += 1
        for _ in range(inputs if pool else 0):
            counts[decode_one(name, mutate(random.choice(pool), random, other=random.choice(pool)))] += 1
    return {
        "bounds_checked": checks_bounds(),
        "modules": modules,
        "codecs": [name for name, pool in pools.items() if pool],
        "outcomes": counts,
    }


def decode_one(name: str, data: bytes, *, guard: bool = True) -> str:
    """Decode one input by the jitted decoder alone."""
    found = read_input(int(name.removeprefix("codec-")), data)
    if found is None:
        return "short"
    record, payload = found
    array = np.frombuffer(payload, np.uint8)
    result = outcome(decoders.decode, record, (guarded_copy(array) if guard else array).data)
    return result.__name__ if isinstance(result, type) else "decoded"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overrun", action="store_true")
    options = parser.parse_args()
    if options.overrun:
        overrun()
    else:
        sys.stdout.write(json.dumps(run(options.inputs, options.seed)))
