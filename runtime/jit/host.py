"""What the kernels must know of the processor."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

FIRST_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index0")
"""Where Linux describes a core's first-level data cache."""


@cache
def target() -> tuple[str, str]:
    """Name and features (``+avx2,-avx512f,...``) of the processor that kernels are compiled for.

    That is this machine's, unless Numba's settings ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` say otherwise.
    """
    from llvmlite import binding

    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name == "generic" else binding.get_host_cpu_features().flatten()
    return name, features


@cache
def host_registers() -> tuple[int, int]:
    """Vector registers of the processor that Numba compiles for, and the float32 lanes of each."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return 32, 4
    features = set(target()[1].split(","))
    if "+avx512f" in features:
        return 32, 16
    return (16, 8) if "+avx2" in features else (16, 4)


@cache
def first_cache(folder: Path = FIRST_CACHE) -> int:
    """Bytes of a core's first-level data cache; 32 KiB where the system does not say."""
    try:
        size = (folder / "size").read_text().strip()
    except OSError:
        size = ""
    return int(size[:-1]) << 10 if size.endswith("K") and size[:-1].isdecimal() else 32 << 10
