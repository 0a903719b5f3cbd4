"""How far apart outputs are, those that are no finite numbers included."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from tersor.cli._compare import relative_difference


@pytest.mark.parametrize(
    ("found", "expected", "difference"),
    [
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([0.25], [0.0], 0.25),
        ([nan, inf, -inf, 3.0], [nan, inf, -inf, 2.0], 0.5),
        ([nan, nan], [nan, nan], 0.0),
        ([nan, 1.0], [1.0, 1.0], inf),
        ([1.0, 1.0], [1.0, nan], inf),
        ([inf], [-inf], inf),
        ([], [], 0.0),
    ],
)
def test_what_both_have_does_not_differ(found: list[float], expected: list[float], difference: float):
    assert relative_difference(np.array(found, np.float32), np.array(expected, np.float32)) == difference
