"""Threads that share every product of a recurrent layer: as one thread has it, bit for bit, whoever is late."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.recurrent import layer, together
from tersor.runtime.kernels.recurrent.cells import MEMBERS, PACKS
from tersor.runtime.kernels.recurrent.gates import LSTM
from tersor.runtime.kernels.recurrent.row_panels import panel_kinds
from tersor.runtime.orders.order import FACTS, ORDER, SCRATCH, TAKEN
from tersor.runtime.orders.team import alone
from tests.runtime.kernels.recurrent.test_layer import FORMS, GATES, OUTPUTS, Inputs, Tensors, build

DIRECTIONS = {1: "forward", 2: "bidirectional"}


def weights(op_type: str, count: int, inputs: int, size: int, rng: np.random.Generator) -> Tensors:
    rows = size * GATES[op_type]
    shapes = {"w": (count, rows, inputs), "r": (count, rows, size), "b": (count, 2 * rows)}
    return {name: DenseTensor.of(rng.standard_normal(shape).astype(np.float32) / 8) for name, shape in shapes.items()}


def runs(op_type: str, tensors: Tensors, given: Inputs, names: str, threads: int, **attributes: Any) -> list[Inputs]:
    with build(op_type, tensors, given, names, threads, **attributes) as model:
        return [model.run(given) for _ in range(3)]


def share_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to do."""
    monkeypatch.setattr(layer, "WORTH_WAITING", 0)
    monkeypatch.setattr("tersor.runtime.orders.shared.WORTH_SHARING", 0)


def sharers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often code that shares products is asked for, from now on."""
    asked, real = [0], together.layer_sharer

    def counted(*kinds: Any) -> int:
        asked[0] += 1
        return real(*kinds)

    monkeypatch.setattr(layer, "layer_sharer", counted)
    return asked


@given(
    form=st.sampled_from(FORMS),
    direction=st.sampled_from(["forward", "reverse", "bidirectional"]),
    sizes=st.tuples(st.integers(1, 60), st.integers(1, 9), st.integers(0, 20), st.integers(1, 150)),
    lengths=st.booleans(),
    waits=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_as_one_thread(
    form: tuple[str, dict[str, Any]], direction: str, sizes: tuple[int, ...], lengths: bool, waits: bool, seed: int
) -> None:
    (op_type, attributes), (time, batch, inputs, size), rng = form, sizes, np.random.default_rng(seed)
    count = 2 if direction == "bidirectional" else 1
    tensors = weights(op_type, count, inputs, size, rng)
    arrays: Inputs = {"x": rng.standard_normal((time, batch, inputs)).astype(np.float32)}
    arrays["h0"] = rng.standard_normal((count, batch, size)).astype(np.float32)
    if lengths:
        arrays["n"] = rng.integers(0, time + 1, batch).astype(np.int32)
    names = f"x w r b {'n' if lengths else ''} h0"
    (expected, *_) = runs(op_type, tensors, arrays, names, 1, direction=direction, **attributes)
    with pytest.MonkeyPatch.context() as patch:
        share_always(patch)
        patch.setattr(layer, "CYCLES_A_LOOK", 1e-3 if waits else 1e9)
        asked = sharers(patch)
        for found in runs(op_type, tensors, arrays, names, count + 1, direction=direction, **attributes):
            assert all(np.array_equal(found[name], expected[name]) for name in OUTPUTS[op_type])
        assert asked == [1]


@pytest.mark.parametrize(
    ("count", "size", "threads", "shared"),
    [(1, 300, 2, 1), (1, 300, 1, 0), (1, 64, 2, 0), (2, 300, 2, 0), (2, 400, 2, 1), (2, 600, 2, 0)],
)
def test_large_layers_are_shared(monkeypatch: pytest.MonkeyPatch, count: int, size: int, threads: int, shared: int) -> None:
    asked, rng = sharers(monkeypatch), np.random.default_rng(1)
    arrays = {"x": rng.standard_normal((3, 1, 8)).astype(np.float32)}
    runs("LSTM", weights("LSTM", count, 8, size, rng), arrays, "x w r b", threads, direction=DIRECTIONS[count])
    assert asked == [shared]


def test_a_trace_follows_threads_that_share(monkeypatch: pytest.MonkeyPatch) -> None:
    share_always(monkeypatch)
    rng, asked = np.random.default_rng(3), sharers(monkeypatch)
    arrays = {"x": rng.standard_normal((3, 1, 8)).astype(np.float32)}
    with build("LSTM", weights("LSTM", 1, 8, 20, rng), arrays, "x w r b", 2) as model:
        assert len(model.trace(arrays, runs=3).step_seconds()) == 1
    assert asked == [1]


@pytest.mark.parametrize("member", [1, 2])
def test_who_joins_when_all_is_done_returns(member: int) -> None:
    code = together.layer_sharer(panel_kinds(4), panel_kinds(4), ((),) * LSTM, ())
    facts, order, scratch = np.zeros(PACKS, np.int64), np.zeros(ORDER, np.int64), np.zeros(64, np.int64)
    facts[MEMBERS], order[TAKEN] = 2, together.END
    order[FACTS], order[SCRATCH] = facts.ctypes.data, scratch.ctypes.data
    alone(code, order.ctypes.data, member)
    assert not scratch.any()
