"""From a function to machine code, by Numba."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba import njit, typeof
from numba.core import types

from ._link import Code
from .host import target

_njit: Any = njit
"""Numba's overloads do not take flags from a mapping."""

INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Flags of functions that only kernels call: no time is spent on making them callable from elsewhere."""


def inner_function(function: Callable[..., Any], flags: dict[str, Any]) -> Any:
    """``function`` as kernels see it.

    A constant argument counts as a variable: Numba would compile the function anew for each constant.
    """
    made = _njit(**flags, **INNER)(function)
    resolve = made.get_call_template

    def resolve_without_constants(arguments: Any, keywords: Any) -> Any:
        return resolve(tuple(map(types.unliteral, arguments)), {k: types.unliteral(v) for k, v in keywords.items()})

    made.get_call_template = resolve_without_constants
    return made


def compile_for(
    function: Callable[..., Any], flags: dict[str, Any], arguments: tuple[Any, ...]
) -> tuple[Callable[..., Any], Code | None]:
    """Compile ``function`` for the types of ``arguments``: what to call, and the code to keep.

    There is no code to keep when it would not work elsewhere: it refers to Python objects, or Numba compiles for another
    processor than :func:`~tersor.runtime.kernels.host.target`, by which kept code is found again.
    """
    signature = tuple(map(typeof, arguments))
    dispatcher = _njit(no_cfunc_wrapper=True, **flags)(function)
    with _uncollected():
        entry = dispatcher.compile(signature)
    result = dispatcher.overloads[signature]
    library, described = result.library, result.fndesc
    _, *compiled_for = library.codegen.magic_tuple()
    if result.environment.consts or tuple(compiled_for) != target():
        return entry, None
    _, _, (machine_code, _) = library.serialize_using_object_code()
    return entry, Code(described.llvm_cpython_wrapper_name, described.env_name, _imports(library), machine_code)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's collector of cycles, which would look at the compiler's many objects again and again: a tenth of its
    time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _imports(library: Any) -> tuple[str, ...]:
    """Names that the code takes from outside."""
    module = library._final_module
    declared = [value.name for value in (*module.functions, *module.global_variables) if value.is_declaration]
    return tuple(name for name in declared if not name.startswith("llvm."))
