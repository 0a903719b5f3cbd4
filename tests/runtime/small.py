"""A small network for tests of models, and what it takes."""

from __future__ import annotations

import numpy as np

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor

W = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
"""The weights of its convolution (M, C, kH, kW)."""


def small() -> Graph:
    """Convolution, ReLU and the mean of each plane, of any batch and width."""
    nodes = (
        Node("Conv", "conv", ("image", "w"), ("c",), {"pads": (1, 1, 1, 1)}),
        Node("Relu", "relu", ("c",), ("features",)),
        Node("GlobalAveragePool", "mean", ("features",), ("mean",)),
    )
    outputs = (
        Value("features", TensorType("float32", ("batch", 4, 8, "width"))),
        Value("mean", TensorType("float32", ("batch", 4, 1, 1))),
    )
    image = Value("image", TensorType("float32", ("batch", 3, 8, "width")))
    return Graph("small", (image,), outputs, nodes, {"w": DenseTensor.of(W)}, {"author": "test"})


def image(batch: int = 1, width: int = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, 3, 8, width)).astype(np.float32)
