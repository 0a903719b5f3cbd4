"""Gated recurrent unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ._recurrent import DIRECTIONS, LAYOUTS, States, Step, bind_activations, gate_rows, layer_types, run_layer
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


@operator(
    "GRU",
    infer=infers(layer_types),
    weights={1: gate_rows, 2: gate_rows},
    allowed={"direction": DIRECTIONS, "layout": LAYOUTS},
)
def gru(
    X: np.ndarray,
    W: np.ndarray,
    R: np.ndarray,
    B: np.ndarray | None = None,
    sequence_lens: np.ndarray | None = None,
    initial_h: np.ndarray | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> tuple[np.ndarray, ...]:
    """GRU over time, gates in the order update, reset, hidden; activations f (gates) and g (hidden) for each direction.

    ``W`` (directions, 3H, I), ``R`` (directions, 3H, H), ``B`` (directions, 6H). Returns Y and the last h, as
    :func:`run_layer` lays them out. ``hidden_size`` repeats what the weights say.
    """
    count, hidden = W.shape[0], R.shape[2]
    bias = np.zeros((count, 6 * hidden), X.dtype) if B is None else B
    names = activations or ("Sigmoid", "Tanh") * count
    functions = bind_activations(names, activation_alpha, activation_beta, clip)
    linear = bool(linear_before_reset)
    steps = [_step(W[d], R[d], bias[d], functions[2 * d : 2 * d + 2], linear) for d in range(count)]
    return run_layer(X, steps, [initial_h], sequence_lens, hidden=hidden, direction=direction, layout=layout)
