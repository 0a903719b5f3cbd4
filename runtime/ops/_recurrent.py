"""What recurrent layers share: activations by name, time steps in either direction, sequence lengths, layouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._registry import Shaped
from ._shapes import Types, Values, check_rank, check_shape, given
from .activation import elu, hard_sigmoid, leaky_relu, relu, sigmoid, softplus, softsign, thresholded_relu

States: TypeAlias = "tuple[np.ndarray, ...]"
"""What a layer carries from step to step, each (batch, hidden); the first is its output."""

Step: TypeAlias = "Callable[[np.ndarray, States], States]"
"""(input of a step (batch, inputs), states before) -> states after."""

DIRECTIONS = ("forward", "reverse", "bidirectional")
LAYOUTS = (0, 1)


@dataclass(frozen=True)
class Activation:
    """An activation with its default parameters; ``None`` where it takes none."""

    function: Callable[[np.ndarray, Any, Any], np.ndarray]
    alpha: float | None = None
    beta: float | None = None


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(lambda x, a, b: relu.reference(x)),
    "tanh": Activation(lambda x, a, b: np.tanh(x)),
    "sigmoid": Activation(lambda x, a, b: sigmoid.reference(x)),
    "softsign": Activation(lambda x, a, b: softsign.reference(x)),
    "softplus": Activation(lambda x, a, b: softplus.reference(x)),
    "affine": Activation(lambda x, a, b: x.dtype.type(a) * x + x.dtype.type(b), 1.0, 0.0),
    "leakyrelu": Activation(lambda x, a, b: leaky_relu.reference(x, alpha=a), 0.01),
    "thresholdedrelu": Activation(lambda x, a, b: thresholded_relu.reference(x, alpha=a), 1.0),
    "scaledtanh": Activation(lambda x, a, b: x.dtype.type(a) * np.tanh(x.dtype.type(b) * x), 1.0, 1.0),
    "hardsigmoid": Activation(lambda x, a, b: hard_sigmoid.reference(x, alpha=a, beta=b), 0.2, 0.5),
    "elu": Activation(lambda x, a, b: elu.reference(x, alpha=a), 1.0),
}


def bind_activations(
    names: Sequence[str], alphas: Sequence[float] | None, betas: Sequence[float] | None, clip: float | None
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """The activations called ``names``, each taking the next of ``alphas`` and ``betas`` if it has such a parameter.

    Their inputs are limited to [-``clip``, ``clip``].

    Raises:
        PlanError: an activation that ONNX does not define.
    """
    left_alphas, left_betas = iter(alphas or ()), iter(betas or ())
    bound = []
    for name in names:
        found = ACTIVATIONS.get(name.lower())
        if found is None:
            raise PlanError(f"activation {name!r} is not one of {', '.join(sorted(ACTIVATIONS))}")
        alpha = None if found.alpha is None else next(left_alphas, found.alpha)
        beta = None if found.beta is None else next(left_betas, found.beta)
        bound.append(_bind(found, alpha, beta, clip))
    return bound


def _bind(found: Activation, alpha: Any, beta: Any, clip: float | None) -> Callable[[np.ndarray], np.ndarray]:
    if not clip:
        return lambda x: found.function(x, alpha, beta)
    return lambda x: found.function(np.clip(x, x.dtype.type(-clip), x.dtype.type(clip)), alpha, beta)


@dataclass(frozen=True)
class Recurrence:
    """The attributes that every recurrent layer has. ``hidden_size`` repeats what the weights say."""

    activation_alpha: Sequence[float] | None = None
    activation_beta: Sequence[float] | None = None
    activations: Sequence[str] | None = None
    clip: float | None = None
    direction: str = "forward"
    hidden_size: int | None = None
    layout: int = 0

    def functions(
        self, defaults: Sequence[str], directions: int, *, clipped: bool = True
    ) -> list[Sequence[Callable[[np.ndarray], np.ndarray]]]:
        """The activations of each direction: those given, else ``defaults``, with their inputs limited where ``clipped``."""
        names = self.activations or tuple(defaults) * directions
        bound = bind_activations(names, self.activation_alpha, self.activation_beta, self.clip if clipped else None)
        count = len(defaults)
        return [bound[count * d : count * (d + 1)] for d in range(directions)]

    def run(
        self,
        X: np.ndarray,
        steps: Sequence[Step],
        initial: Sequence[np.ndarray | None],
        lengths: np.ndarray | None,
        hidden: int,
    ) -> tuple[np.ndarray, ...]:
        """Run one step function a direction over ``X`` (time, batch, inputs), or (batch, time, inputs) with ``layout`` 1.

        Returns Y (time, directions, batch, hidden), or (batch, time, directions, hidden), and the last states
        (directions, batch, hidden), or (batch, directions, hidden). A sequence's steps beyond its length give zeros.

        Raises:
            PlanError: the weights have another number of directions.
        """
        if len(steps) != (2 if self.direction == "bidirectional" else 1):
            raise PlanError(f"direction {self.direction} does not fit weights for {len(steps)} directions")
        x = X.swapaxes(0, 1) if self.layout else X
        time, batch = x.shape[:2]
        starts = [_initial(state, (len(steps), batch, hidden), X.dtype, self.layout) for state in initial]
        limits = np.full(batch, time) if lengths is None else lengths
        outputs, lasts = [], []
        for index, step in enumerate(steps):
            backwards = index == 1 or self.direction == "reverse"
            output, states = _run_steps(x, step, tuple(s[index] for s in starts), limits, backwards=backwards)
            outputs.append(output)
            lasts.append(states)
        Y = np.stack(outputs, 1)
        finals = [np.stack(states) for states in zip(*lasts, strict=True)]
        if self.layout:
            return Y.transpose(2, 0, 1, 3), *(f.swapaxes(0, 1) for f in finals)
        return Y, *finals


def _initial(state: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype, layout: int) -> np.ndarray:
    if state is None:
        return np.zeros(shape, dtype)
    return state.swapaxes(0, 1) if layout else state


def _run_steps(x: np.ndarray, step: Step, states: States, limits: np.ndarray, *, backwards: bool) -> tuple[np.ndarray, States]:
    output = np.zeros((x.shape[0], *states[0].shape), x.dtype)
    for t in reversed(range(x.shape[0])) if backwards else range(x.shape[0]):
        active = (t < limits)[:, None]
        after = step(x[t], states)
        states = tuple(np.where(active, new, old) for new, old in zip(after, states, strict=True))
        output[t] = np.where(active, states[0], 0)
    return output, states


def layer_types(
    gates: int, types: Types, values: Values, *, direction: str = "forward", layout: int = 0, **_: Any
) -> list[Shaped]:
    """Types of Y and of one last state of a layer with so many ``gates``.

    Raises:
        PlanError: an input has a shape that does not fit the others, or the direction.
    """
    (dtype, x), r = given(types, 0), given(types, 2)[1]
    check_rank("a recurrent layer's input", x, 3)
    check_rank("the weights of its state", r, 3)
    (batch, time), directions, hidden = x[:2] if layout else x[1::-1], 2 if direction == "bidirectional" else 1, r[2]
    state = (batch, directions, hidden) if layout else (directions, batch, hidden)
    height = gates * hidden
    shapes = {
        "W": (directions, height, x[2]), "R": (directions, height, hidden), "B": (directions, 2 * height),
        "sequence_lens": (batch,), "initial_h": state, "initial_c": state, "P": (directions, 3 * hidden),
    }  # fmt: skip
    given(types, 1)
    for index, (name, shape) in enumerate(shapes.items(), 1):
        check_shape(name, types, index, shape)
    return [(dtype, (batch, time, *state[1:]) if layout else (time, *state)), (dtype, state)]


def gate_rows(node: Node, rank: int) -> tuple[int, ...]:
    """Row axes of weights (directions, gates * hidden, inputs)."""
    return (0, 1)


WEIGHTS = {1: gate_rows, 2: gate_rows}
ALLOWED = {"direction": DIRECTIONS, "layout": LAYOUTS}
