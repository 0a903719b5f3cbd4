"""Plans that are kept for what was run last, and what was prepared for them."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock, RLock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from ...format_spec.errors import PlanError

P = TypeVar("P")


class PlanCache(Generic[P]):
    """At most ``most`` plans, by the shapes that they are for: the least recently used one goes first, and with it what was
    prepared for it alone. Safe to use from many threads at once.

    ``last`` is the plan of the last run: others like it need not look it up, and note nothing. Who holds ``building`` builds
    plans alone.
    """

    def __init__(self, most: int) -> None:
        self.last: P | None = None
        self.closed = False
        self._most = most
        self._plans: OrderedDict[Hashable, P] = OrderedDict()
        self._prepared: dict[Hashable, Any] = {}
        self._uses: dict[Hashable, set[Hashable]] = {}
        self._asked: set[Hashable] = set()
        self.forget_threads()
        _known.add(self)

    def forget_threads(self) -> None:
        """Be free, whoever builds or looks up a plan: the threads of a process stay with it when it forks."""
        self.building, self._lookup = RLock(), Lock()

    def find(self, shapes: Hashable, build: Callable[[], P]) -> P:
        """The plan for ``shapes``, made by ``build`` unless it is kept.

        Raises:
            PlanError: the model has been closed.
        """
        found = self._plans.get(shapes)
        if found is not None and len(self._plans) == 1:  # there is no order to keep
            return found
        with self._lookup:
            found = self._plans.get(shapes)
            if found is not None:
                self._plans.move_to_end(shapes)
                return found
        with self.building:
            if self.closed:
                raise PlanError("the model has been closed")
            found = self._plans.get(shapes)
            return self._built(shapes, build) if found is None else found

    def prepare(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """What ``build`` makes, kept for other plans that ask for ``key``."""
        self._asked.add(key)
        made = self._prepared.get(key)
        if made is None:
            made = self._prepared[key] = build()
        return made  # not looked up again: who streams its weights asks in each run, and the model may be closed meanwhile

    def remember(self, plan: P) -> list[P]:
        """Note that a plan has run, which may have been forgotten meanwhile; all that are kept, those used last first."""
        with self._lookup:
            kept = [*reversed(self._plans.values())]
            if any(one is plan for one in kept):
                self.last = plan
            return kept

    def close(self) -> None:
        """Forget everything, and make no more plans."""
        with self.building, self._lookup:
            self.closed, self.last = True, None
            self._plans.clear()
            self._prepared.clear()
            self._uses.clear()

    def _built(self, shapes: Hashable, build: Callable[[], P]) -> P:
        asked = self._asked = set()
        try:
            plan = build()
        except BaseException:
            self._drop_prepared(asked)
            raise
        with self._lookup:
            for other in [other for other, kept in self._plans.items() if kept is self.last]:
                self._plans.move_to_end(other)  # runs like the last one have not noted that they use it
            self._uses[shapes], self._plans[shapes] = asked, plan
            while len(self._plans) > self._most:
                self._forget_oldest()
        return plan

    def _forget_oldest(self) -> None:
        """Forget the plan that was used longest ago, and what was prepared for it alone."""
        shapes, forgotten = self._plans.popitem(last=False)
        if forgotten is self.last:
            self.last = None
        self._drop_prepared(self._uses.pop(shapes))

    def _drop_prepared(self, asked: set[Hashable]) -> None:
        """Forget what was prepared for a plan that is not kept, but for what others have asked for too."""
        needed = [keys.copy() for keys in self._uses.values()]  # runs may add to them
        for key in asked.difference(*needed):
            self._prepared.pop(key, None)


_known: WeakSet[PlanCache[Any]] = WeakSet()


def _forget_threads() -> None:
    for plans in _known:
        plans.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
