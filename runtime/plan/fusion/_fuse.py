"""Walk the nodes once and let each producing kernel absorb what follows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ....format_spec.graph import Node
from ...kernels.site import CHANNEL_AXIS, Epilogue
from ..facts import Facts, misfits
from ._draft import Draft, Rule
from .activation import absorb_activation
from .affine import absorb_affine
from .batchnorm import absorb_batchnorm
from .residual import absorb_residual

RULES: Sequence[Rule] = (absorb_batchnorm, absorb_affine, absorb_activation, absorb_residual)


def fuse(nodes: Sequence[Node], outputs: Iterable[str], facts: Facts) -> tuple[Draft, ...]:
    """Drafts of ``nodes`` (in topological order) after every fusion; ``outputs`` are the graph's.

    A fused draft takes the place of its last node, where all that it reads exists.
    """
    readers = Counter(outputs)
    for node in nodes:
        readers.update(name for name in node.inputs if name)
    drafts: dict[int, Draft] = {}
    producer: dict[str, int] = {}
    for position, node in enumerate(nodes):
        draft = Draft(node, node.outputs)
        for candidate in _candidates(node, drafts, producer, readers, facts):
            epilogue = _absorb(drafts[candidate], node, facts)
            if epilogue is not None:
                old = drafts.pop(candidate)
                draft = Draft(old.node, node.outputs, epilogue, (*old.absorbed, node))
                break
        drafts[position] = draft
        producer.update((name, position) for name in draft.outputs if name)
    return tuple(drafts[position] for position in sorted(drafts))


def _candidates(
    node: Node, drafts: dict[int, Draft], producer: dict[str, int], readers: Counter[str], facts: Facts
) -> list[int]:
    """Drafts that ``node`` could join: read by it alone, the latest first."""
    names = [name for name in node.inputs if name in producer and readers[name] == 1]
    return sorted((producer[name] for name in names if _fusable(drafts[producer[name]], facts)), reverse=True)


def _fusable(draft: Draft, facts: Facts) -> bool:
    node = draft.node
    shaped = facts.type(draft.outputs[0])
    return (
        node.op_type in CHANNEL_AXIS
        and len(node.inputs) > 1
        and facts.constant(node.inputs[1])
        and shaped is not None
        and shaped[0] == np.float32
        and len(shaped[1]) > 1
    )


def _absorb(draft: Draft, node: Node, facts: Facts) -> Epilogue | None:
    value = draft.outputs[0]
    if facts.type(node.outputs[0]) != facts.type(value):
        return None
    with misfits(node):
        return next((found for rule in RULES if (found := rule(draft, node, value, facts)) is not None), None)
