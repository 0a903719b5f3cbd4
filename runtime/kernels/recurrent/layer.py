"""LSTM, GRU and RNN layers from packed weights: panels of values, or columns of codebook indices, of nonzeros or whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ....format_spec.graph import Node, Tensor
from ....format_spec.tensors import SharedTensor, from_scan
from ...orders.made_once import made_once
from ...orders.order import Arrays, present
from ...orders.workers import Workers
from ..matrices.matrix import check_shared
from ..site import Kernel, Run, Site
from .cells import Pack, run_direction
from .gates import GRU, GRU_LINEAR, LSTM, RNN, RNN_RELU
from .row_panels import Kinds, lanes_and_many, make_panels, panel_rows

X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES = range(8)

ACTIVATIONS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
"""Of one direction, as the kernel has them; an RNN may have relu too."""

KNOWN = frozenset({"activations", "direction", "hidden_size", "layout", "linear_before_reset"})
"""Attributes that the kernel follows; it leaves layers with others to the reference."""


CACHED, MOST_EXPANDED = 2 << 20, 32 << 20
"""Bytes of float32 values of a matrix that a second-level cache holds, and that shared weights may become, at most: as codes,
which are looked up one by one, they take five times as long."""

SPARSE = 1 / 24, 1 / 8
"""Where fewer of the weights are listed, only these are multiplied: of a matrix that a cache holds, and of a larger one, whose
panels come from further away."""

NO_STARTS, NO_ROWS, NO_CODES, NO_VALUES = (np.empty(0, dtype) for dtype in (np.int64, np.uint32, np.uint8, np.float32))
NO_PANELS = np.empty((0, 0, 0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class Packed:
    """Matrices (directions, rows, columns) laid out for :mod:`.cells`, and how many of their ``size`` elements are listed."""

    pack: Pack
    listed: int
    size: int

    @property
    def bytes(self) -> int:
        """Memory of a run's weights."""
        return sum(array.nbytes for array in self.pack)

    @property
    def form(self) -> str:
        """What they are."""
        _, rows, codes, _, _ = self.pack
        return "columns, sparse" if len(rows) else "columns, shared" if len(codes) else "panels"


def pack_matrices(tensor: Tensor, name: str, first: int, last: int) -> Packed:
    """Lay out rows ``first`` to ``last`` of each of the weights (directions, rows, columns) called ``name``.

    Raises:
        FormatError: the tensor's parts contradict one another.
    """
    directions, _, columns = tensor.shape
    size = directions * (last - first) * columns
    if isinstance(tensor, SharedTensor):
        check_shared(tensor, name)
        expanded = 4 * size // max(1, directions)
        large, few = expanded > MOST_EXPANDED, SPARSE[expanded > CACHED] * tensor.size
        if tensor.starts is not None and tensor.row_axes == (0, 1) and (large or len(tensor.codes) < few):
            pack = _pack_sparse(tensor, first, last)
            return Packed(pack, int(pack[0][-1]), size)
        if tensor.starts is None and large:
            codes = from_scan(tensor.codes, tensor.shape, tensor.row_axes, tensor.order)
            starts = np.arange(directions * columns + 1, dtype=np.int64) * (last - first)
            return Packed((starts, NO_ROWS, _by_column(codes, first, last), tensor.codebook, NO_PANELS), size, size)
    return Packed((NO_STARTS, NO_ROWS, NO_CODES, NO_VALUES, make_panels(tensor.dense()[:, first:last])), size, size)


def _by_column(array: np.ndarray, first: int, last: int) -> np.ndarray:
    return np.ascontiguousarray(array[:, first:last].transpose(0, 2, 1)).reshape(-1)


def _pack_sparse(tensor: SharedTensor, first: int, last: int) -> Pack:
    directions, height, columns = tensor.shape
    majors = np.repeat(np.arange(tensor.majors, dtype=np.int64), np.diff(present(tensor.starts)))
    minors = present(tensor.minors).astype(np.int64)
    row, column = (majors, minors) if tensor.order == "rows" else (minors, majors)
    place, within = row // max(1, height) * columns + column, row % max(1, height)
    kept = np.flatnonzero((within >= first) & (within < last))
    order = kept[np.lexsort((within[kept], place[kept]))]
    starts = np.concatenate([[0], np.cumsum(np.bincount(place[order], minlength=directions * columns))]).astype(np.int64)
    # One row more than is read: no rows at all would mean whole columns.
    rows = np.append(within[order] - first, 0).astype(np.uint32)
    return starts, rows, tensor.codes[order], tensor.codebook, NO_PANELS


