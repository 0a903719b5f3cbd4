"""What recurrent cells do between their products: gates, element by element, and the states that they make."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit
from ..activations import hyperbolic_tangent, sigmoid

LSTM, GRU, GRU_LINEAR, RNN, RNN_RELU = range(5)
"""Kinds of cell: a GRU resets the state before or after (``linear_before_reset``) its product; an RNN has tanh or relu."""


# Loops over one array or two: LLVM makes vectors of them where it can tell at run time that arrays do not overlap.


@jit(fastmath={"contract"})
def squash(gates):
    """Each element becomes its sigmoid."""
    for k in range(len(gates)):
        gates[k] = sigmoid(gates[k])


@jit(fastmath={"contract"})
def bend(gates):
    """Each element becomes its hyperbolic tangent."""
    for k in range(len(gates)):
        gates[k] = hyperbolic_tangent(gates[k])


@jit
def multiply_into(target, other):
    """``target *= other``."""
    for k in range(len(target)):
        target[k] *= other[k]


@jit
def step_lstm(gates, hidden, cell):
    """``gates`` (4H,): input, output, forget, cell, before their activations."""
    size = len(hidden)
    squash(gates[: 3 * size])
    bend(gates[3 * size : 4 * size])
    enter, leave, forget, new = gates[:size], gates[size : 2 * size], gates[2 * size : 3 * size], gates[3 * size : 4 * size]
    multiply_into(new, enter)
    multiply_into(cell, forget)
    for k in range(size):
        cell[k] += new[k]
    for k in range(size):
        hidden[k] = cell[k]
    bend(hidden)
    multiply_into(hidden, leave)


@jit
def step_gru(gates, candidate, hidden):
    """``gates`` (2H,) after their activations, ``candidate`` (H,) before its own."""
    one, size = np.float32(1), len(hidden)
    update = gates[:size]
    bend(candidate)
    for k in range(size):
        hidden[k] = (one - update[k]) * candidate[k] + update[k] * hidden[k]


@jit
def step_rnn(relu, gates, hidden):
    """``gates`` (H,) before their activation."""
    for k in range(len(hidden)):
        hidden[k] = gates[k]
    if relu:
        for k in range(len(hidden)):
            hidden[k] = max(hidden[k], np.float32(0))
    else:
        bend(hidden)
