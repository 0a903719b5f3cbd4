"""Kernels become machine code once, with everything that they call, and still are what Numba would have made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.core.registry import cpu_target

from tersor.runtime.jit.jitted import jit


@jit
def twice(values):
    return double(values) + double(values)


@jit
def double(values):
    total = 0.0
    for value in values:
        total += value
    return total


@jit
def doubled_elsewhere(values):
    return double(values)


@jit
def whole_arrays(left, right):
    return (left + right) * left - 1


@jit
def refuse(number):
    if number < 0:
        raise ValueError("less than nothing", number)
    return number


@njit
def plain(values):
    return twice(values) + 1


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.cache.cache_folder", lambda: None)


VALUES = np.arange(5.0)


def test_functions_that_kernels_call_are_no_machine_code_of_their_own():
    assert twice(VALUES) == 20
    (made,) = double.inner.overloads.values()
    assert any(function.name == made.fndesc.llvm_func_name for function in made.library.get_defined_functions())
    assert not made.library.codegen._engine.is_symbol_defined(made.fndesc.llvm_func_name)


def test_a_function_that_two_kernels_call_is_compiled_once():
    assert twice(VALUES) == 2 * doubled_elsewhere(VALUES)
    assert len(double.inner.overloads) == 1


def test_code_that_does_not_link_is_linked_by_numba(monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.link.link", lambda *arguments: None)
    assert jit(twice.py_func)(VALUES) == 20


def test_numbas_own_functions_may_call_kernels():
    assert plain(VALUES) == 21


def test_expressions_of_whole_arrays():
    np.testing.assert_array_equal(whole_arrays(VALUES, VALUES + 1), (2 * VALUES + 1) * VALUES - 1)


def test_errors_reach_the_caller():
    assert refuse(3) == 3
    with pytest.raises(ValueError, match="less than nothing"):
        refuse(-3)


def test_numba_resolves_a_call_once_and_only_while_kernels_are_compiled(monkeypatch):
    calls: list[Any] = []
    context: Any = cpu_target.typing_context
    resolve = context.resolve_function_type

    def note(*call):
        calls.append(call)
        return resolve(*call)

    monkeypatch.setattr("tersor.runtime.jit.compile._resolved", {})
    monkeypatch.setattr(context, "resolve_function_type", note)

    @jit
    def sums(a, b):
        return (a + b) * (a + b) + (a + b) * b

    assert sums(2.0, 3.0) == 40
    assert len(calls) == 2
    assert context.resolve_function_type is note
    with pytest.raises(ValueError, match="less than nothing"):
        refuse(-1)
    assert context.resolve_function_type is note
