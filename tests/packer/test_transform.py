from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.tensors import DenseTensor, SharedTensor
from tersor.packer import Layer
from tersor.packer.transform import transform


def test_a_pruned_tensor_of_more_values_than_a_codebook_holds_stays_dense():
    weights = np.random.default_rng(0).permutation(np.arange(1, 80_001, dtype=np.float32)).reshape(400, 200)
    found = transform("w", DenseTensor.of(weights), (0,), Layer(density=0.9))
    assert isinstance(found, DenseTensor)
    np.testing.assert_array_equal(found.dense(), np.where(weights > 8000, weights, 0))


def test_a_pruned_tensor_of_few_values_is_shared():
    weights = np.arange(40, dtype=np.float32).repeat(50).reshape(100, 20)
    found = transform("w", DenseTensor.of(weights), (0,), Layer(threshold=9))
    assert isinstance(found, SharedTensor)
    np.testing.assert_array_equal(found.dense(), np.where(weights > 9, weights, 0))


@pytest.mark.parametrize("other", [{"init": "linear"}, {"seed": 2}, {"iterations": 3}, {"feedback": 0.5}, {"bits": 3}])
def test_every_setting_counts(other: dict[str, float]):
    weights = DenseTensor.of(np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32))
    plain = {"bits": 2, "init": "random", "seed": 1, "iterations": 0}
    one, two = (transform("w", weights, (0,), Layer(**settings)) for settings in (plain, {**plain, **other}))
    assert np.any(one.dense() != two.dense())
