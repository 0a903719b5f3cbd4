"""Gated recurrent unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ._recurrent import ALLOWED, WEIGHTS, Recurrence, States, Step, layer_types
from ._registry import operator
from ._shapes import infers


def _step(
    W: np.ndarray, R: np.ndarray, B: np.ndarray, functions: Sequence[Callable[[np.ndarray], np.ndarray]], linear: bool
) -> Step:
    f, g = functions
    hidden = R.shape[1]
    inner, recurrent = np.split(B, 2)

    def step(x: np.ndarray, states: States) -> States:
        (h,) = states
        from_input = x @ W.T + inner
        gates = from_input[:, : 2 * hidden] + h @ R[: 2 * hidden].T + recurrent[: 2 * hidden]
        update, reset = np.split(f(gates), 2, axis=1)
        last, shift = R[2 * hidden :].T, recurrent[2 * hidden :]
        from_state = reset * (h @ last + shift) if linear else (reset * h) @ last + shift
        candidate = g(from_input[:, 2 * hidden :] + from_state)
        return ((1 - update) * candidate + update * h,)

    return step


@operator("GRU", infer=infers(partial(layer_types, 3)), weights=WEIGHTS, allowed=ALLOWED, family=Recurrence)
def gru(
    X: np.ndarray,
    W: np.ndarray,
    R: np.ndarray,
    B: np.ndarray | None = None,
    sequence_lens: np.ndarray | None = None,
    initial_h: np.ndarray | None = None,
    *,
    linear_before_reset: int = 0,
    **family: Any,
) -> tuple[np.ndarray, ...]:
    """GRU over time, gates in the order update, reset, hidden; activations f (gates) and g (hidden) for each direction.

    ``W`` (directions, 3H, I), ``R`` (directions, 3H, H), ``B`` (directions, 6H). Returns Y and the last h, as
    :meth:`Recurrence.run` lays them out.
    """
    layer, count, hidden = Recurrence(**family), W.shape[0], R.shape[2]
    bias = np.zeros((count, 6 * hidden), X.dtype) if B is None else B
    functions = layer.functions(("Sigmoid", "Tanh"), count)
    steps = [_step(W[d], R[d], bias[d], functions[d], bool(linear_before_reset)) for d in range(count)]
    return layer.run(X, steps, [initial_h], sequence_lens, hidden)
