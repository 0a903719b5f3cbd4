from __future__ import annotations

import pytest

from .small_graphs import RNG

FIRST = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Each test draws the same numbers, whichever tests ran before it in its process."""
    RNG.bit_generator.state = FIRST
