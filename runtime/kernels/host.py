"""What the kernels must know of the processor."""

from __future__ import annotations

import platform
from functools import cache


@cache
def host_registers() -> tuple[int, int]:
    """Vector registers of the processor that Numba compiles for, and the float32 lanes of each."""
    from llvmlite import binding

    if platform.machine().lower() in ("arm64", "aarch64"):
        return 32, 4
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 32, 16
    return (16, 8) if features.get("avx2") else (16, 4)
