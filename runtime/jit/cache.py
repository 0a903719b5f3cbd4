"""Where machine code is kept between processes.

A folder for each environment (processor, Numba, Python), in it a file for each kernel and argument types: a line of JSON,
then the object code. The name of a file is a digest of everything that the code depends on, so that none is ever stale: a
change makes other names. Whoever can write to the folder can make this process run code of theirs, as with Python's own caches.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from ...format_spec.atomic import atomic_write
from .host import target
from .link import Code, numba_folder

VARIABLE = "TERSOR_CACHE_DIR"
ENVIRONMENTS = 16
"""Environments whose code is kept: making one more drops those that have gone longest without a new kernel."""

ROOMS = ("jit", "emit", "orders", "kernels", "decode")
"""Rooms of the runtime whose code is in kernels."""

DIGEST_BYTES = 12

_lost: dict[str, OSError] = {}


def cache_folder() -> Path | None:
    """The folder that the environment variable ``TERSOR_CACHE_DIR`` names, else one among the user's caches.

    ``None`` when there is no home directory: then nothing is kept.
    """
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    with contextlib.suppress(RuntimeError):
        base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "tersor"
    return None


def name_of(function: Callable[..., Any], flags: dict[str, Any], kinds: Iterable[Hashable]) -> str:
    """The file for ``function`` compiled with ``flags`` for arguments of ``kinds``, see :func:`.jitted.kind_of`."""
    settings = {name: sorted(value) if isinstance(value, set) else value for name, value in flags.items()}  # sets have no order
    text = f"{function.__module__} {sorted(settings.items(), key=str)!r} {' '.join(map(_describe, kinds))}"
    own, runtime = Path(function.__code__.co_filename).parent, Path(__file__).parents[1]
    sources = [runtime.with_name("format_spec"), *(runtime / room for room in ROOMS)]
    if not own.is_relative_to(runtime):
        sources.append(own)
    return f"{function.__qualname__}-{_digest(text, *map(_contents, sources))}"


def read(name: str) -> Code | None:
    """The code in the file called ``name``; ``None`` when there is none that is whole."""
    folder = _environment()
    if folder is None:
        return None
    try:
        if not (folder / name).is_file():  # a pipe would be waited for
            return None
        head, _, machine_code = (folder / name).read_bytes().partition(b"\n")
        facts = json.loads(head)
        if facts["digest"] != _digest(machine_code):
            return None
        return Code(facts["wrapper"], facts["environment"], tuple(facts["imports"]), machine_code)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def has(name: str) -> bool:
    """Whether there is a file called ``name``."""
    folder = _environment()
    return folder is not None and (folder / name).is_file()


def write(name: str, code: Code) -> None:
    """Keep ``code`` in the file called ``name``, if that is possible; :func:`lost` knows what was not."""
    folder = _environment()
    if folder is None:
        return
    facts = {"wrapper": code.wrapper, "environment": code.environment, "imports": code.imports}
    head = json.dumps({**facts, "digest": _digest(code.machine_code)})
    try:
        if not folder.is_dir():
            _make(folder)
        with atomic_write(folder / name) as file:
            file.write(head.encode() + b"\n" + code.machine_code)
        _lost.pop(name, None)
    except OSError as error:
        _lost[name] = error.with_traceback(None)  # which holds the machine code


def environments(folder: Path) -> list[Path]:
    """The folders in the cache folder ``folder`` that hold code. Whatever else is there is not ours to count or to delete."""
    if not folder.is_dir():
        return []
    ours = re.compile(f"[0-9a-f]{{{2 * DIGEST_BYTES}}}")
    return [path for path in folder.iterdir() if ours.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]


def lost() -> Mapping[str, OSError]:
    """What this process wanted to keep and could not, and why: a model runs all the same, and later processes start slower."""
    return _lost


def _environment() -> Path | None:
    """The folder for code that this process can use."""
    folder = cache_folder()
    return None if folder is None else folder / _environment_name()


_HARMLESS = """
CACHE_DIR CACHE_LOCATOR_CLASSES COLOR_SCHEME DISABLE_CUDA DISABLE_ERROR_MESSAGE_HIGHLIGHTING DISABLE_JIT
DISABLE_PERFORMANCE_WARNINGS ENABLE_CUDASIM FULL_TRACEBACKS GDB_BINARY NUM_THREADS THREADING_LAYER THREADING_LAYER_PRIORITY
WARNINGS
"""
HARMLESS = frozenset(f"NUMBA_{name}" for name in _HARMLESS.split())
"""Variables by which Numba makes no other code; any other may, and code that was made with one is not found without it."""


@cache
def _environment_name() -> str:
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith("NUMBA_") and k not in HARMLESS)
    interpreter = (sys.implementation.cache_tag, sys.platform, platform.machine())
    versions = [(numba_folder().with_name(package) / "_version.py").read_bytes() for package in ("numba", "llvmlite")]
    return _digest(repr((target(), settings, interpreter)), *versions)


def _make(folder: Path) -> None:
    """Make the folder of an environment, which another process may do as well, and drop those beyond :data:`ENVIRONMENTS`."""
    folder.mkdir(parents=True, exist_ok=True)
    newest_last = sorted(environments(folder.parent), key=lambda path: path.stat().st_mtime)
    for old in newest_last[:-ENVIRONMENTS]:
        shutil.rmtree(old, ignore_errors=True)


@cache
def _contents(folder: Path) -> str:
    """Digest of every source file below ``folder``: a kernel inlines code of its neighbours, and constants of the format."""
    found = ((place, name) for place, _, names in os.walk(folder) for name in names if name.endswith(".py"))
    return _digest(*(part for place, name in sorted(found) for part in (name, Path(place, name).read_bytes())))


def _describe(kind: Hashable) -> str:
    """The same text for the same type in every process."""
    if isinstance(kind, type):
        return f"{kind.__module__}.{kind.__qualname__}"
    assert isinstance(kind, tuple)
    if kind and isinstance(kind[0], np.dtype):
        dtype, ndim, flags = kind
        return f"{dtype.str}[{ndim}]{flags:#x}"
    return f"({', '.join(map(_describe, kind))})"


def _digest(*parts: str | bytes) -> str:
    found = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()
