"""Machine code that Numba made earlier, linked into this process without Numba.

The code takes and returns Python objects (it is what Numba calls a CPython wrapper) and relies on helpers in C that are part
of Numba: three extension modules, which need nothing of the package around them. Code is only ever linked against the very
version of Numba that made it, see :mod:`.cache`.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

HELPERS = {"numba._helperlib": "numba_", "numba._dynfunc": "numba_", "numba.core.runtime._nrt_python": "NRT_"}
"""Extension modules, and what the names of their functions start with in machine code."""

_numbers = count()


@dataclass(frozen=True)
class Code:
    """A relocatable object, ``machine_code``.

    ``wrapper`` names the function to call, ``environment`` the variable that must point to its Numba environment, and
    ``imports`` what has to be linked to it.
    """

    wrapper: str
    environment: str
    imports: tuple[str, ...]
    machine_code: bytes


def link(code: Code, function: Callable[..., Any], environment: Any = None) -> Callable[..., Any] | None:
    """The callable that ``code`` is, for the Python ``function`` that it was compiled from; ``None`` when it does not link.

    ``environment`` is the code's Numba environment, where it refers to Python objects.
    """
    from llvmlite import binding

    builder = binding.JITLibraryBuilder().add_object_img(code.machine_code).add_current_process()
    try:
        known = _symbols()
        for name in code.imports:
            if name in known:
                builder.import_symbol(name, known[name])
        library = builder.export_symbol(code.wrapper).export_symbol(code.environment).link(_linker(), f"tersor{next(_numbers)}")
    except (RuntimeError, ImportError):
        return None
    dynfunc = helper("numba._dynfunc")
    environment = environment or dynfunc.Environment(function.__globals__)
    ctypes.c_void_p.from_address(library[code.environment]).value = id(environment)
    module = sys.modules[function.__module__]
    names = (module, function.__name__, function.__doc__ or "")
    return dynfunc.make_function(*names, library[code.wrapper], environment, (library,))


@cache
def _linker() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.create_lljit_compiler(use_jit_link=True)


@cache
def _symbols() -> Mapping[str, int]:
    """Addresses by the names that Numba gives them."""
    found = {"_Py_NoneStruct": id(None)}
    errors = (value for value in vars(builtins).values() if isinstance(value, type) and issubclass(value, BaseException))
    found.update((f"PyExc_{error.__name__}", id(error)) for error in errors)
    for module, prefix in HELPERS.items():
        for name, address in helper(module).c_helpers.items():
            found[name if name.startswith("_") else prefix + name] = address
    return found


@cache
def helper(name: str) -> ModuleType:
    """One of Numba's extension modules, its package not imported.

    Raises:
        ImportError: there is no such module.
    """
    if name in sys.modules:
        return sys.modules[name]
    _, *folders, stem = name.split(".")
    files = (numba_folder().joinpath(*folders, stem + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    path = next((file for file in files if file.is_file()), None)
    spec = importlib.util.spec_from_file_location(name, path) if path else None
    if spec is None or spec.loader is None:
        raise ImportError(f"numba has no {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def numba_folder() -> Path:
    """Where Numba is installed.

    Raises:
        ImportError: it is not.
    """
    spec = importlib.util.find_spec("numba")
    if spec is None or spec.origin is None:
        raise ImportError("numba is not installed")
    return Path(spec.origin).parent
