"""Plain recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ._recurrent import DIRECTIONS, LAYOUTS, States, Step, bind_activations, gate_rows, layer_types, run_layer
from ._registry import operator
from ._shapes import infers


def _step(W: np.ndarray, R: np.ndarray, bias: np.ndarray, f: Callable[[np.ndarray], np.ndarray]) -> Step:
    def step(x: np.ndarray, states: States) -> States:
        return (f(x @ W.T + states[0] @ R.T + bias),)

    return step


@operator(
    "RNN",
    infer=infers(layer_types),
    weights={1: gate_rows, 2: gate_rows},
    allowed={"direction": DIRECTIONS, "layout": LAYOUTS},
)
def rnn(
    X: np.ndarray,
    W: np.ndarray,
    R: np.ndarray,
    B: np.ndarray | None = None,
    sequence_lens: np.ndarray | None = None,
    initial_h: np.ndarray | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] = ("Tanh", "Tanh"),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> tuple[np.ndarray, ...]:
    """``h = f(x W^T + h R^T + b)`` over time, for ``W`` (directions, H, I), ``R`` (directions, H, H), ``B`` (directions, 2H).

    Returns Y and the last h, as :func:`run_layer` lays them out. ``hidden_size`` repeats what the weights say.
    """
    count, hidden = W.shape[0], R.shape[2]
    bias = np.zeros((count, hidden), X.dtype) if B is None else B[:, :hidden] + B[:, hidden:]
    functions = bind_activations(activations[:count], activation_alpha, activation_beta, clip)
    steps = [_step(W[d], R[d], bias[d], functions[d]) for d in range(count)]
    return run_layer(X, steps, [initial_h], sequence_lens, hidden=hidden, direction=direction, layout=layout)
