"""Masks of attention written out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.plan.small_graphs import floats, node

from .test_attention import ATTENTION, JOINED, MASKED, OF_FEW, SCORES, SPLIT, changed, given_values, guarded, steps, weighed

MASKS = [(7,), (1, 7), (5, 7), (5, 1), (2, 1, 1, 7), (2, 1, 5, 7), (1, 2, 5, 7), (2, 5, 7), (1,)]


@pytest.fixture(params=[0, 99], ids=["many", "few"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The only step, by the kernel for many queries, and by that for few."""
    monkeypatch.setattr("tersor.runtime.kernels.attention.lower.FEW", request.param)
    return OF_FEW if request.param else ATTENTION


@pytest.mark.parametrize("mask", MASKS, ids=str)
@pytest.mark.parametrize("constant", [False, True], ids=["given", "constant"])
@pytest.mark.parametrize("low", [-np.inf, np.finfo(np.float32).min, -256])
@pytest.mark.parametrize("rest", [weighed, guarded])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_masks(mask, constant, low, rest, either):
    """Some queries of some see no key: the softmax is NaN, and zeros where that is asked for. The lowest finite number makes
    all scores alike, and -256 leaves them enough bits for answers to be compared."""
    hidden = np.where(floats(*mask) > 0, low, floats(*mask)).astype(np.float32)
    np.atleast_2d(hidden)[..., -1, :] = low
    nodes = [*SPLIT, *MASKED, *rest("m"), *JOINED]
    x = given_values() if constant else given_values(mask=hidden)
    assert steps(nodes, x, **({"mask": hidden} if constant else {})) == either


@pytest.mark.parametrize("mask", MASKS, ids=str)
@pytest.mark.parametrize("constant", [False, True], ids=["given", "constant"])
@pytest.mark.parametrize("value", [-np.inf, np.finfo(np.float32).min, -1e4, 0.5])
@pytest.mark.parametrize("order", ["mask low s", "mask s low"])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_masks_that_choose(mask, constant, value, order, either):
    """Some queries of some see no key, or all alike; what is not chosen may be NaN."""
    chosen = floats(*mask) > 0
    np.atleast_2d(chosen)[..., -1, :] = order == "mask low s"
    nodes = [*SPLIT, *SCORES, node("Where", order, "m"), *weighed("m"), *JOINED]
    x = given_values() if constant else given_values(mask=chosen)
    x["u"][0, 1, 2] = np.nan
    assert steps(nodes, x, low=np.float32(value), **({"mask": chosen} if constant else {})) == either


def test_a_mask_may_come_first():
    nodes = changed([*SPLIT, *MASKED, *weighed("m"), *JOINED], m=node("Add", "mask s", "m"))
    assert steps(nodes, given_values(mask=floats(2, 1, 1, 7))) == ATTENTION


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["x", "u", "v", "mask"])
@pytest.mark.parametrize("rest", [weighed, guarded])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_numbers_that_are_none_go_where_the_nodes_have_them(value, which, rest, either):
    x = given_values(mask=floats(2, 1, 5, 7))
    x[which][0, ..., 1, 2] = value
    assert steps([*SPLIT, *MASKED, *rest("m"), *JOINED], x) == either
