"""Kernels compile and run whether or not their code can be kept, and kept code is never used where it does not belong."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tersor.runtime.jit import cache, host
from tersor.runtime.jit.jitted import jit, kind_of

PROCESS = """
import sys
import numpy as np
from tersor.runtime.kernels.matrices.products import finish
one = np.ones(4, np.float32)
finish((), one[None], one, np.zeros(0, np.float32), one, one, np.array([0, 9], np.float32))
print(one.tolist(), 'numba' in sys.modules)
"""


def run(**variables: str) -> list[str]:
    """What a fresh process prints after one kernel call."""
    command = [sys.executable, "-c", PROCESS]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, check=True)
    return done.stdout.rsplit(maxsplit=1)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def add(x, y):
    return x + y


@jit
def total(values, start):
    return sum_from(values, start) + sum_from(values, 0)


@jit
def sum_from(values, start):
    found = np.float64(0)
    for index in range(start, len(values)):
        found += values[index]
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_another_process_links_the_code_without_numba(folder):
    assert run() == ["[2.0, 2.0, 2.0, 2.0]", "True"]
    written = files(folder)
    assert len(written) == 1
    assert run() == ["[2.0, 2.0, 2.0, 2.0]", "False"]
    assert files(folder) == written


@pytest.mark.parametrize("defect", ["cut", "flipped", "no head", "other names", "no object"])
def test_damaged_code_is_made_again(folder, monkeypatch, defect):
    assert jit(add)(1, 2) == 3
    (path,) = files(folder)
    sound = path.read_bytes()
    head, _, code = sound.partition(b"\n")
    damaged = {
        "cut": sound[:-9],
        "flipped": sound[:-9] + bytes([sound[-9] ^ 1]) + sound[-8:],
        "no head": code,
        "other names": head.replace(b'"wrapper": "', b'"wrapper": "x') + b"\n" + code,
        "no object": head.replace(cache._digest(code).encode(), cache._digest(b"no").encode()) + b"\nno",
    }
    path.write_bytes(damaged[defect])
    assert jit(add)(1, 2) == 3
    monkeypatch.setattr("tersor.runtime.jit.compile.compile_for", None)
    assert jit(add)(1, 2) == 3


def test_kept_code_is_not_compiled_again(folder, monkeypatch):
    jit(add)(1.5, 2)
    monkeypatch.setattr("tersor.runtime.jit.compile.compile_for", None)
    assert jit(add)(1.5, 2) == 3.5


def test_another_processor_gets_code_of_its_own(folder):
    jit(add)(1, 2)
    run(NUMBA_CPU_NAME="nehalem", NUMBA_CPU_FEATURES="+sse4.2")
    assert len({path.parent for path in files(folder)}) == 2


def test_code_for_another_processor_than_asked_for_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.compile.target", lambda: ("another", "+feature"))
    assert jit(add)(1, 2) == 3
    assert files(folder) == []


def test_no_place_to_keep_code(monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.cache._lost", {})  # the warmup of another test would fail for it
    monkeypatch.setenv(cache.VARIABLE, str(Path(__file__) / "no folder"))
    assert jit(add)(1, 2) == 3


def test_a_disk_that_is_full(folder, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("tersor.runtime.jit.cache.atomic_write", full)
    monkeypatch.setattr("tersor.runtime.jit.cache._lost", {})
    assert jit(add)(1, 2) == 3


def test_no_home_directory(monkeypatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache.cache_folder() is None
    assert jit(add)(1, 2) == 3


def test_folders_in_order_of_precedence(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    assert cache.cache_folder() == tmp_path / "tersor"
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "b"))
    assert cache.cache_folder() == tmp_path / "b"


def test_names_depend_on_the_sources_beside_the_kernel_and_on_those_that_kernels_share(monkeypatch):
    sources = []
    monkeypatch.setattr("tersor.runtime.jit.cache._contents", lambda folder: sources.append(folder.name) or "")
    cache.name_of(add, {}, ())
    assert sorted(sources) == ["decode", "emit", "format_spec", "jit", "jit", "kernels", "orders"]  # one "jit" has this file
    monkeypatch.undo()
    names = {cache.name_of(add, flags, (int, kind)) for flags in ({}, {"nogil": True}) for kind in (int, float)}
    assert len(names) == 4


def test_names_do_not_depend_on_the_order_of_a_set():
    one, other = {0, 8}, {8, 0}  # numbers that collide keep the order in which they came; texts have another in each process
    assert repr(one) != repr(other)
    assert cache.name_of(add, {"fastmath": one}, ()) == cache.name_of(add, {"fastmath": other}, ())


def test_old_environments_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.cache.ENVIRONMENTS", 2)
    names = [cache._digest(str(i)) for i in range(4)]
    for i, name in enumerate(names):
        cache._make(tmp_path / name)
        os.utime(tmp_path / name, (i, i))
    assert set(cache.environments(tmp_path)) == {tmp_path / name for name in names[2:]} == set(tmp_path.iterdir())


def test_what_others_keep_in_the_folder_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tersor.runtime.jit.cache.ENVIRONMENTS", 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one").touch()
    (tmp_path / cache._digest("file")).touch()
    (tmp_path / cache._digest("link")).symlink_to(tmp_path / "photos")
    (tmp_path / f"{cache._digest('longer')}.old").mkdir()
    others = set(tmp_path.rglob("*"))
    for seconds, name in enumerate(("first", "second")):
        cache._make(tmp_path / cache._digest(name))
        for path in (*others, tmp_path / cache._digest(name)):
            os.utime(path, (seconds, seconds))
    assert set(tmp_path.rglob("*")) == others | {tmp_path / cache._digest("second")}


def test_kernels_call_kernels_and_constants_do_not_make_more_of_them(folder):
    assert total(np.arange(4.0), 2) == 11
    assert len(sum_from.inner.overloads) == 1


def test_only_kernels_that_kernels_call_return_arrays():
    # To make an array, machine code refers to Python objects: it is not kept, and every process compiles it anew.
    root = Path(cache.__file__).parents[2]
    sources = [file.read_text(encoding="utf-8") for folder in ("runtime", "packer") for file in (root / folder).rglob("*.py")]
    kernel = r"^@jit.*\ndef (\w+)\((?:[^()]|\([^()]*\))*\) -> np\.ndarray:"
    found = re.findall(kernel, "\n".join(sources), re.MULTILINE)
    assert "_block_sums" in found
    assert [name for name in found if not name.startswith("_")] == []


def test_kinds_tell_types_apart():
    a = np.zeros((3, 4))
    frozen = a.copy()
    frozen.flags.writeable = False
    alike = [a, np.ones((5, 6)), np.zeros((1, 1))]
    apart = [a, frozen, a.T, a[:, ::2], a[0], a.astype(np.float32), a.astype(">f8"), np.float32(1), 1.0, 1, True, None]
    apart += [(1,), (1, 1), (1.0,)]
    assert len({kind_of(value) for value in alike}) == 1
    assert len({kind_of(value) for value in apart}) == len(apart)
    assert len({cache._describe(kind_of(value)) for value in apart}) == len(apart)


def test_registers_follow_numbas_settings(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx,+avx2,+fma")
    host.target.cache_clear()
    try:
        assert host.host_registers.__wrapped__() == (16, 8)
    finally:
        host.target.cache_clear()


@pytest.mark.parametrize(("says", "size"), [("48K\n", 48 << 10), ("1M", 32 << 10), ("", 32 << 10), (None, 32 << 10)])
def test_the_first_cache_is_what_the_system_says(tmp_path, says, size):
    if says is not None:
        (tmp_path / "size").write_text(says)
    assert host.first_cache(tmp_path) == size


def test_who_forbids_compiling_is_named(tmp_path: Path) -> None:
    code = """
import numpy as np
from tersor.format_spec.errors import PlanError
from tersor.runtime.jit.jitted import jit

def double(x):
    x[0] *= 2

try:
    jit(double)(np.ones(1))
except PlanError as error:
    print(error)
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "TERSOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "NUMBA_DISABLE_JIT" in done.stdout
