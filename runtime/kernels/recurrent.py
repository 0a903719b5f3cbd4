"""LSTM, GRU and RNN layers from packed weights: columns of nonzeros, or whole columns, as codebook indices or values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...format_spec.graph import Node, Tensor
from ...format_spec.tensors import SharedTensor, from_scan
from ..plan.step import Arrays, Kernel, Run, Site
from ..plan.workers import Workers
from .cells import GRU, GRU_LINEAR, LSTM, RNN, RNN_RELU, Pack, run_direction
from .matrix import check_shared

X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES = range(8)

ACTIVATIONS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
"""Of one direction, as the kernel has them; an RNN may have relu too."""

KNOWN = frozenset({"activations", "direction", "hidden_size", "layout", "linear_before_reset"})
"""Attributes that the kernel follows; it leaves layers with others to the reference."""


@dataclass(frozen=True, eq=False)
class Columns:
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
        """What the columns hold."""
        _, rows, codes, _ = self.pack
        return "sparse" if len(rows) else "shared" if len(codes) else "dense"


def pack_columns(tensor: Tensor, name: str, first: int, last: int) -> Columns:
    """Lay out rows ``first`` to ``last`` of each of the weights (directions, rows, columns) called ``name``.

    Raises:
        FormatError: the tensor's parts contradict one another.
    """
    directions, _, columns = tensor.shape
    size = directions * (last - first) * columns
    starts = np.arange(directions * columns + 1, dtype=np.int64) * (last - first)
    no_rows, no_codes = np.empty(0, np.uint32), np.empty(0, np.uint8)
    if isinstance(tensor, SharedTensor):
        check_shared(tensor, name)
        if tensor.starts is None:
            codes = from_scan(tensor.codes, tensor.shape, tensor.row_axes, tensor.order)
            return Columns((starts, no_rows, _by_column(codes, first, last), tensor.codebook), size, size)
        if tensor.row_axes == (0, 1):
            pack = _pack_sparse(tensor, first, last)
            return Columns(pack, int(pack[0][-1]), size)
    return Columns((starts, no_rows, no_codes, _by_column(tensor.dense(), first, last)), size, size)


def _by_column(array: np.ndarray, first: int, last: int) -> np.ndarray:
    return np.ascontiguousarray(array[:, first:last].transpose(0, 2, 1)).reshape(-1)


def _pack_sparse(tensor: SharedTensor, first: int, last: int) -> Pack:
    assert tensor.starts is not None
    assert tensor.minors is not None
    directions, height, columns = tensor.shape
    majors = np.repeat(np.arange(tensor.majors, dtype=np.int64), np.diff(tensor.starts))
    minors = tensor.minors.astype(np.int64)
    row, column = (majors, minors) if tensor.order == "rows" else (minors, majors)
    place, within = row // max(1, height) * columns + column, row % max(1, height)
    kept = np.flatnonzero((within >= first) & (within < last))
    order = kept[np.lexsort((within[kept], place[kept]))]
    starts = np.concatenate([[0], np.cumsum(np.bincount(place[order], minlength=directions * columns))]).astype(np.int64)
    # One row more than is read: no rows at all would mean whole columns.
    rows = np.append(within[order] - first, 0).astype(np.uint32)
    return starts, rows, tensor.codes[order], tensor.codebook


@dataclass(frozen=True, eq=False)
class Layer:
    """``bias`` (directions, n) as :func:`run_direction` takes it; ``backwards`` says it of each direction.

    ``layout`` 1 has the batch before the time, and before the directions.
    """

    kind: int
    weights: tuple[Columns, Columns, Columns]
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
        outputs = np.empty((len(self.bias), time, batch, self.hidden), np.float32)
        packs = tuple(columns.pack for columns in self.weights)

        def work(d: int) -> None:
            run_direction(self.kind, x, packs, self.bias[d], d, self.backwards[d], lengths, states[d], outputs[d])

        workers.each(work, len(self.bias))
        lasts = states.transpose(1, 2, 0, 3) if self.layout else states.swapaxes(0, 1)
        axes = (2, 1, 0, 3) if self.layout else (1, 0, 2, 3)
        for value, result in zip((outputs.transpose(axes), *lasts), results, strict=False):
            if result is not None:
                np.copyto(result, value)


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

    def pack(index: int, tensor: Tensor, first: int, last: int) -> Columns:
        name = node.inputs[index]
        return site.prepare(("recurrent", name, first, last), lambda: pack_columns(tensor, name, first, last))

    weights = pack(W, w, 0, height), pack(R, r, 0, gated), pack(R, r, gated, height)
    backwards = [node.attribute("direction", "forward") == "reverse", True][:directions]
    joined = _join_bias(node.op_type, bias, directions, height, hidden)
    layer = Layer(kind, weights, joined, backwards, hidden, node.attribute("layout", 0))
    reads = tuple(index for index in (X, LENGTHS, INITIAL_H, INITIAL_C) if site.type(index) is not None)
    return Kernel(
        f"{node.op_type.lower()} from columns, {weights[1].form}",
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
    """Both biases of the gates added up; a GRU's candidate keeps its recurrent one, (directions, H), behind the others."""
    if bias is None:
        bias = np.zeros((directions, 2 * height), np.float32)
    inner, recurrent = bias[:, :height], bias[:, height:]
    if op_type != "GRU":
        return inner + recurrent
    gates, apart = recurrent[:, : 2 * hidden], recurrent[:, 2 * hidden :]
    return np.concatenate([inner[:, : 2 * hidden] + gates, inner[:, 2 * hidden :], apart], axis=1)


def _runner(layer: Layer, reads: Sequence[int]) -> Run:
    def run(arrays: Arrays, results: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        layer.run({i: a for i, a in zip(reads, arrays, strict=False) if a is not None}, results, workers)

    return run
