"""Properties that are made once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tersor.runtime.kernels._property import made_once


class Slow:
    """What takes its time to make."""

    made = 0

    @made_once
    def value(self) -> object:
        """A new object."""
        self.made += 1
        time.sleep(0.01)
        return object()


def test_threads_that_ask_together_get_the_same_object():
    slow, gate = Slow(), Barrier(8)

    def ask(_: int) -> object:
        gate.wait()
        return slow.value

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(ask, range(8)))
    assert found == {slow.value}
    assert slow.made == 1
    assert Slow().value is not slow.value
