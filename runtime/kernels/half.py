"""Operators of float16 on the kernels that float32 has: references compute in float32, too, and round once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from ...format_spec.graph import Tensor
from ...format_spec.tensors import DenseTensor
from ..orders.order import Arrays, present, whole_lines
from ..orders.workers import Workers
from .site import Kernel, Site

HALF, FLOAT = np.dtype(np.float16), np.dtype(np.float32)


def lower_half(site: Site, lower: Callable[[Site], Kernel | None]) -> Kernel | None:
    """The kernel that ``lower`` has for ``site`` were all of it float32, between conversions, where all of it is float16.

    What is converted lies in scratch memory, in front of the kernel's own.
    """
    types = [shaped for shaped in (*site.inputs, *site.outputs) if shaped is not None]
    if site.epilogue.residual or any(dtype != HALF for dtype, _ in types):
        return None
    inputs = tuple(None if shaped is None else (FLOAT, shaped[1]) for shaped in site.inputs)
    outputs = tuple((FLOAT, shape) for _, shape in site.outputs)
    constants = {index: _widened(tensor) for index, tensor in site.constants.items()}
    kernel = lower(replace(site, inputs=inputs, outputs=outputs, constants=constants))
    if kernel is None:
        return None
    shapes = [present(inputs[index])[1] for index in kernel.reads] + [outputs[0][1]]
    ends = np.cumsum([whole_lines(4 * prod(shape)) for shape in shapes]).tolist()

    def run(given: Arrays, made: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        *wide, result = (
            scratch[first : first + 4 * prod(shape)].view(FLOAT).reshape(shape)
            for first, shape in zip([0, *ends], shapes, strict=False)
        )
        for target, source in zip(wide, given, strict=True):
            np.copyto(target, present(source))
        kernel.run(wide, [result], scratch[ends[-1] :], workers)
        np.copyto(present(made[0]), result, casting="same_kind")

    facts = kernel.macs, kernel.density, kernel.weight_bytes, kernel.scratch + ends[-1]
    return Kernel(f"{kernel.name}, float16", run, kernel.reads, *facts)


def _widened(tensor: Tensor) -> DenseTensor:
    return DenseTensor(FLOAT, tensor.shape, lambda: tensor.dense().astype(FLOAT))
