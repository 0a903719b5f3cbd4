"""One direction of a recurrent layer: products of many steps' inputs at once, of one step's state, and gates between them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ...emit.memory import address
from ...jit.jitted import jit
from .gates import GRU, GRU_LINEAR, LSTM, RNN_RELU, multiply_into, squash, step_gru, step_lstm, step_rnn
from .row_panels import Kinds, multiply_panels

TOGETHER = 24
"""Vectors of inputs that are multiplied at once, about: what becomes of them stays in a cache until their steps come."""

Pack: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]"
"""(starts, rows, codes, codebook, panels) of matrices (directions, rows, columns): panels as :mod:`.row_panels` has them,
unless they are empty. Then columns are walked: column c of direction d is at ``starts[d * columns + c]`` to the next start.
Where ``rows`` is empty every row is there."""


@jit
def _add_columns(vector: np.ndarray, first: int, pack: Pack, out: np.ndarray) -> None:
    """Add the product of the matrix whose columns begin at number ``first`` with ``vector`` to ``out``; zeros cost nothing."""
    starts, rows, codes, codebook, _ = pack
    for column in range(len(vector)):
        value = vector[column]
        if value == 0:
            continue
        start, end = starts[first + column], starts[first + column + 1]
        if len(rows) > 0:
            for entry in range(start, end):
                out[rows[entry]] += codebook[codes[entry]] * value
        else:
            for row in range(end - start):
                out[row] += codebook[codes[start + row]] * value


@jit
def _multiply(kinds, pack, index, vectors, start, target):
    """``target[i] = start[i] + matrix[index] @ vectors[i]``; ``start`` may have one row for all, and both have room for whole
    panels. ``kinds`` are those of the processor."""
    panels = pack[4]
    count, columns = vectors.shape
    pitch, places = 4 * target.shape[1], 0 if len(start) == 1 else 4 * start.shape[1]
    if len(panels) > 0:
        lanes, many = kinds
        multiply_panels(lanes, many, address(vectors), count, panels[index], address(start), places, address(target), pitch)
        return
    for i in range(count):
        row, before = target[i], start[min(i, len(start) - 1)]
        for k in range(len(row)):
            row[k] = before[k]
        _add_columns(vectors[i], index * columns, pack, row)


@jit
def _find_candidates(kinds, linear, gates, given, hidden, last, index, shift, candidates):
    """A GRU's gates (batch, rows), through their activations, and its candidates (batch, rows), before their own."""
    batch, size = hidden.shape
    state = hidden if linear else np.empty_like(hidden)
    for b in range(batch):
        squash(gates[b, : 2 * size])
        if not linear:
            for k in range(size):
                state[b, k] = gates[b, size + k]
            multiply_into(state[b], hidden[b])
    _multiply(kinds, last, index, state, shift, candidates)
    for b in range(batch):
        if linear:
            multiply_into(candidates[b, :size], gates[b, size : 2 * size])
        for k in range(size):
            candidates[b, k] += given[b, 2 * size + k]


@jit
def _run_steps(kinds, kind, given, weights, bias, index, backwards, left, states, output):
    """Some steps of :func:`run_direction`: ``given`` (steps * batch, rows) is what their inputs give the gates, ``left``
    (batch,) is how many of them there are in a sequence."""
    (steps, _, batch, size), hidden = output.shape, states[0]
    gates, candidates = np.empty((batch, bias.shape[1]), np.float32), np.empty((batch, bias.shape[1]), np.float32)
    gru = kind in (GRU, GRU_LINEAR)
    for number in range(steps):
        t = steps - 1 - number if backwards else number
        own = given[t * batch : (t + 1) * batch]
        _multiply(kinds, weights[1], index, hidden, own, gates)
        if gru:
            _find_candidates(kinds, kind == GRU_LINEAR, gates, own, hidden, weights[2], index, bias[1:], candidates)
        for b in range(batch):
            if t >= left[b]:
                output[t, index, b] = 0
                continue
            if gru:
                step_gru(gates[b], candidates[b, :size], hidden[b])
            elif kind == LSTM:
                step_lstm(gates[b], hidden[b], states[1, b])
            else:
                step_rnn(kind == RNN_RELU, gates[b], hidden[b])
            output[t, index, b] = hidden[b]


@jit
def run_direction(
    kinds: Kinds,
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
    """Direction ``index`` over ``x`` (time, batch, inputs): fills ``output`` (time, directions, batch, H), leaves the last
    ``states`` (states, batch, H), the first of them being the output. Steps beyond ``lengths`` (batch,) give zeros and change
    nothing.

    ``weights`` of the inputs, of the state, and, for a GRU, the candidate's of the state. ``bias`` (2, rows) is that of the
    gates, and, for a GRU, the candidate's recurrent one, both padded to whole panels.
    """
    time, batch, inputs = x.shape
    together = max(1, min(time, TOGETHER // max(1, batch)))
    given = np.empty((together * batch, bias.shape[1]), np.float32)
    for step in range(0, time, together):
        count = min(together, time - step)
        first = time - step - count if backwards else step
        _multiply(kinds, weights[0], index, x[first : first + count].reshape(count * batch, inputs), bias[:1], given)
        steps = output[first : first + count]
        _run_steps(kinds, kind, given, weights, bias, index, backwards, lengths - first, states, steps)
