"""Whole packings that end early, each in a process of its own: ``python -m tests.packer.interruptions kill FOLDER``.

``kill``: killed at a random moment; ``full``: files of the process may not grow beyond some size. Prints what was seen as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Layer, Recipe, pack

KILLS, PACKINGS = 25, 6
"""Packers that are killed, each within the time that so many packings take."""

RECIPES = {"new": Recipe(fc=Layer(bits=4, density=0.3)), "old": Recipe.lossless()}


def network() -> Graph:
    """Five matrices in a chain, some of whose payloads have a section of their own."""
    rng = np.random.default_rng(0)
    names = [f"w{i}" for i in range(5)]
    nodes = [Node("MatMul", name, (f"{i}" if i else "x", name), (f"{i + 1}",), {}) for i, name in enumerate(names)]
    tensors = {name: DenseTensor.of(rng.standard_normal((96, 96)).astype(np.float32)) for name in names}
    x, y = (Value(name, TensorType("float32", (1, 96))) for name in ("x", f"{len(names)}"))
    return Graph("chain", (x,), (y,), tuple(nodes), tensors)


def in_child(work: Callable[[], None]) -> int:
    """The process id of a child that calls ``work`` and leaves, with status 0, or 1 after an :class:`OSError`."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except OSError:
        os._exit(1)
    finally:
        os._exit(2)


def killed(graph: Graph, path: Path, contents: dict[bytes, str]) -> Counter[str]:
    """Kill packers that replace the file again and again; what the file held afterwards."""

    def replace_for_ever() -> None:
        while True:
            for recipe in RECIPES.values():
                pack(graph, path, recipe)

    begin = time.perf_counter()
    pack(graph, path, RECIPES["old"])
    longest = PACKINGS * (time.perf_counter() - begin)
    random, seen = Random(1), Counter[str]()
    for _ in range(KILLS):
        child = in_child(replace_for_ever)
        time.sleep(random.random() * longest)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seen[contents.get(path.read_bytes(), "neither")] += 1
        parts = list(path.parent.glob(".tersor-*.part"))
        seen["parts"] += len(parts)
        for part in parts:
            part.unlink()
    return seen


def full(graph: Graph, path: Path, contents: dict[bytes, str]) -> Counter[str]:
    """Pack where the file cannot grow to its size; what the file held, and how the packer left."""
    sizes = {name: len(data) for data, name in contents.items()}
    seen = Counter[str]()
    for most in (0, 100, 4096, sizes["new"] // 2, sizes["new"] - 1):

        def pack_within(most: int = most) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            pack(graph, path, RECIPES["new"])

        _, status = os.waitpid(in_child(pack_within), 0)
        seen[f"status {os.waitstatus_to_exitcode(status)}"] += 1
        seen[contents.get(path.read_bytes(), "neither")] += 1
        seen["files"] += len(list(path.parent.iterdir()))
    return seen


def main() -> None:
    how, folder = sys.argv[1], Path(sys.argv[2])
    graph, path, contents = network(), folder / "chain.tersor", {}
    for name, recipe in RECIPES.items():
        pack(graph, path, recipe)
        contents[path.read_bytes()] = name
    sys.stdout.write(json.dumps({"kill": killed, "full": full}[how](graph, path, contents)))


if __name__ == "__main__":
    main()
