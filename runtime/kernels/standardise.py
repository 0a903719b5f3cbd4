"""Rows normalised by their own statistics, then scaled and shifted: normalisation of layers, also by the root mean square, of
instances and of groups."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from ..emit.memory import floats_at
from ..jit.jitted import jit
from ..orders.atomic import code_of, number_at
from ..orders.order import FACTS, PIECES, WORK, X, Y
from ..orders.shared import Shared, evenly, one_order
from ..orders.team import take
from .rowwise import pieces_of_rows, sum_of
from .site import Kernel, Site


@jit
def standardiser(kinds):
    """Address of the code that normalises rows, see :func:`standardise_rows`; ``kinds`` is empty where each element of a row
    has factors of its own, else channels have them."""
    return code_of(kinds, standardise_rows)


@jit
def standardise_rows(kinds, order, member):
    """Take pieces of the rows of the order at address ``order`` until none is left: ``x`` and ``y`` are (rows, elements).

    Facts are int64 (elements, whether the mean is subtracted, address of float32 factors, channels, channels of a row). Factors
    are scales, as many shifts, and epsilon.
    """
    facts = number_at(order, FACTS)
    count, centred, factors = number_at(facts, 0), number_at(facts, 1), number_at(facts, 2)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for row in range(number_at(work, 0), number_at(work, 1)):
            source = number_at(order, X) + 4 * row * count
            mean = sum_of(source, count) / np.float32(count) if centred != 0 else np.float32(0)
            target = number_at(order, Y) + 4 * row * count
            if len(kinds) == 0:
                _standardise(source, target, count, mean, factors)
            else:
                _standardise_channels(source, target, facts, mean, row)
        piece = take(order, member)


@jit(fastmath={"reassoc", "contract"})
def _squares(source, count, mean):
    """Sum of the squared differences of ``count`` elements from their ``mean``."""
    row, total = floats_at(source, count), np.float32(0)
    for i in range(count):
        total += (row[i] - mean) * (row[i] - mean)
    return total


@jit(fastmath={"contract"})
def _standardise(source, target, count, mean, factors):
    """``(x - mean) / sqrt(variance + epsilon) * scale + shift`` of one row."""
    row, out, factor = floats_at(source, count), floats_at(target, count), floats_at(factors, 2 * count + 1)
    variance = _squares(source, count, mean) / np.float32(count) + factor[2 * count]
    inverse = np.float32(1) / np.float32(sqrt(variance))
    for i in range(count):
        out[i] = (row[i] - mean) * inverse * factor[i] + factor[count + i]


@jit(fastmath={"contract"})
def _standardise_channels(source, target, facts, mean, row):
    """As :func:`_standardise`, of row number ``row``, where all elements of a channel have the same factors."""
    count, factors, channels, own = number_at(facts, 0), number_at(facts, 2), number_at(facts, 3), number_at(facts, 4)
    factor, size, first = floats_at(factors, 2 * channels + 1), count // own, row * own % channels
    variance = _squares(source, count, mean) / np.float32(count) + factor[2 * channels]
    inverse = np.float32(1) / np.float32(sqrt(variance))
    for channel in range(own):
        values, out = floats_at(source + 4 * channel * size, size), floats_at(target + 4 * channel * size, size)
        scale, shift = inverse * factor[first + channel], factor[channels + first + channel]
        for i in range(size):
            out[i] = (values[i] - mean) * scale + shift


def lower_standardise(site: Site) -> Kernel | None:
    """A kernel for a float32 LayerNormalization or RMSNormalization with constant factors, whose statistics nobody reads."""
    node, x = site.node, site.floats(0)
    if x is None or any(node.outputs[1:]) or node.attribute("stash_type", 1) != 1:
        return None
    axis = node.attribute("axis", -1) % len(x)
    factors = _factors(site, x[axis:])
    if factors is None:
        return None
    rows, elements = prod(x[:axis]), prod(x[axis:])
    facts = np.array([elements, node.op_type == "LayerNormalization", factors.ctypes.data], np.int64)
    return _kernel((), rows, facts, factors, site.threads)


def lower_standardise_channels(site: Site) -> Kernel | None:
    """A kernel for a float32 InstanceNormalization or GroupNormalization with constant factors."""
    x = site.floats(0)
    if x is None or site.node.attribute("stash_type", 1) != 1:
        return None
    batch, channels, *spatial = x
    factors, groups = _factors(site, (channels,)), site.node.attribute("num_groups", channels)
    if factors is None or channels % groups:
        return None
    own = channels // groups
    facts = np.array([own * prod(spatial), 1, factors.ctypes.data, channels, own], np.int64)
    return _kernel(((),), batch * groups, facts, factors, site.threads)


def _kernel(kinds: tuple[tuple[()], ...], rows: int, facts: np.ndarray, factors: np.ndarray, threads: int) -> Kernel:
    pieces = pieces_of_rows(rows, int(facts[0]), threads)
    shared = Shared(lambda: standardiser(kinds), pieces, threads, evenly(rows, pieces), facts, (factors,))
    return Kernel.of_orders("standardise rows", one_order(shared), reads=(0,))


def _factors(site: Site, shape: tuple[int, ...]) -> np.ndarray | None:
    """Scales and shifts of ``shape``, and epsilon: float32 (2 elements + 1,); ``None`` unless they are constant."""
    factors = [site.array(1), np.zeros(shape, np.float32) if site.type(2) is None else site.array(2)]
    if any(a is None or a.shape != shape or a.dtype != np.float32 for a in factors):
        return None
    return np.concatenate(
        [*(a.ravel() for a in factors if a is not None), [site.node.attribute("epsilon", 1e-5)]], dtype=np.float32
    )
