from __future__ import annotations

from math import inf

import numpy as np
import pytest

from tersor.format_spec.tensors import DenseTensor
from tersor.packer import error
from tersor.packer.error import TensorError, measure_error
from tersor.packer.prune import prune
from tersor.packer.quantize.share import share


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("density", [None, 0.2])
def test_error_is_that_of_the_dense_arrays(dtype: type, order: str, density: float | None):
    weights = np.random.default_rng(0).standard_normal((30, 40)).astype(dtype)
    mask = None if density is None else prune("w", weights, ("density", density))
    shared = share("w", weights, mask, (1,), 3, order="rows" if order == "rows" else "columns")
    exact, coded = weights.astype(np.float64), shared.dense().astype(np.float64)
    found = measure_error(DenseTensor.of(weights), shared)
    assert found.relative == pytest.approx(np.linalg.norm(exact - coded) / np.linalg.norm(exact))
    assert found.largest == pytest.approx(np.abs(exact - coded).max())
    assert measure_error(DenseTensor.of(weights), DenseTensor.of(shared.dense())).relative == pytest.approx(found.relative)


def test_large_tensors_are_compared_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch):
    exact, coded = np.arange(1.0, 8.0), np.array([1.0, 2, 3, 9, 5, 6, 9])
    monkeypatch.setattr(error, "_CHUNK", 3)
    found = measure_error(DenseTensor.of(exact), DenseTensor.of(coded))
    assert found == TensorError(np.sqrt(29 / 140), 5)


def test_the_same_has_no_error():
    same = DenseTensor.of(np.arange(6, dtype=np.float32))
    assert measure_error(same, same) == TensorError(0, 0)


def test_something_for_nothing_is_infinitely_wrong():
    zero, one = (DenseTensor.of(np.full(3, value, np.float32)) for value in (0, 1))
    assert measure_error(zero, one) == TensorError(inf, 1)
    assert measure_error(one, zero) == TensorError(1, 1)
