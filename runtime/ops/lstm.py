"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._recurrent import ALLOWED, WEIGHTS, Recurrence, States, Step, layer_types
from ._registry import Shaped, operator
from ._shapes import Types, Values, infers


def _types(types: Types, values: Values, **attributes: Any) -> list[Shaped]:
    output, state = layer_types(4, types, values, **attributes)
    return [output, state, state]


def _step(
    W: np.ndarray,
    R: np.ndarray,
    bias: np.ndarray,
    P: np.ndarray,
    functions: Sequence[Callable[[np.ndarray], np.ndarray]],
    coupled: bool,
) -> Step:
    f, g, h = functions
    peep_input, peep_output, peep_forget = np.split(P, 3)

    def step(x: np.ndarray, states: States) -> States:
        hidden, cell = states
        gates = np.split(x @ W.T + hidden @ R.T + bias, 4, axis=1)
        enter = f(gates[0] + peep_input * cell)
        forget = 1 - enter if coupled else f(gates[2] + peep_forget * cell)
        after = forget * cell + enter * g(gates[3])
        return f(gates[1] + peep_output * after) * h(after), after

    return step


@operator("LSTM", infer=infers(_types), weights=WEIGHTS, allowed=ALLOWED, family=Recurrence)
def lstm(
    X: np.ndarray,
    W: np.ndarray,
    R: np.ndarray,
    B: np.ndarray | None = None,
    sequence_lens: np.ndarray | None = None,
    initial_h: np.ndarray | None = None,
    initial_c: np.ndarray | None = None,
    P: np.ndarray | None = None,
    *,
    input_forget: int = 0,
    **family: Any,
) -> tuple[np.ndarray, ...]:
    """LSTM over time, gates in the order input, output, forget, cell; activations f, g and h for each direction.

    ``W`` (directions, 4H, I), ``R`` (directions, 4H, H), ``B`` (directions, 8H), peepholes ``P`` (directions, 3H).
    ``clip`` bounds the inputs of f and g, as in ONNX Runtime, not the cell state that h takes. Returns Y, the last h and the
    last c, as :meth:`Recurrence.run` lays them out.
    """
    layer, count, hidden = Recurrence(**family), W.shape[0], R.shape[2]
    bias = np.zeros((count, 4 * hidden), X.dtype) if B is None else B[:, : 4 * hidden] + B[:, 4 * hidden :]
    peepholes = np.zeros((count, 3 * hidden), X.dtype) if P is None else P
    names = ("Sigmoid", "Tanh", "Tanh")
    gates, unclipped = layer.functions(names, count), layer.functions(names, count, clipped=False)
    functions = [(*clipped[:2], free[2]) for clipped, free in zip(gates, unclipped, strict=True)]
    steps = [_step(W[d], R[d], bias[d], peepholes[d], functions[d], bool(input_forget)) for d in range(count)]
    return layer.run(X, steps, [initial_h, initial_c], sequence_lens, hidden)
