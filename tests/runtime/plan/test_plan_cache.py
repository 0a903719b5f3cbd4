from __future__ import annotations

from threading import Barrier, Thread

import pytest

from tersor.format_spec.errors import PlanError
from tersor.runtime.plan.plan_cache import PlanCache


def preparing(cache: PlanCache[str], plan: str, *keys: str) -> str:
    """Find a plan, that is prepared for with ``keys``."""
    return cache.find(plan, lambda: "".join([plan, *(cache.prepare(key, lambda key=key: f" {key}") for key in keys)]))


def test_the_plan_used_longest_ago_goes_first_with_what_it_alone_needed():
    cache = PlanCache[str](2)
    assert preparing(cache, "a", "own", "shared") == "a own shared"
    preparing(cache, "b", "shared")
    preparing(cache, "c", "other")
    assert set(cache._prepared) == {"other", "shared"}
    assert cache.find("b", lambda: "built again") == "b shared"
    preparing(cache, "d")
    assert cache.find("b", lambda: "built again") == "b shared"
    assert cache.find("c", lambda: "built again") == "built again"


def test_the_plan_of_the_last_run_stays_though_nobody_looks_it_up():
    cache = PlanCache[str](2)
    cache.find("a", lambda: "a")
    assert cache.remember(cache.find("b", lambda: "b")) == ["b", "a"]
    cache.find("a", lambda: "built again")
    cache.find("c", lambda: "c")
    assert cache.last == "b"
    assert cache.find("a", lambda: "built again") == "built again"


def test_a_plan_that_cannot_be_built_leaves_nothing_behind():
    def failing() -> str:
        cache.prepare("key", lambda: "made")
        raise ZeroDivisionError

    cache = PlanCache[str](2)
    with pytest.raises(ZeroDivisionError):
        cache.find("a", failing)
    assert not cache._prepared
    assert cache.find("a", lambda: "a") == "a"


def test_threads_that_want_the_same_plan_build_it_once():
    def build() -> str:
        built.append("a")
        return "a"

    def want() -> None:
        start.wait()
        cache.find("a", build)

    cache, built, start = PlanCache[str](2), list[str](), Barrier(4)
    threads = [Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == ["a"]


def test_a_closed_cache_forgets_and_builds_nothing():
    cache = PlanCache[str](2)
    cache.remember(preparing(cache, "a", "key"))
    cache.close()
    cache.close()
    assert cache.last is None
    assert not cache._prepared
    with pytest.raises(PlanError, match="closed"):
        cache.find("a", lambda: "a")
