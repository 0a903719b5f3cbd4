"""The activations of recurrent cells, many at a time, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from tersor.runtime.emit.intrinsic import intrinsic, types
from tersor.runtime.emit.memory import address, pointer
from tersor.runtime.emit.vector import F32, load_vector, store_vector
from tersor.runtime.jit.jitted import jit
from tersor.runtime.kernels.recurrent.gates import hyperbolic_tangent, sigmoid

EDGES = np.array([0, np.nan, np.inf, -np.inf, 88, -88, 104, -104, 1e-30, 0.625, 0.6250001, 3e38], np.float32)


def in_place(emit):
    """An intrinsic that makes of the vector at an address its activation."""

    def definition(typingctx, lanes, place):
        def codegen(context, b, signature, arguments):
            there = pointer(b, arguments[1])
            store_vector(b, emit(b, load_vector(b, there, ir.VectorType(F32, len(lanes)))), there)
            return context.get_dummy_value()

        return types.void(lanes, types.intp), codegen

    return intrinsic(definition)


_squash, _bend = in_place(sigmoid), in_place(hyperbolic_tangent)


@jit
def squash(lanes, x):
    for start in range(0, len(x), len(lanes)):
        _squash(lanes, address(x) + 4 * start)


@jit
def bend(lanes, x):
    for start in range(0, len(x), len(lanes)):
        _bend(lanes, address(x) + 4 * start)


def activated(kernel, x, lanes=8):
    y = np.append(x, np.zeros(-len(x) % lanes, np.float32))
    kernel(((),) * lanes, y)
    return y[: len(x)]


@given(st.integers(0, 70), st.sampled_from([1e-4, 0.3, 1, 5, 60]), st.integers(0, 99))
@settings(deadline=None)
def test_many(count, spread, seed):
    x = (np.random.default_rng(seed).standard_normal(count) * spread).astype(np.float32)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(activated(bend, x), np.tanh(exact), rtol=4e-7)
    np.testing.assert_allclose(activated(squash, x), 1 / (1 + np.exp(-exact)), rtol=4e-7, atol=1e-37)


@pytest.mark.parametrize("count", [1, 40])
def test_edges(count):
    x = np.repeat(EDGES, count)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(activated(bend, x), np.tanh(exact), rtol=4e-7)
    np.testing.assert_allclose(activated(squash, x), 1 / (1 + np.exp(-exact)), rtol=4e-7, atol=1e-37)
