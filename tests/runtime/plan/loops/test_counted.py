"""Loops whose conditions count steps, with ONNX Runtime as the oracle, and others."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.runtime.plan.text_models import bodies, check


def is_counted(text: str) -> bool:
    """Whether the body of the only loop asks no more whether to go on."""
    (body,) = bodies(text)
    return body.graph.outputs[0].name == body.graph.inputs[1].name


COUNTING = """g (TYPE n, int64 most, bool go) => (float h, float[K] all) <TYPE one = {1}, TYPE nought = {0}, float two = {2}> {
    start = Cast <to = 1> (nought)
    zero = Identity(nought)
    h, c, all = Loop(LIMIT, go, start, nought) <
      body = b (int64 i, bool c, float s, TYPE t) => (bool on, float so, TYPE u, float out) {
        u = Add(t, one)
        so = Add(s, two)
        out = Identity(so)
        CONDITION
      }
    >
}"""


CONDITIONS = (
    "on = Less(u, n)",
    "on = Greater(n, u)",
    "on = Less(t, n)",
    "l = Less(u, n) k = Less(i, most) on = And(l, k)",
)


@pytest.mark.parametrize("kind", ["int32", "int64", "float"])
@pytest.mark.parametrize(
    ("limit", "condition"), [*product(("", "most"), CONDITIONS), ("most", "on = Identity(c)")], ids=lambda text: text or "none"
)
def test_conditions_that_count(limit, condition, kind, tmp_path):
    text = COUNTING.replace("TYPE", kind).replace("LIMIT", limit).replace("CONDITION", condition)
    numbers = [0, 1, 2.5, 4, -3] if kind == "float" else [0, 1, 4, -3]
    dtype = np.dtype({"float": "float32"}.get(kind, kind))
    feeds = [
        {"n": np.array(n, dtype), "most": np.array(most, np.int64), "go": np.array(go)}
        for n in numbers for most in (0, 2, 7) for go in (True, False)
    ]  # fmt: skip
    check(text, tmp_path, *feeds)
    assert is_counted(text) == (kind != "float" or condition == "on = Identity(c)")


FLOAT_LIMIT = """g (float n, bool go) => (int32 last) <int32 zero = {0}> {
    last = Loop(, go, zero) <
      body = b (int64 i, bool c, int32 t) => (bool on, int32 u) <int32 one = {1}> {
        u = Add(t, one)
        f = Cast <to = 1> (u)
        on = Less(f, n)
      }
    >
}"""


def test_a_limit_may_be_any_float(tmp_path):
    limits = [3, 2.5, 2.0001, 1, 0.5, 0, -1, np.nan, -np.inf]
    check(FLOAT_LIMIT, tmp_path, *({"n": np.array(n, np.float32), "go": np.array(go)} for n in limits for go in (True, False)))
    assert is_counted(FLOAT_LIMIT)


@pytest.mark.parametrize("late", [False, True])
def test_a_limit_that_is_infinite_leaves_the_other(late, tmp_path):
    text = FLOAT_LIMIT.replace("Loop(,", "Loop(most,").replace("(float n,", "(float n, int64 most,")
    text = text.replace("Cast <to = 1> (u)", "Cast <to = 1> (t)") if late else text
    feeds = [{"n": np.array(n, np.float32), "go": np.array(True), "most": np.array(5)} for n in (np.inf, 3e38, 3)]
    check(text, tmp_path, *feeds)
    assert is_counted(text)


CASTS = {1: "float", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 10: "float16", 11: "double", 12: "uint32"}


@pytest.mark.parametrize("to", CASTS)
def test_casts_that_leave_the_number_of_a_step_what_it_is(to):
    """To those that have as many numbers as a loop has steps."""
    text = FLOAT_LIMIT.replace("Cast <to = 1>", f"Cast <to = {to}>").replace("float n", f"{CASTS[to]} n")
    assert is_counted(text) == (to in (1, 6, 7, 11))


BODY = """g (int64 n, int64 most) => (int64 last, int64[K] all)
    <int64 one = {1}, int64 two = {2}, int64[2] row = {1, 1}, int64 start = {START}, bool yes = {1}, bool no = {0}> {
    last, all = Loop(most, yes, start) <
      body = b (int64 i, bool c, int64 t) => (bool on, int64 u, int64 out) { u = Add(t, one) out = Mul(t, i) CONDITION }
    >
}"""


@pytest.mark.parametrize(
    "condition", ["on = Identity(yes)", "l = Less(u, n) on = And(l, yes)", "l = Add(one, t) on = Less(l, n)"]
)
def test_conditions_that_count_some_other_way(condition, tmp_path):
    text = BODY.replace("CONDITION", condition).replace("START", "0")
    check(text, tmp_path, *({"n": np.array(n), "most": np.array(most)} for n in (-1, 2, 7) for most in (0, 3, 9)))
    assert is_counted(text)


OTHERS = (
    "on = Identity(no)",
    "l = Less(u, n) on = And(no, l)",
    "l = Less(u, n) on = Or(l, no)",
    "e = Equal(u, n) on = Not(e)",
    "l = Less(u, n) o = Not(no) on = And(l, o)",
    "l = Less(u, n) o = Not(no) on = And(o, l)",
    "l = Add(t, t) on = Less(l, n)",
    "l = Sub(n, t) on = Less(u, l)",
    "l = Mul(u, two) on = Less(l, n)",
    "l = Add(t, two) on = Less(l, n)",
    "l = Add(two, t) on = Less(l, n)",
    "l = Add(t, row) on = Less(l, n)",
    "on = Less(n, u)",
    "on = Greater(u, n)",
    "on = Less(t, u)",
    "on = Less(n, n)",
)
LATER = "on = Less(u, n)", "on = Greater(n, t)"


@pytest.mark.parametrize(("start", "conditions"), [("0", OTHERS), ("1", (*OTHERS, *LATER))])
def test_conditions_that_count_no_steps(start, conditions):
    texts = [BODY.replace("CONDITION", condition).replace("START", start) for condition in conditions]
    assert [text for text in texts if is_counted(text)] == []
