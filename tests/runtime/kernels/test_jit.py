"""Kernels compile and run whether or not their code can be cached."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from tersor.runtime.kernels import _jit


def add_one(x):
    return x + 1


@pytest.mark.parametrize(
    "error", [RuntimeError("cannot cache function: no locator available"), OSError(errno.EROFS, "read-only")]
)
def test_no_place_for_a_cache(monkeypatch, error):
    def refuse(*, cache=False, **flags):
        if cache:
            raise error
        return njit(**flags)

    monkeypatch.setattr(_jit, "njit", refuse)
    assert _jit.jit(add_one)(1) == 2


def test_a_disk_that_is_full(monkeypatch):
    kernel = _jit.jit(add_one)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(kernel._cache._cache_file, "save", full)
    assert kernel(np.float32(2)) == 3


def test_cached_code_depends_on_every_file_of_its_folder():
    stamp = _jit.jit(add_one)._cache._cache_file._source_stamp
    names = {name for folder in stamp[1:] for name, *_ in folder}
    assert {"test_jit.py", "_jit.py", "_vector.py", "tile.py"} <= names


def test_another_process_finds_the_code(tmp_path):
    code = """
import numpy as np
from tersor.runtime.kernels.columns import finish
one = np.ones(4, np.float32)
finish(one, np.zeros(0, np.float32), one, one, np.float32(0), np.float32(9))
print(sum(finish.stats.cache_hits.values()), sum(finish.stats.cache_misses.values()))
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment) for _ in range(2)]
    assert [run.stdout.split() for run in runs] == [["0", "1"], ["1", "0"]]
