"""One direction of a recurrent layer, step by step from packed weights."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ._jit import jit

LSTM, GRU, GRU_LINEAR, RNN, RNN_RELU = range(5)
"""Kinds of cell: a GRU resets the state before or after (``linear_before_reset``) its product; an RNN has tanh or relu."""

Pack: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]"
"""(starts, rows, codes, codebook) of matrices (directions, rows, columns) whose columns are walked: column c of direction d is
at ``starts[d * columns + c]`` to the next start. Where ``rows`` is empty every row is there; where ``codes`` is empty too,
``codebook`` holds the values themselves."""


@jit
def _add_product(vector: np.ndarray, first: int, pack: Pack, out: np.ndarray) -> None:
    """Add the product of the matrix whose columns begin at number ``first`` with ``vector`` to ``out``; zeros cost nothing."""
    starts, rows, codes, codebook = pack
    for column in range(len(vector)):
        value = vector[column]
        if value == 0:
            continue
        start, end = starts[first + column], starts[first + column + 1]
        if len(rows) > 0:
            for entry in range(start, end):
                out[rows[entry]] += codebook[codes[entry]] * value
        elif len(codes) > 0:
            for row in range(end - start):
                out[row] += codebook[codes[start + row]] * value
        else:
            for row in range(end - start):
                out[row] += codebook[start + row] * value


@jit
def _sigmoid(x):
    one = np.float32(1)
    return one / (one + np.exp(-x))


@jit
def _step_lstm(gates, hidden, cell):
    """``gates`` (4H,): input, output, forget, cell, before their activations."""
    size = len(hidden)
    for k in range(size):
        enter, leave, forget = _sigmoid(gates[k]), _sigmoid(gates[size + k]), _sigmoid(gates[2 * size + k])
        cell[k] = forget * cell[k] + enter * np.tanh(gates[3 * size + k])
        hidden[k] = leave * np.tanh(cell[k])


@jit
def _step_gru(linear, gates, hidden, last, first, shift):
    """``gates`` (3H,): update, reset, and of the candidate what the input gives; ``shift`` (H,) is its recurrent bias.

    ``last`` is the candidate's recurrent matrix, whose columns begin at number ``first``.
    """
    one, size = np.float32(1), len(hidden)
    for k in range(2 * size):
        gates[k] = _sigmoid(gates[k])
    inner = shift.copy()
    if linear:
        _add_product(hidden, first, last, inner)
        for k in range(size):
            inner[k] *= gates[size + k]
    else:
        _add_product(gates[size : 2 * size] * hidden, first, last, inner)
    for k in range(size):
        candidate = np.tanh(gates[2 * size + k] + inner[k])
        hidden[k] = (one - gates[k]) * candidate + gates[k] * hidden[k]


@jit
def _step_rnn(relu, gates, hidden):
    for k in range(len(hidden)):
        hidden[k] = max(gates[k], np.float32(0)) if relu else np.tanh(gates[k])


@jit
def run_direction(
    kind: int,
    x: np.ndarray,
    weights: tuple[Pack, Pack, Pack],
    bias: np.ndarray,
    index: int,
    backwards: bool,
    lengths: np.ndarray,
    states: np.ndarray,
    output: np.ndarray,
) -> None:
    """Direction ``index`` over ``x`` (time, batch, inputs): fills ``output`` (time, batch, H), leaves the last ``states``
    (states, batch, H), the first of them being the output. Steps beyond ``lengths`` (batch,) give zeros and change nothing.

    ``weights`` of the inputs, of the state, and, for a GRU, the candidate's of the state. ``bias`` is that of the gates, and,
    for a GRU, the candidate's recurrent one behind it.
    """
    time, batch, inputs = x.shape
    size = states.shape[2]
    w, r, last = weights
    gated = len(bias) - size if kind in (GRU, GRU_LINEAR) else len(bias)
    gates = np.empty(gated, np.float32)
    for step in range(time):
        t = time - 1 - step if backwards else step
        for b in range(batch):
            if t >= lengths[b]:
                output[t, b] = 0
                continue
            hidden = states[0, b]
            for i in range(gated):
                gates[i] = bias[i]
            _add_product(x[t, b], index * inputs, w, gates)
            _add_product(hidden, index * size, r, gates)
            if kind == LSTM:
                _step_lstm(gates, hidden, states[1, b])
            elif kind in (GRU, GRU_LINEAR):
                _step_gru(kind == GRU_LINEAR, gates, hidden, last, index * size, bias[gated:])
            else:
                _step_rnn(kind == RNN_RELU, gates, hidden)
            output[t, b] = hidden
