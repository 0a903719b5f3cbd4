"""Plain recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ._recurrent import ALLOWED, WEIGHTS, Recurrence, States, Step, layer_types
from ._registry import operator
from ._shapes import infers


def _step(W: np.ndarray, R: np.ndarray, bias: np.ndarray, f: Callable[[np.ndarray], np.ndarray]) -> Step:
    def step(x: np.ndarray, states: States) -> States:
        return (f(x @ W.T + states[0] @ R.T + bias),)

    return step


@dataclass(frozen=True)
class _PlainRecurrence(Recurrence):
    activations: Sequence[str] | None = ("Tanh", "Tanh")


@operator("RNN", infer=infers(partial(layer_types, 1)), weights=WEIGHTS, allowed=ALLOWED, family=_PlainRecurrence)
def rnn(
    X: np.ndarray,
    W: np.ndarray,
    R: np.ndarray,
    B: np.ndarray | None = None,
    sequence_lens: np.ndarray | None = None,
    initial_h: np.ndarray | None = None,
    **family: Any,
) -> tuple[np.ndarray, ...]:
    """``h = f(x W^T + h R^T + b)`` over time, for ``W`` (directions, H, I), ``R`` (directions, H, H), ``B`` (directions, 2H).

    Returns Y and the last h, as :meth:`Recurrence.run` lays them out.
    """
    layer, count, hidden = _PlainRecurrence(**family), W.shape[0], R.shape[2]
    bias = np.zeros((count, hidden), X.dtype) if B is None else B[:, :hidden] + B[:, hidden:]
    functions = layer.functions(("Tanh",), count)
    steps = [_step(W[d], R[d], bias[d], *functions[d]) for d in range(count)]
    return layer.run(X, steps, [initial_h], sequence_lens, hidden)
