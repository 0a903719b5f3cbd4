"""Many Python threads over several models at once: every answer is the one that a single thread gets."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Thread

import numpy as np

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model

PYTHON_THREADS, RUNS = 64, 12


def small_model(seed: int, threads: int) -> Model:
    """conv 3x3 -> relu -> global average -> flatten -> gemm, on (1, 8, 20, 20); the weights come from ``seed``."""
    rng = np.random.default_rng(seed)
    shapes = {"w": (64, 8, 3, 3), "v": (64, 10)}
    weights = {name: DenseTensor.of(rng.standard_normal(shape).astype(np.float32)) for name, shape in shapes.items()}
    nodes = (
        Node("Conv", "", ("x", "w"), ("c",), {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}),
        Node("Relu", "", ("c",), ("r",)),
        Node("GlobalAveragePool", "", ("r",), ("a",)),
        Node("Flatten", "", ("a",), ("f",)),
        Node("Gemm", "", ("f", "v"), ("y",)),
    )
    x, y = TensorType("float32", (1, 8, 20, 20)), TensorType("float32", (1, 10))
    return Model(Graph("g", (Value("x", x),), (Value("y", y),), nodes, weights), threads=threads)


def test_every_answer_is_right():
    inputs = [np.random.default_rng(i).standard_normal((1, 8, 20, 20)).astype(np.float32) for i in range(3)]
    with ExitStack() as stack:
        models = [stack.enter_context(small_model(seed, 1 + seed % 3)) for seed in range(4)]
        expected = [[model.run({"x": x})["y"] for x in inputs] for model in models]
        wrong: list[tuple[int, int]] = []

        def work(thread: int) -> None:
            for run in range(RUNS):
                model, case = (thread + run) % len(models), run % len(inputs)
                if not np.array_equal(models[model].run({"x": inputs[case]})["y"], expected[model][case]):
                    wrong.append((thread, run))

        threads = [Thread(target=work, args=(t,)) for t in range(PYTHON_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