@dataclass(frozen=True, eq=False)
class RecurrentLayer:
    """``bias`` (directions, 2, n) as :func:`run_direction` takes it; ``backwards`` says it of each direction.

    ``layout`` 1 has the batch before the time, and before the directions.
    """

    kind: int
    weights: tuple[Packed, Packed, Packed]
    bias: np.ndarray
    backwards: Sequence[bool]
    hidden: int
    layout: int

    def run(self, given: dict[int, np.ndarray], results: Arrays, workers: Workers) -> None:
        """Fill Y and the last states from the inputs by number."""
        x = np.ascontiguousarray(given[X].swapaxes(0, 1)) if self.layout else given[X]
        time, batch, _ = x.shape
        lengths = given[LENGTHS].astype(np.int64) if LENGTHS in given else np.full(batch, time)
        states = np.zeros((len(self.bias), 2 if self.kind == LSTM else 1, batch, self.hidden), np.float32)
        for place, index in enumerate((INITIAL_H, INITIAL_C)):
            if index in given:
                states[:, place] = given[index].swapaxes(0, 1) if self.layout else given[index]
        y, *lasts = results
        shape = time, len(self.bias), batch, self.hidden
        outputs = np.empty(shape, np.float32) if y is None or self.layout else y
        run_direction, kinds, packs = self._kernel

        def work(d: int) -> None:
            run_direction(kinds, self.kind, x, packs, self.bias[d], d, self.backwards[d], lengths, states[d], outputs)

        workers.each(work, len(self.bias))
        if y is not None and y is not outputs:
            np.copyto(y, outputs.transpose(2, 0, 1, 3))
        for value, result in zip(states.transpose(1, 2, 0, 3) if self.layout else states.swapaxes(0, 1), lasts, strict=False):
            if result is not None:
                np.copyto(result, value)

    @made_once
    def _kernel(self) -> tuple[Callable[..., None], Kinds, tuple[Pack, ...]]:
        """What runs a direction, and arguments that are always the same."""
        return run_direction.once(), lanes_and_many(), tuple(weights.pack for weights in self.weights)


def lower_recurrent(site: Site) -> Kernel | None:
    """A kernel for a float32 layer with constant weights and bias, and with the activations that ONNX gives it by default.

    Peepholes, clipping, coupled gates and other activations are left to the reference.
    """
    node, x, kind = site.node, site.type(X), _kind(site.node)
    w, r, bias = site.constants.get(W), site.constants.get(R), site.array(B)
    floats = [site.type(index) for index in (X, W, R, B, INITIAL_H, INITIAL_C) if site.type(index) is not None]
    if any(shaped is not None and shaped[0] != np.float32 for shaped in floats) or site.type(PEEPHOLES) is not None:
        return None
    if kind is None or x is None or w is None or r is None or (bias is None) != (site.type(B) is None):
        return None
    directions, height, hidden = r.shape
    gated = 2 * hidden if node.op_type == "GRU" else height

    def pack(index: int, tensor: Tensor, first: int, last: int) -> Packed:
        name = node.inputs[index]
        return site.prepare(("recurrent", name, first, last), lambda: pack_matrices(tensor, name, first, last))

    weights = pack(W, w, 0, height), pack(R, r, 0, gated), pack(R, r, gated, height)
    backwards = [node.attribute("direction", "forward") == "reverse", True][:directions]
    joined = _join_bias(node.op_type, bias, directions, height, hidden)
    layer = RecurrentLayer(kind, weights, joined, backwards, hidden, node.attribute("layout", 0))
    reads = tuple(index for index in (X, LENGTHS, INITIAL_H, INITIAL_C) if site.type(index) is not None)
    return Kernel(
        f"{node.op_type.lower()} from {weights[1].form}",
        _runner(layer, reads),
        reads=reads,
        macs=x[1][0] * x[1][1] * (w.size + r.size),
        density=sum(part.listed for part in weights) / max(1, w.size + r.size),
        weight_bytes=sum(part.bytes for part in weights),
    )


def _kind(node: Node) -> int | None:
    """The kind of cell, or ``None`` when the kernel has no such."""
    names = [name.lower() for name in node.attribute("activations", None) or ()]
    expected = ACTIVATIONS[node.op_type]
    relu = node.op_type == "RNN" and names in (["relu"], ["relu"] * 2)
    if not relu and names != expected * (len(names) // len(expected)):
        return None
    if any(value for name, value in node.attributes.items() if name not in KNOWN):
        return None
    if node.op_type == "GRU":
        return GRU_LINEAR if node.attribute("linear_before_reset", 0) else GRU
    return LSTM if node.op_type == "LSTM" else RNN_RELU if relu else RNN


def _join_bias(op_type: str, bias: np.ndarray | None, directions: int, height: int, hidden: int) -> np.ndarray:
    """(directions, 2, rows of panels): both biases of the gates added up; of a GRU's candidate, the recurrent one is behind."""
    joined = np.zeros((directions, 2, -(-height // panel_rows()) * panel_rows()), np.float32)
    if bias is not None:
        apart = height - hidden if op_type == "GRU" else height
        joined[:, 0, :height] = bias[:, :height]
        joined[:, 0, :apart] += bias[:, height : height + apart]
        joined[:, 1, : height - apart] = bias[:, height + apart :]
    return joined


def _runner(layer: RecurrentLayer, reads: Sequence[int]) -> Run:
    def run(arrays: Arrays, results: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        layer.run({i: a for i, a in zip(reads, arrays, strict=False) if a is not None}, results, workers)

    return run
