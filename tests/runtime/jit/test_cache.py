"""Machine code that is kept, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tersor.runtime.jit import cache
from tersor.runtime.jit.link import Code


def test_what_is_not_kept_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tersor.runtime.jit.cache._lost", {})
    (tmp_path / "file").touch()
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "file"))
    code = Code("wrapper", "environment", ("import",), b"code")
    cache.write("kernel", code)
    assert isinstance(cache.lost()["kernel"], NotADirectoryError)
    assert cache.lost()["kernel"].__traceback__ is None  # it would hold the machine code
    assert cache.read("kernel") is None
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "folder"))
    cache.write("kernel", code)
    assert not cache.lost()
    assert cache.read("kernel") == code


def test_another_process_makes_the_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make = cache._make

    def make_late(folder: Path) -> None:
        folder.mkdir(parents=True)
        make(folder)

    monkeypatch.setattr("tersor.runtime.jit.cache._lost", {})
    monkeypatch.setattr("tersor.runtime.jit.cache._make", make_late)
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "folder"))
    code = Code("wrapper", "environment", ("import",), b"code")
    cache.write("kernel", code)
    assert not cache.lost()
    assert cache.read("kernel") == code


def test_a_file_that_is_no_code_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path))
    cache.write("kernel", Code("wrapper", "environment", ("import",), b"code"))
    (place,) = tmp_path.glob("*/kernel")
    for content in (b"", b"[" * 200_000, b"{}\ncode", b"\xff\n"):
        place.write_bytes(content)
        assert cache.read("kernel") is None
    place.unlink()
    place.mkdir()
    assert cache.read("kernel") is None


@pytest.mark.parametrize(
    ("name", "found"), [("NUMBA_NUM_THREADS", True), ("NUMBA_CACHE_DIR", True), ("NUMBA_OPT", False), ("NUMBA_NEW", False)]
)
def test_variables_by_which_code_may_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, found: bool) -> None:
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path))
    cache.write("kernel", Code("wrapper", "environment", ("import",), b"code"))
    monkeypatch.setenv(name, "1")
    cache._environment_name.cache_clear()
    try:
        assert cache.has("kernel") is found
    finally:
        monkeypatch.delenv(name)
        cache._environment_name.cache_clear()
