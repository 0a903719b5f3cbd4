"""Sums become outputs."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.runtime.emit.finish import LANES, finish_line, finish_rows, gate_of, passed_one
from tersor.runtime.emit.transpose import SIDE, transpose_tile
from tersor.runtime.jit.jitted import jit


@pytest.mark.parametrize("count", [1, 15, 16, 37])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("with_residual", [False, True])
def test_finished_sums(count, parts, with_residual):
    rng = np.random.default_rng(count)
    sums, (scale, shift) = rng.standard_normal((parts, 64)).astype(np.float32), rng.standard_normal((2, 64)).astype(np.float32)
    residual, bounds = rng.standard_normal(count).astype(np.float32), np.array([-1, 1], np.float32)
    y = np.full(count + LANES, np.nan, np.float32)
    places = [array.ctypes.data for array in (scale, shift, bounds)]
    finish_line(
        (), y.ctypes.data, sums.ctypes.data, parts, 4 * 64, count, *places, residual.ctypes.data if with_residual else 0
    )
    expected = (sums.sum(axis=0) * scale + shift)[:count] + (residual if with_residual else 0)
    np.testing.assert_allclose(y[:count], np.clip(expected, -1, 1), rtol=1e-5, atol=1e-6)
    assert np.all(np.isnan(y[count:]))


@pytest.mark.parametrize("count", [1, 37])
def test_sums_that_pass_a_gate(count):
    numbers, rng = np.array([0, 1, 1 / 6, 0.5, 0.25], np.float32), np.random.default_rng(0)
    sums, scale, shift = 4 * rng.standard_normal((3, 64)).astype(np.float32)
    y, places = np.full(count, np.nan, np.float32), [array.ctypes.data for array in (scale, shift, numbers)]
    finish_line(gate_of(numbers), y.ctypes.data, sums.ctypes.data, 1, 0, count, *places, 0)
    v = (sums * scale + shift)[:count]
    np.testing.assert_allclose(y, v * np.clip(v / 6 + 0.5, 0, 1) + 0.25, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(y, [passed(gate_of(numbers), value, numbers.ctypes.data) for value in v], rtol=1e-5, atol=1e-5)


@jit
def passed(gate, value, numbers):
    """What becomes of one result."""
    return passed_one(gate, value, numbers)


@jit
def finished(lanes, y, width, sums, pitch, residual, added, room, places):
    """Finish some rows."""
    finish_rows(lanes, y, width, sums, pitch, residual, added, room, places)


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("room", [(0, 7), (1, 0), (1, 16), (4, 15), (3, 41)])
@pytest.mark.parametrize("with_residual", [False, True])
def test_finished_rows(lanes, room, with_residual):
    rng, (rows, columns) = np.random.default_rng(sum(room)), room
    sums, residual = rng.standard_normal((2, 4, 64)).astype(np.float32)
    affine = np.array([1.5], np.float32), np.array([-0.25], np.float32), np.array([-1, 1], np.float32)
    sums[0, 0], y = np.nan, np.full((5, 48), 7, np.float32)
    other, places = residual[:, :48].copy(), tuple(array.ctypes.data for array in affine)
    finished(((),) * lanes, y.ctypes.data, 48, sums.ctypes.data, 64, other.ctypes.data, with_residual, room, places)
    expected = np.full((5, 48), 7, np.float32)
    kept = sums[:rows, :columns] * 1.5 - 0.25 + (other[:rows, :columns] if with_residual else 0)
    expected[:rows, :columns] = np.clip(kept, -1, 1)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@jit
def transposed(target, source, rows):
    """Transpose one tile."""
    transpose_tile(target, 4 * SIDE, source, 4 * SIDE, rows, 0)


@pytest.mark.parametrize("rows", [1, 5, 16, 20])
def test_the_last_row_stands_for_those_that_are_not_there(rows):
    source, target = np.random.default_rng(0).standard_normal((2, SIDE, SIDE)).astype(np.float32)
    transposed(target.ctypes.data, source.ctypes.data, rows)
    np.testing.assert_array_equal(target, source[np.minimum(np.arange(SIDE), rows - 1)].T)
