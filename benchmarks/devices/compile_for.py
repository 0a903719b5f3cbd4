"""Compiles kernels for arm64 on another machine: emulation would take an hour for what takes a minute here.

    python compile_for.py REQUESTS

answers what ``conformance.py --requests REQUESTS`` asks for, until it is stopped. The environment must be the device's: the
same versions of Python, Numba and llvmlite, ``TERSOR_CACHE_DIR`` its cache, ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` its
processor.
"""

from __future__ import annotations

import pickle
import platform
import sys
import time
from importlib import import_module
from pathlib import Path

MACHINE, TRIPLE = "aarch64", "aarch64-unknown-linux-gnu"


def pretend() -> None:
    """Make Numba and the runtime take this machine for the device. No kernel can run in this process any more."""
    from llvmlite import binding
    from llvmlite.binding import targets

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    platform.machine = lambda: MACHINE
    for module in (binding, targets):
        for name in ("get_process_triple", "get_default_triple"):
            setattr(module, name, lambda: TRIPLE)


def serve(requests: Path) -> None:
    """Compile what is asked for; a request that was served is deleted."""
    from tersor.runtime.jit import cache, compile
    from tersor.runtime.jit.jitted import example_of, kind_of

    while True:
        for path in sorted(requests.glob("*.request")):
            module, name, kinds = pickle.loads(path.read_bytes())
            arguments = tuple(map(example_of, kinds))
            if tuple(map(kind_of, arguments)) != kinds:
                raise SystemExit(f"{name}: no example of {kinds}")
            kernel, begin = getattr(import_module(module), name), time.perf_counter()
            made = compile.compile_for(kernel.py_func, kernel.flags, arguments)
            if not made.everywhere:
                raise SystemExit(f"{name}: its code cannot be kept")
            cache.write(cache.name_of(kernel.py_func, kernel.flags, kinds), made.code)
            path.unlink()
            print(f"{name}: {time.perf_counter() - begin:.1f} s", flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    pretend()
    serve(Path(sys.argv[1]))
