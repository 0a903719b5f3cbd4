"""From a trained module to a graph or a file: masks and codebooks arrive as they were trained, bit for bit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from ...converters import from_torch
from ...converters.element_types import unsupported_type
from ...format_spec.errors import ConversionError
from ...format_spec.graph import Graph
from ...format_spec.records import DTYPE_IDS
from ...format_spec.tensors import DenseTensor, SharedTensor, bit_patterns, to_scan
from ..packing import pack
from ..recipe import Recipe
from ..report import PackReport
from ..weights import find_weights
from ._slots import baked, wrapped_tensors
from .shared import SharedValues
from .tidy import tidy


def to_graph(module: nn.Module, example_inputs: Tensor | Sequence[Any], *, compact: bool = False, **options: Any) -> Graph:
    """The graph of ``module`` in evaluation mode, its shared tensors as :class:`SharedTensor` with the trained values.

    Other parametrizations (masks, gates) are stored as their results, zeros left out. ``options`` go to
    :func:`~tersor.converters.from_torch` (input and output names, dynamic shapes). ``compact`` drops what a small file can do
    without (:func:`~.tidy.tidy`). ``module`` is not changed.

    Raises:
        ConversionError: torch cannot export the module, or its exporter changed a shared tensor.
        UnsupportedOperator: a shared tensor has an element type that numpy does not have (bfloat16).
    """
    shared = [
        ([place.name for place in slot.places], part.codes.cpu().numpy(), _numpy(slot.name, part.codebook))
        for slot, part in wrapped_tensors(module, SharedValues)
    ]
    graph = from_torch(baked(module), example_inputs, **options)
    weights = find_weights(graph)
    tensors = dict(graph.initializers)
    for names, codes, codebook in shared:
        name = next((name for name in names if name in tensors), None)  # torch keeps one name of a tied tensor
        if name is None:
            raise ConversionError(f"the exporter folded {names[0]!r} into another tensor, and its sharing would be lost")
        weight = weights.get((graph, name))
        tensors[name] = _shared_tensor(codes, codebook, weight.row_axes if weight else (0,))
        _check_same(name, tensors[name], graph.initializers[name])
    graph = replace(graph, initializers=tensors)
    return tidy(graph) if compact else graph


def export(
    module: nn.Module,
    example_inputs: Tensor | Sequence[Any],
    path: str | os.PathLike[str],
    *,
    profile: str = "compact",
    compact: bool = False,
    **options: Any,
) -> PackReport:
    """Write ``module`` to ``path`` as a Tersor file, losslessly, in the ``profile`` ``compact``, ``paper`` or ``max``; see
    :func:`to_graph` for the other arguments.

    Raises:
        ConversionError: torch cannot export the module, or its exporter changed a shared tensor.
        UnsupportedOperator: the runtime could not execute the graph; nothing is written.
        RecipeError: there is no such profile; nothing is written.
        OSError: the file cannot be written.
    """
    return pack(to_graph(module, example_inputs, compact=compact, **options), path, Recipe.lossless(profile))


def _numpy(name: str, codebook: Tensor) -> np.ndarray:
    kind = str(codebook.dtype).removeprefix("torch.")
    if kind not in DTYPE_IDS:
        raise unsupported_type(f"tensor {name!r}", kind, DTYPE_IDS)
    return codebook.cpu().numpy()


def _shared_tensor(codes: np.ndarray, codebook: np.ndarray, row_axes: tuple[int, ...]) -> SharedTensor | DenseTensor:
    """Codes (0 is zero) and values as a file's tensor: values by ascending bit pattern, unused ones dropped, zeros left out."""
    values = np.concatenate([np.zeros(1, codebook.dtype), codebook])[codes]
    patterns = bit_patterns(to_scan(values, row_axes, "rows"))
    distinct, indices = np.unique(patterns, return_inverse=True)
    if not distinct.any():
        return DenseTensor.of(np.zeros(codes.shape, codebook.dtype))
    whole = bool(distinct[0])
    kept = np.flatnonzero(patterns)
    rows = int(np.prod([codes.shape[axis] for axis in row_axes]))
    columns = values.size // rows
    return SharedTensor(
        values.dtype,
        values.shape,
        row_axes,
        "rows",
        None if whole else np.searchsorted(kept, np.arange(rows + 1, dtype=np.int64) * columns).astype(np.int64),
        None if whole else (kept % columns).astype(np.uint32),
        (indices if whole else indices[kept] - 1).astype(np.uint8 if len(distinct) <= 256 else np.uint16),
        (distinct if whole else distinct[1:]).view(values.dtype),
    )


def _check_same(name: str, trained: SharedTensor | DenseTensor, exported: SharedTensor | DenseTensor) -> None:
    if not np.array_equal(bit_patterns(trained.dense()), bit_patterns(exported.dense())):
        raise ConversionError(f"the exporter changed {name!r}: what was trained would not be what is stored")
