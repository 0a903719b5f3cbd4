"""``pack``: a graph and a recipe become a file."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from traceback import clear_frames
from typing import BinaryIO, TypeAlias

from ..format_spec.atomic import atomic_write
from ..format_spec.coding import CodecId
from ..format_spec.container import map_file
from ..format_spec.errors import ConversionError, RecipeError
from ..format_spec.graph import OPSET, Graph, Tensor
from ..format_spec.limits import DEFAULT_LIMITS, MOST_THREADS, Limits
from ..format_spec.manifest import decode_manifest, encode_manifest
from ..format_spec.records import DTYPE_IDS, Placed, TensorRecord
from ..format_spec.validate import validate
from ..runtime.ops import check_supported
from ..runtime.orders.workers import physical_cores
from ._checks import check_integer
from .encode import encode
from .error import TensorError, measure_error
from .fold_batch_norm import fold_batch_norm
from .payloads import PayloadWriter
from .recipe import KEEP, Layer, Recipe
from .report import PackReport, report_file
from .targets import find_targets
from .transform import transform
from .weights import find_weights, initializers

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called after each tensor with its name, the dense bytes done, and the dense bytes in all."""


@dataclass(frozen=True, eq=False)
class _Job:
    """One tensor on its way into the file, read from ``tensors`` when its turn comes; ``record`` foresees the manifest's."""

    tensors: Mapping[str, Tensor]
    record: TensorRecord
    layer: Layer
    recipe: Recipe

    def run(self) -> _Done:
        """Prune, share and encode."""
        name, recipe = self.record.name, self.recipe
        tensor = self.tensors[name]
        row_axes = getattr(tensor, "row_axes", self.record.row_axes)
        changed = transform(name, tensor, row_axes, self.layer, filler=recipe.profile == "paper")
        error = TensorError() if self.layer.keeps or changed is tensor else measure_error(tensor, changed)
        encoded = encode(changed, recipe.profile, index_bits=recipe.index_bits)
        return _Done(replace(self.record, row_axes=row_axes, codec=encoded.codec), encoded.payload, error)


@dataclass(frozen=True, eq=False)
class _Done:
    """An encoded tensor; the error is that of the decoded one against the source."""

    record: TensorRecord
    payload: bytes
    error: TensorError


def pack(
    graph: Graph,
    path: str | os.PathLike[str],
    recipe: Recipe | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    threads: int | None = None,
    progress: Progress | None = None,
) -> PackReport:
    """Write ``graph`` to ``path`` as a Tersor file, treating its tensors as ``recipe`` says (default: lossless).

    The graph is not modified. The file appears whole or not at all, and only once it has been read back within ``limits``. It
    holds the same bytes whatever ``threads`` is (default: the physical cores); at most that many tensors are in memory at a
    time.

    ``progress`` is called after each tensor with its name, the dense bytes done, and the dense bytes in all.

    Raises:
        ConversionError: not a graph, or one at another opset or with an element type that a file does not hold; nothing is
            written.
        UnsupportedOperator: the runtime could not execute the graph; nothing is written.
        RecipeError: the recipe does not fit the graph, or would change NaN or infinity, or there are no threads; nothing is
            written.
        FormatError: the graph is not well formed; nothing is written.
        LimitError: no reader that keeps to ``limits`` would accept the file; nothing is written.
        OSError: the file cannot be written; what was at ``path`` stays.
    """
    if not isinstance(graph, Graph):
        raise ConversionError(f"pack takes a Graph, as from_onnx and from_torch give it, not {type(graph).__name__}")
    recipe = Recipe.lossless() if recipe is None else recipe
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"recipe = {recipe!r}: a Recipe is expected")
    threads = physical_cores() if threads is None else check_integer("threads", threads, 1, MOST_THREADS)
    if graph.opset != OPSET:
        raise ConversionError(f"the graph is at opset {graph.opset}; a file holds opset {OPSET}: use from_onnx to convert it")
    check_supported(graph)
    if recipe.fold_batch_norm:
        graph = fold_batch_norm(graph)
    jobs = list(_jobs(graph, recipe))
    _check_readable(graph, jobs, limits)
    errors: list[TensorError] = []
    with atomic_write(path) as file:
        _write(file, graph, _progressing(_in_order(jobs, threads), jobs, progress), errors)
        file.flush()
        try:
            return report_file(map_file(file), errors, index_bits=recipe.index_bits, limits=limits)
        except BaseException as error:
            clear_frames(error.__traceback__)  # what they hold keeps the file mapped, and Windows removes no such file
            raise


def _jobs(graph: Graph, recipe: Recipe) -> Iterator[_Job]:
    """Every tensor of the graph and its subgraphs, in the manifest's order."""
    weights, targets = find_weights(graph), find_targets(graph, recipe)
    for scoped, found in initializers(graph):
        part, name = scoped
        if found.dtype.name not in DTYPE_IDS:
            raise ConversionError(f"tensor {name!r} has the type {found.dtype.name}, which the format does not hold")
        row_axes = weights[scoped].row_axes if scoped in weights else ()
        record = TensorRecord(name, found.dtype, found.shape, row_axes, CodecId.RAW)
        yield _Job(part.initializers, record, targets[scoped].layer if scoped in targets else KEEP, recipe)


def _check_readable(graph: Graph, jobs: list[_Job], limits: Limits) -> None:
    """Check what a reader checks before it comes to payloads, so that this is known before the tensors are encoded.

    Raises:
        FormatError: the graph is not well formed.
        LimitError: graph or tensors exceed ``limits``.
    """
    validate(graph)
    empty = (Placed(job.record, 0) for job in jobs)
    decode_manifest(encode_manifest(graph, empty), limits)


def _in_order(jobs: list[_Job], threads: int) -> Iterator[_Done]:
    """Results in the order of ``jobs``, at most ``threads`` tensors being worked on or waiting."""
    with ThreadPoolExecutor(threads, thread_name_prefix="tersor-pack") as pool:
        running: deque[Future[_Done]] = deque()
        for job in jobs:
            if len(running) >= threads:
                yield running.popleft().result()
            running.append(pool.submit(job.run))
        while running:
            yield running.popleft().result()


def _progressing(results: Iterator[_Done], jobs: list[_Job], progress: Progress | None) -> Iterator[_Done]:
    """Pass ``results`` on, telling ``progress`` of each."""
    done, total = 0, sum(job.record.dense_bytes for job in jobs)
    for result in results:
        done += result.record.dense_bytes
        if progress is not None:
            progress(result.record.name, done, total)
        yield result


def _write(file: BinaryIO, graph: Graph, results: Iterator[_Done], errors: list[TensorError]) -> None:
    """Payloads as they come, then what tells where they are."""
    writer = PayloadWriter(file)
    for result in results:
        writer.add(result.record, result.payload)
        errors.append(result.error)
    writer.finish(graph)
