"""Attention that an exporter wrote out, read as the operator that it is.

``softmax(scale * Q K^T + mask) V``: two products with a softmax between them. What becomes of a query that sees no key is
told to the kernel: the operator gives it zeros, a softmax that is written out NaN, unless what follows it says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan, prod

import numpy as np

from ....format_spec.graph import Node
from ...kernels.attention.written import Weights, Written
from ...ops._shapes import Shape
from ._lying import RESHAPES, Lying, laid_out, lyings
from ._surroundings import Reading, Surroundings

FACTORS = 2.0**-16, 2.0**16
"""By what scores are multiplied, at least and at most: it makes no difference there whether queries are multiplied instead."""


@dataclass(frozen=True, eq=False)
class _Scores:
    """Products of the value called ``q`` with ``k`` times ``factor``, and the ``mask`` that changes them, ``""`` if there is
    none, as :class:`Written` has it."""

    q: str
    k: str
    factor: float
    nodes: tuple[Node, ...]
    mask: str = ""
    instead: tuple[float, ...] = ()


def read_attention(node: Node, around: Surroundings) -> Reading | None:
    """The Attention of float32 that ends with ``node``: with the product with values, or a value with its axes moved."""
    product, moves = _product(node, around)
    softmax = None if product is None else _softmax(product.inputs[0], around)
    if product is None or softmax is None:
        return None
    weights, between = softmax
    scores = _scores(between[-1].inputs[0], around)
    if scores is None:
        return None
    made = _made(product, moves, weights, scores, around)
    return None if made is None else Reading(made, (*moves[::-1], product, *between, *scores.nodes))


def _product(node: Node, around: Surroundings) -> tuple[Node | None, list[Node]]:
    """The product that ends with ``node``, and the nodes that move its axes."""
    moves: list[Node] = []
    last: Node | None = node
    while last is not None and (last.op_type in RESHAPES or last.op_type == "Transpose"):
        moves.append(last)
        last = around.producer.get(last.inputs[0])
    return last if last is not None and last.op_type == "MatMul" else None, moves[::-1]


def _softmax(name: str, around: Surroundings) -> tuple[Weights, tuple[Node, ...]] | None:
    """What becomes of weights that are no numbers, and what makes those called ``name``, the softmax last."""
    where = around.by(name, "Where")
    softmax = around.by(name if where is None else where.inputs[2], "Softmax")
    if softmax is None or not _over_keys(softmax, around):
        return None
    if where is None:
        return "softmax", (softmax,)
    test = around.by(where.inputs[0], "IsNaN")
    guarded = test is not None and test.inputs[0] == where.inputs[2] and around.number(where.inputs[1]) == 0
    return ("numbers", (where, test, softmax)) if test is not None and guarded and around.same(where.inputs[2], name) else None


def _over_keys(softmax: Node, around: Surroundings) -> bool:
    shaped = around.facts.type(softmax.inputs[0])
    return shaped is not None and softmax.attribute("axis", -1) in (-1, len(shaped[1]) - 1)


def _scores(name: str, around: Surroundings) -> _Scores | None:
    """What makes the scores called ``name``."""
    masked = around.by(name, "Add", "Where")
    if masked is None:
        return _scaled(name, around)
    for value, mask, instead in _masks(masked, around):
        scores = _scaled(value, around) if around.same(value, name) else None
        if scores is not None:
            return replace(scores, nodes=(masked, *scores.nodes), mask=mask, instead=instead)
    return None


def _masks(node: Node, around: Surroundings) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """What may be the scores that ``node`` masks, its mask, and what they are instead of themselves."""
    if node.op_type == "Add":
        one, other = node.inputs
        yield from ((one, other, ()), (other, one, ()))
        return
    mask, true, false = node.inputs
    for scores, number, kept in ((true, false, True), (false, true, False)):
        instead = around.number(number)
        if instead is not None and not isnan(instead):
            yield scores, mask, (nan, instead) if kept else (instead, nan)


def _scaled(name: str, around: Surroundings) -> _Scores | None:
    """What makes the scores called ``name`` before they are masked."""
    factor, nodes = 1.0, []
    while (scaled := around.scaled(name)) is not None:
        nodes.append(around.producer[name])
        name, factor = scaled[0], factor * scaled[1]
    product = around.by(name, "MatMul")
    if product is None:
        return None
    q, k = product.inputs
    return _Scores(q, k, factor, (*nodes, product))


def _made(product: Node, moves: Sequence[Node], weights: Weights, scores: _Scores, around: Surroundings) -> Node | None:
    """The node for it all, if the kernel takes it."""
    last, names = (moves or [product])[-1], (scores.q, scores.k, product.inputs[1])
    shapes = [_matrices(name, around) for name in (*names, last.outputs[0])]
    if None in shapes or any(around.facts.constant(name) for name in names[1:]):
        return None
    q, k, v, y = (shape for shape in shapes if shape is not None)
    operands, target = _operands(names, (q[-1], k[-2], v[-1]), around), laid_out(y, moves, around.facts)
    factor = scores.factor * prod(lying.factor for lying in operands)
    if len(operands) < 3 or target is None or not q[:-2] == k[:-2] == v[:-2] or not FACTORS[0] <= factor <= FACTORS[1]:
        return None
    if v[-1] > 1 and target[-1] != 1:
        return None
    steps = tuple(step for every in (*(lying.steps for lying in operands), target) for step in every[:-1])
    starts = tuple(lying.start for lying in operands)
    written = Written(q[:-2], (q[-2], k[-1], q[-1], v[-1]), factor, weights, scores.instead, starts, steps)
    inputs = (*(lying.source for lying in operands), *filter(None, [scores.mask]))
    return Node("Attention", last.name, inputs, last.outputs, written.attributes)


def _matrices(name: str, around: Surroundings) -> Shape | None:
    """The shape of a stack of matrices of float32 that are not empty."""
    shaped = around.facts.type(name)
    return shaped[1] if shaped is not None and shaped[0] == np.float32 and len(shaped[1]) > 1 and prod(shaped[1]) else None


def _operands(names: tuple[str, str, str], sizes: tuple[int, int, int], around: Surroundings) -> list[Lying]:
    """The farthest values in which the elements of each query, key or value, of which there are ``sizes``, lie side by side,
    as far as there are any; keys are called (size, keys)."""
    of_queries, of_keys, of_values = (lyings(name, around) for name in names)
    turned = (replace(lying, steps=(*lying.steps[:-2], *lying.steps[:-3:-1])) for lying in of_keys)
    ways = of_queries, turned, (lying for lying in of_values if lying.factor == 1)
    found = [
        next((lying for lying in way if lying.steps[-1] == 1 or size == 1), None) for way, size in zip(ways, sizes, strict=True)
    ]
    return [lying for lying in found if lying is not None]
