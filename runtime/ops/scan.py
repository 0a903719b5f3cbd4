"""A subgraph run over the slices of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, positive_axis
from ._subgraph import Closure, Scanned, call, infer_step, split_captured, stack_scanned


def _types(node: Node, types: Types, values: Values) -> list[Shaped | None]:
    """States that keep their type have it, and what is scanned has one element more an axis; nothing is known of no steps."""
    body: Any = node.attributes["body"]
    own, captured = split_captured(body, types)
    count = int(node.attribute("num_scan_inputs"))
    states, sequences = own[: len(own) - count], [given(own[len(own) - count :], i) for i in range(count)]
    axes = node.attribute("scan_input_axes", None) or (0,) * count
    places = [positive_axis(axis, len(shape)) for axis, (_, shape) in zip(axes, sequences, strict=True)]
    length = sequences[0][1][places[0]]
    slices = [(dtype, (*shape[:at], *shape[at + 1 :])) for (dtype, shape), at in zip(sequences, places, strict=True)]
    found = infer_step(body, [], states, [*slices, *captured], split_captured(body, values)[1])
    scanned = found[len(states) :]
    if not length or None in found:
        return [None] * len(found)
    along = node.attribute("scan_output_axes", None) or (0,) * len(scanned)
    return found[: len(states)] + [_stacked(shaped, length, axis) for shaped, axis in zip(scanned, along, strict=True)]


def _stacked(shaped: Shaped | None, length: int, axis: int) -> Shaped | None:
    if shaped is None:
        return None
    dtype, shape = shaped
    at = positive_axis(axis, len(shape) + 1)
    return dtype, (*shape[:at], length, *shape[at:])


@operator("Scan", infer=_types)
def scan(
    *values: np.ndarray,
    body: Closure,
    num_scan_inputs: int,
    scan_input_axes: Sequence[int] | None = None,
    scan_input_directions: Sequence[int] | None = None,
    scan_output_axes: Sequence[int] | None = None,
    scan_output_directions: Sequence[int] | None = None,
) -> tuple[np.ndarray, ...]:
    """Run ``body`` (states, slices) -> (states, scanned values) over the last ``num_scan_inputs`` values, slice by slice.

    A direction of 1 goes, or collects, backwards. Returns the last states, then each scanned value of all steps along a new
    axis.
    """
    own, captured = split_captured(body, values)
    if not 0 < num_scan_inputs <= len(own):
        raise PlanError(f"num_scan_inputs is {num_scan_inputs}, there are {len(own)} inputs")
    states, sequences = own[:-num_scan_inputs], own[-num_scan_inputs:]
    axes = scan_input_axes or (0,) * len(sequences)
    slices = [np.moveaxis(x, positive_axis(a, x.ndim), 0) for x, a in zip(sequences, axes, strict=True)]
    slices = [x[::-1] if back else x for x, back in zip(slices, scan_input_directions or (0,) * len(slices), strict=True)]
    if len({len(x) for x in slices}) != 1:
        raise PlanError(f"the scanned inputs have different lengths: {', '.join(str(len(x)) for x in slices)}")
    scanned = Scanned()
    for parts in zip(*slices, strict=True):
        results = call(body, [*states, *map(np.asarray, parts), *captured])
        scanned.add(results[len(states) :])
        states = results[: len(states)]
    count = len(body.graph.outputs) - len(states)
    return *states, *(
        _collect(body, len(states) + i, [step[i] for step in scanned.steps], axis, backwards)
        for i, axis, backwards in zip(
            range(count), scan_output_axes or (0,) * count, scan_output_directions or (0,) * count, strict=True
        )
    )


def _collect(body: Closure, index: int, pieces: list[np.ndarray], axis: int, backwards: int) -> np.ndarray:
    rank = len(pieces[0].shape if pieces else body.graph.outputs[index].type.shape or ())
    return stack_scanned(body, index, pieces[::-1] if backwards else pieces, positive_axis(axis, rank + 1))
