"""The one place that owns Numba's flags."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def jit(function: Callable[..., Any] | None = None, **extra: Any) -> Any:
    """Compile ``function`` at its first call, caching the code where a cache can be written.

    Kernels run without the GIL. ``extra`` adds Numba flags (``inline="always"``, ``fastmath=...``) for one kernel. Use it on
    functions at module level only: a closure is written to the cache but never found again.
    """
    if function is None:
        return lambda decorated: jit(decorated, **extra)
    flags = {**FLAGS, **extra}
    try:
        dispatcher = njit(cache=True, **flags)(function)
    except (RuntimeError, OSError):  # no writable place for a cache
        return njit(**flags)(function)
    cache: Any = getattr(dispatcher, "_cache", None)
    _depend_on_folders(cache, function)
    _tolerate_full_disk(cache)
    return dispatcher


def _depend_on_folders(cache: Any, function: Callable[..., Any]) -> None:
    """Make cached code stale when any file beside the kernel, or beside this one, changes.

    Numba looks at the kernel's own file alone, but a kernel inlines code of others.
    """
    index: Any = getattr(cache, "_cache_file", None)
    if hasattr(index, "_source_stamp"):
        folders = {Path(function.__code__.co_filename).parent, Path(__file__).parent}
        index._source_stamp = (index._source_stamp, *map(_stamp, sorted(folders)))


@functools.cache
def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, modification time and size of every source file in ``folder``."""
    found = sorted(folder.glob("*.py"))
    return tuple((file.name, (stat := file.stat()).st_mtime_ns, stat.st_size) for file in found)


def _tolerate_full_disk(cache: Any) -> None:
    """Keep a kernel usable when its code cannot be saved after compilation."""
    if not hasattr(cache, "save_overload"):
        return
    save = cache.save_overload

    def save_or_carry_on(signature: Any, compiled: Any) -> None:
        with contextlib.suppress(OSError):
            save(signature, compiled)

    cache.save_overload = save_or_carry_on
