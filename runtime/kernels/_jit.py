"""The one place that owns Numba's flags."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from numba import njit

FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def jit(function: Callable[..., Any] | None = None, **extra: Any) -> Any:
    """Compile ``function`` at its first call, caching the code where a cache can be written.

    Kernels run without the GIL. ``extra`` adds Numba flags (``inline="always"``, ``fastmath=...``) for one kernel. Use it on
    functions at module level only: a closure is written to the cache but never found again. Numba invalidates by the file of
    the cached function alone, so code that a kernel inlines belongs in the kernel's own file.
    """
    if function is None:
        return lambda decorated: jit(decorated, **extra)
    flags = {**FLAGS, **extra}
    try:
        dispatcher = njit(cache=True, **flags)(function)
    except (RuntimeError, OSError):  # no writable place for a cache
        return njit(**flags)(function)
    _tolerate_full_disk(dispatcher)
    return dispatcher


def _tolerate_full_disk(dispatcher: Any) -> None:
    """Keep a kernel usable when its code cannot be saved after compilation."""
    cache: Any = getattr(dispatcher, "_cache", None)
    if not hasattr(cache, "save_overload"):
        return
    save = cache.save_overload

    def save_or_carry_on(signature: Any, compiled: Any) -> None:
        with contextlib.suppress(OSError):
            save(signature, compiled)

    cache.save_overload = save_or_carry_on
