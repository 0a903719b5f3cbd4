"""Parts of values that take no steps, and that they compute what copies would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.runtime.model import Model
from tests.runtime.plan.small_graphs import graph, interpret, node


def steps_of(nodes, x, outputs, **tensors):
    """The operators of the plan's steps; runs must give what the references do, in arrays of their own."""
    g = graph(nodes, {"x": x.shape}, outputs, **tensors)
    want = dict(zip(outputs, interpret(g, {"x": x}), strict=True))
    with Model(g, threads=1) as model:
        room = {name: np.empty_like(array) for name, array in want.items()}
        for out in (None, None, room):
            got = model.run({"x": x}, out=out)
            for name, array in want.items():
                np.testing.assert_array_equal(got[name], array)
                assert not np.may_share_memory(got[name], x)
        return [row.op for row in model.plan().rows()]


X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps", "together"),
    [
        ([1], [2], [0], [1], True),
        ([0, -2], [1, 9], [0, 1], [1, 1], True),
        ([1, 2, 1], [2, 3, 3], [0, 1, 2], [1, 1, 1], True),
        ([1], [3], [1], [1], False),
        ([0], [1], [2], [1], False),
        ([1], [-9], [0], [-1], False),
        ([1, 2], [2, -9], [0, 1], [1, -1], False),
        ([0, 1], [1, 1], [0, 1], [1, 1], False),
    ],
)
def test_a_slice_of_elements_that_lie_together_takes_no_step(starts, ends, axes, steps, together):
    nodes = [node("Neg", "x", "n"), node("Slice", "n s e a d", "p"), node("Exp", "p", "y")]
    found = steps_of(nodes, X, ["y"], s=starts, e=ends, a=axes, d=steps)
    assert found == ["Neg", *["Slice"] * (not together), "Exp"]


def test_pieces_of_a_split_that_lie_together_take_no_step():
    nodes = [node("Neg", "x", "n"), node("Split", "n k", "p q"), node("Exp", "p", "y"), node("Abs", "q", "z")]
    assert steps_of(nodes, X, ["y", "z"], k=[1, 1]) == ["Neg", "Exp", "Abs"]
    nodes[1] = node("Split", "n k", "p q", axis=1)
    assert steps_of(nodes, X, ["y", "z"], k=[1, 2]) == ["Neg", "Split", "Exp", "Abs"]


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    axis=st.integers(0, 3),
    of_index=st.lists(st.integers(1, 3), max_size=2),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_slices_by_index_take_no_step_where_one_lies_together(shape, axis, of_index, seed):
    rng, axis = np.random.default_rng(seed), axis % len(shape)
    x = rng.standard_normal(shape).astype(np.float32)
    index = rng.integers(-shape[axis], shape[axis], of_index)
    nodes = [node("Neg", "x", "n"), node("Gather", "n i", "p", axis=axis), node("Exp", "p", "y")]
    together = index.size == 1 and (np.prod(shape[:axis]) == 1 or shape[axis] == 1)
    assert steps_of(nodes, x, ["y"], i=index) == ["Neg", *["Gather"] * (not together), "Exp"]


PLACES = [("x", ["p"]), ("x", ["p", "y"]), ("n", ["p"]), ("n", ["n", "p"]), ("n", ["p", "q", "y"]), ("n", ["q", "n"])]


@given(st.sampled_from(PLACES), st.integers(0, 3), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3))
@settings(deadline=None)
def test_parts_of_parts_may_be_outputs(place, start, end, inner, last):
    """A slice of an input or of a value, a slice of that, and what is joined from both."""
    (source, outputs), x = place, np.random.default_rng(start).standard_normal((4, 3)).astype(np.float32)
    nodes = [
        node("Neg", "x", "n"), node("Slice", f"{source} s e", "p"), node("Slice", "p i l", "q"),
        node("Concat", "q p", "c", axis=0), node("Exp", "c", "y"),
    ]  # fmt: skip
    steps_of(nodes, x, outputs, s=[start], e=[end], i=[inner], l=[last])
