"""Parts of graphs that packing is tested with."""

from __future__ import annotations

from typing import Any

import numpy as np

from tersor.format_spec.graph import Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor


def tensor(*shape: int, dtype: str = "float32") -> DenseTensor:
    return DenseTensor.of(np.zeros(shape, dtype))


def node(op_type: str, inputs: str, output: str, **attributes: Any) -> Node:
    return Node(op_type, output, tuple(inputs.split()), (output,), attributes)


def value(name: str) -> Value:
    return Value(name, TensorType("float32", None))
