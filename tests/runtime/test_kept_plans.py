"""Plans, their memory and what is prepared for them: kept for the shapes seen last, forgotten with the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import LimitError
from tersor.format_spec.limits import Limits
from tersor.runtime.model import Model
from tersor.runtime.plan.check import check_inputs
from tersor.runtime.plan.execute import Execution
from tersor.runtime.plan.planned import Planned
from tests.runtime.small import image, small


def test_plans_are_kept_up_to_a_bound():
    with Model(small(), threads=1, plans=2) as model:
        shapes = [{"image": (1, 3, 8, width)} for width in (10, 11, 12)]
        first = model.plan(shapes[0])
        model.plan(shapes[1])
        assert model.plan(shapes[0]) is first
        model.plan(shapes[2])
        assert model.plan(shapes[0]) is first
        model.plan(shapes[1])
        model.plan(shapes[2])
        assert model.plan(shapes[0]) is not first


def test_weights_are_prepared_once_for_all_shapes():
    with Model(small(), threads=1) as model:
        for width in (64, 128, 256):
            model.run({"image": image(width=width)})
        assert sum("conv" in str(key) for key in model._plans._prepared) == 1


def test_what_is_prepared_may_be_forgotten_meanwhile():
    class Forgetting(dict[Any, Any]):
        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            self.clear()
            return found

        def get(self, key: Any, default: Any = None) -> Any:
            found = super().get(key, default)
            self.clear()
            return found

    with Model(small(), threads=1) as model:
        model._plans._prepared = Forgetting(known=1)
        assert model._plans.prepare("known", lambda: 2) == 1


def test_the_plan_of_runs_like_the_last_one_is_in_use():
    with Model(small(), threads=1, plans=2) as model:
        widths = [{"image": (1, 3, 8, width)} for width in (10, 11, 12)]
        model.run({"image": image()})
        used, other = (model.plan(width) for width in widths[:2])
        for _ in range(2):
            model.run({"image": image()})
        model.plan(widths[2])
        assert model.plan(widths[0]) is used
        assert model.plan(widths[1]) is not other


def test_a_plan_that_is_forgotten_while_it_runs_is_not_the_last_one(monkeypatch):
    def forgotten_meanwhile(*arguments: Any) -> dict[str, np.ndarray]:
        model.plan({"image": (1, 3, 8, 11)})
        return run(*arguments)

    run = Planned.run
    with Model(small(), threads=1, plans=1) as model:
        monkeypatch.setattr(Planned, "run", forgotten_meanwhile)
        model.run({"image": image()})
        assert model._plans.last is None


def test_what_forgotten_plans_needed_is_forgotten():
    with Model(small(), threads=1, plans=2) as model:
        for width in range(10, 30):
            model.run({"image": np.zeros((1, 3, 8, width), np.float32)})
        assert len(model._plans._uses) == 2
        assert set(model._plans._prepared) <= set().union(*model._plans._uses.values())


def test_idle_memory_of_many_plans_is_bounded():
    with Model(small(), threads=1, plans=4) as model:
        images = [np.zeros((1, 3, 8, width), np.float32) for width in (10, 11, 12)]
        planned = [model._planned(check_inputs(model.inputs, {"image": x})) for x in images]
        for plan in planned:
            for _ in range(8):
                plan._give_back(Execution(plan.plan))
        model.run({"image": images[-1]})
        assert [len(plan._idle) for plan in planned] == [1, 8, 8]


def test_what_plans_that_fail_needed_is_forgotten():
    with Model(small(), threads=1, limits=Limits(activation_bytes=1 << 20)) as model:
        model.run({"image": np.zeros((1, 3, 8, 10), np.float32)})
        kept = set(model._plans._prepared)
        for width in range(100_000, 100_010):
            with pytest.raises(LimitError):
                model.plan({"image": (1, 3, 8, width)})
        assert set(model._plans._prepared) == kept
