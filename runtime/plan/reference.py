"""Steps that no kernel runs: the operator's numpy reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ...format_spec.limits import Limits
from ..kernels.site import CHANNEL_AXIS, Epilogue, Kernel
from ..ops import Closure, find_operator
from ..orders.order import Arrays
from ..orders.workers import Workers
from .facts import apply, apply_within


def reference_kernel(node: Node, outputs: Sequence[str], epilogue: Epilogue, limits: Limits) -> Kernel:
    """Run ``node`` by its reference and copy the results into the outputs' memory.

    Running raises :class:`PlanError` where a result has not the shape that was foreseen: the inputs do not fit together.
    """
    found = find_operator(node)
    inputs = len(node.inputs)

    def run(arrays: Arrays, results: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        if not any(result is not None and result.size for result in results):
            return
        values = apply(found, node, arrays[:inputs], limits)
        residual = arrays[inputs] if epilogue.residual else None
        for name, value, result in zip(outputs, values, results, strict=False):
            if name and result is not None:
                if value.shape != result.shape:
                    made = f"an output of shape {value.shape}, where {result.shape} is due"
                    raise PlanError(f"node {node.label!r} ({node.op_type}) makes {made}")
                np.copyto(result, apply_epilogue(value, node, epilogue, residual))

    return Kernel("subgraph" if _calls(node) else "reference", run, reads=tuple(range(inputs)))


def _calls(node: Node) -> bool:
    return any(isinstance(value, Closure) for value in node.attributes.values())


def dynamic_kernel(node: Node, limits: Limits) -> Kernel:
    """Run ``node`` by its reference when the shapes of its outputs are not known before the run."""
    found = find_operator(node)

    def run(arrays: Arrays, results: Arrays, scratch: np.ndarray, workers: Workers) -> list[np.ndarray]:
        values = apply_within(found, node, arrays, limits)
        return [_own(value, arrays) for value, _ in zip(values, node.outputs, strict=False)]

    name = "subgraph, dynamic shape" if _calls(node) else "reference, dynamic shape"
    return Kernel(name, run, reads=tuple(range(len(node.inputs))))


def _own(value: np.ndarray, inputs: Arrays) -> np.ndarray:
    """``value``, copied when its memory is an input's and may be written again while ``value`` is still read."""
    shares = any(array is not None and np.may_share_memory(value, array) for array in inputs)
    return np.array(value, order="C") if shares else np.ascontiguousarray(value).reshape(value.shape)


def apply_epilogue(value: np.ndarray, node: Node, epilogue: Epilogue, residual: np.ndarray | None) -> np.ndarray:
    """What :class:`Epilogue` says, the plain way; float64 inside, ``value``'s dtype outside."""
    if epilogue.empty:
        return value
    along = [1] * value.ndim
    along[CHANNEL_AXIS[node.op_type]] = -1
    result = value.astype(np.float64)
    if epilogue.scale is not None:
        result = result * epilogue.scale.reshape(along)
    if epilogue.shift is not None:
        result = result + epilogue.shift.reshape(along)
    if residual is not None:
        result = result + residual
    return _passed(result, epilogue).astype(value.dtype)


def _passed(value: np.ndarray, epilogue: Epilogue) -> np.ndarray:
    """``value`` within the bounds of an epilogue, or what its gate makes of it."""
    with np.errstate(all="ignore"):
        if not epilogue.gate:
            return np.clip(value, epilogue.low, epilogue.high)
        slope, offset, added = epilogue.gate
        return value * np.clip(value * slope + offset, epilogue.low, epilogue.high) + added
