"""From a function to machine code, by Numba."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numba import njit, typeof
from numba.core import config, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from ...format_spec.errors import PlanError
from .host import target
from .link import Code
from .pipeline import PartCompiler, WholeCompiler
from .uncollected import uncollected

_njit: Any = njit
"""Numba's overloads do not take flags from a mapping."""

INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Flags of functions that only kernels call: no time is spent on making them callable from elsewhere."""


def inner_function(function: Callable[..., Any], flags: dict[str, Any]) -> Any:
    """``function`` as kernels see it.

    A constant argument counts as a variable: Numba would compile the function anew for each constant.
    """
    made = _njit(**flags, **INNER, pipeline_class=PartCompiler)(function)
    resolve = made.get_call_template

    def resolve_without_constants(arguments: Any, keywords: Any) -> Any:
        return resolve(tuple(map(types.unliteral, arguments)), {k: types.unliteral(v) for k, v in keywords.items()})

    made.get_call_template = resolve_without_constants
    return made


_resolved: dict[tuple[Any, tuple[Any, ...]], Any] = {}
"""Signatures by function and types of arguments."""


@dataclass(frozen=True)
class Compiled:
    """Machine code and the Numba environment that it runs in.

    ``everywhere`` is whether it also works in another process: not when it refers to Python objects, nor when Numba compiles
    for another processor than :func:`~tersor.runtime.jit.host.target`, by which kept code is found again.
    """

    code: Code
    environment: Any
    everywhere: bool


def compile_for(function: Callable[..., Any], flags: dict[str, Any], arguments: tuple[Any, ...]) -> Compiled:
    """Compile ``function`` for the types of ``arguments``.

    Raises:
        PlanError: Numba has been told not to compile.
    """
    if getattr(config, "DISABLE_JIT", False):
        raise PlanError("a kernel has to be compiled, and the environment says NUMBA_DISABLE_JIT: leave it out")
    signature = tuple(map(typeof, arguments))
    dispatcher = _njit(no_cfunc_wrapper=True, pipeline_class=WholeCompiler, **flags)(function)
    with uncollected(), global_compiler_lock, _remembering():  # collecting takes a tenth of the compiler's time
        dispatcher.compile(signature)
        result = dispatcher.overloads[signature]
        library, described, environment = result.library, result.fndesc, result.environment
        machine_code = library.machine_code()
    _, *compiled_for = library.codegen.magic_tuple()
    code = Code(described.llvm_cpython_wrapper_name, described.env_name, library.imports(), machine_code)
    return Compiled(code, environment, not environment.consts and tuple(compiled_for) == target())


def linked_by_numba(function: Callable[..., Any], flags: dict[str, Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """``function`` compiled once more, for platforms whose code :func:`~.link.link` cannot link."""
    return _njit(no_cfunc_wrapper=True, **flags)(function).compile(tuple(map(typeof, arguments)))


@contextmanager
def _remembering() -> Iterator[None]:
    """While Numba remembers how it resolved calls of its own functions: it would try the signatures of ``+`` anew for each
    addition, a tenth of its time. Only for who holds its lock."""
    context: Any = cpu_target.typing_context
    resolve = context.resolve_function_type

    def remembered(function: Any, arguments: Any, keywords: Any) -> Any:
        if keywords or not isinstance(function, types.BaseFunction):
            return resolve(function, arguments, keywords)
        call = function, tuple(arguments)
        if (found := _resolved.get(call)) is None:
            found = _resolved[call] = resolve(function, arguments, keywords)
        return found

    context.resolve_function_type = remembered
    try:
        yield
    finally:
        context.resolve_function_type = resolve
