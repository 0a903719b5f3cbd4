"""LSTM layers, step by step, from packed weights: columns of nonzeros as codebook indices, or dense columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...format_spec.graph import Tensor
from ...format_spec.tensors import SharedTensor
from ..plan.step import Arrays, Kernel, Site
from ..plan.workers import Workers
from ._jit import jit

X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES = range(8)


@dataclass(frozen=True, eq=False)
class Columns:
    """Matrices (directions, rows, columns) whose columns are walked: ``rows`` and ``codes`` of column c of direction d are at
    ``starts[d * columns + c]`` to the next start; where ``rows`` is empty every row is there, ``codebook`` being the values.
    """

    starts: np.ndarray
    rows: np.ndarray
    codes: np.ndarray
    codebook: np.ndarray
    density: float

    @property
    def bytes(self) -> int:
        """Memory of a run's weights."""
        return sum(array.nbytes for array in (self.starts, self.rows, self.codes, self.codebook))


def pack_columns(tensor: Tensor) -> Columns:
    """Lay out weights (directions, rows, columns) with rows enumerated by the first two axes."""
    directions, rows, columns = tensor.shape
    if not isinstance(tensor, SharedTensor) or tensor.starts is None or tensor.minors is None or tensor.row_axes != (0, 1):
        values = np.ascontiguousarray(tensor.dense().transpose(0, 2, 1)).reshape(-1)
        starts = np.arange(directions * columns + 1, dtype=np.int64) * rows
        return Columns(starts, np.empty(0, np.uint32), np.empty(0, np.uint8), values, 1.0)
    majors = np.repeat(np.arange(tensor.majors, dtype=np.int64), np.diff(tensor.starts))
    minors = tensor.minors.astype(np.int64)
    row, column = (majors, minors) if tensor.order == "rows" else (minors, majors)
    place = (row // rows) * columns + column
    order = np.lexsort((row, place))
    starts = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=directions * columns))]).astype(np.int64)
    density = len(order) / max(1, tensor.size)
    return Columns(starts, (row % rows)[order].astype(np.uint32), tensor.codes[order], tensor.codebook, density)


@jit
def _add_product(
    vector: np.ndarray,
    first: int,
    starts: np.ndarray,
    rows: np.ndarray,
    codes: np.ndarray,
    codebook: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add the product of the matrix whose columns begin at number ``first`` with ``vector`` to ``out``; zeros cost nothing."""
    for column in range(len(vector)):
        value = vector[column]
        if value == 0:
            continue
        start, end = starts[first + column], starts[first + column + 1]
        if len(rows) == 0:
            for row in range(end - start):
                out[row] += codebook[start + row] * value
        else:
            for entry in range(start, end):
                out[rows[entry]] += codebook[codes[entry]] * value


@jit
def _lstm(
    x: np.ndarray,
    w: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    r: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    bias: np.ndarray,
    direction: int,
    backwards: bool,
    hidden: np.ndarray,
    cell: np.ndarray,
    output: np.ndarray,
) -> None:
    """One direction over ``x`` (time, batch, inputs): fills ``output`` (time, batch, H), leaves the last states in ``hidden``
    and ``cell`` (batch, H). Gates in the order input, output, forget, cell; ``bias`` (4H,).
    """
    time, batch, inputs = x.shape
    size = hidden.shape[1]
    gates = np.empty(4 * size, np.float32)
    one = np.float32(1)
    for step in range(time):
        t = time - 1 - step if backwards else step
        for b in range(batch):
            gates[:] = bias
            _add_product(x[t, b], direction * inputs, w[0], w[1], w[2], w[3], gates)
            _add_product(hidden[b], direction * size, r[0], r[1], r[2], r[3], gates)
            for k in range(size):
                enter = one / (one + np.exp(-gates[k]))
                leave = one / (one + np.exp(-gates[size + k]))
                forget = one / (one + np.exp(-gates[2 * size + k]))
                cell[b, k] = forget * cell[b, k] + enter * np.tanh(gates[3 * size + k])
                hidden[b, k] = leave * np.tanh(cell[b, k])
            output[t, b] = hidden[b]


def lower_lstm(site: Site) -> Kernel | None:
    """A kernel for a float32 LSTM with constant weights, ONNX's default activations and no peepholes, lengths or clipping."""
    node = site.node
    plain = not set(node.attributes) - {"direction", "hidden_size"}
    absent = all(site.type(index) is None for index in (LENGTHS, PEEPHOLES))
    w, r = site.constants.get(W), site.constants.get(R)
    bias = site.array(B) if site.type(B) is not None else None
    if not (plain and absent and site.all_float32) or w is None or r is None or (bias is None) != (site.type(B) is None):
        return None
    packed = [site.prepare(("lstm", node.inputs[i]), _packer(tensor)) for i, tensor in ((W, w), (R, r))]
    directions, size = r.shape[0], r.shape[2]
    split = np.zeros((directions, 2, 4 * size), np.float32) if bias is None else bias.reshape(directions, 2, 4 * size)
    reads = [X, *(index for index in (INITIAL_H, INITIAL_C) if site.type(index) is not None)]
    x = site.inputs[X]
    assert x is not None
    return Kernel(
        "lstm from columns, " + ("dense" if packed[1].density == 1 else "sparse"),
        _runner(packed, split[:, 0] + split[:, 1], node.attribute("direction", "forward"), reads),
        reads=tuple(reads),
        macs=x[1][0] * x[1][1] * (w.size + r.size),
        density=(packed[0].density * w.size + packed[1].density * r.size) / max(1, w.size + r.size),
        weight_bytes=sum(columns.bytes for columns in packed),
    )


def _packer(tensor: Tensor) -> Callable[[], Columns]:
    return lambda: pack_columns(tensor)


def _runner(packed: list[Columns], bias: np.ndarray, direction: str, reads: list[int]) -> Any:
    w, r = ((c.starts, c.rows, c.codes, c.codebook) for c in packed)

    def run(arrays: Arrays, results: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        given = dict(zip(reads, arrays, strict=False))
        x = given[X]
        assert x is not None
        shape = (len(bias), x.shape[1], bias.shape[1] // 4)
        hidden, cell = (_state(given.get(index), shape) for index in (INITIAL_H, INITIAL_C))
        outputs = np.empty((len(bias), x.shape[0], *shape[1:]), np.float32)
        for index in range(len(bias)):
            backwards = index == 1 or direction == "reverse"
            _lstm(x, w, r, bias[index], index, backwards, hidden[index], cell[index], outputs[index])
        for value, result in zip((outputs.swapaxes(0, 1), hidden, cell), results, strict=False):
            if result is not None:
                np.copyto(result, value)

    return run


def _state(initial: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.float32) if initial is None else np.array(initial, order="C")
