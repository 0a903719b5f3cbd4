"""Properties that are made once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

from tersor.runtime.orders.made_once import _making, made_once


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


class Nested:
    """A property that needs another one."""

    @made_once
    def inner(self) -> int:
        """The other one."""
        return 1

    @made_once
    def outer(self) -> int:
        """It."""
        return self.inner + 1


def test_properties_that_need_one_another_do_not_wait_for_ever():
    threads = [Thread(target=lambda: Nested().outer, daemon=True), Thread(target=lambda: Nested().inner, daemon=True)]
    with _making:  # both begin while a third thread makes something
        for thread in threads:
            thread.start()
            time.sleep(0.05)
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert Nested().outer == 2
