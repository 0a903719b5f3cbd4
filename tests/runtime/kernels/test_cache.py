"""Machine code that is kept, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tersor.runtime.kernels import _cache
from tersor.runtime.kernels._link import Code


def test_what_is_not_kept_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_cache, "_lost", {})
    (tmp_path / "file").touch()
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "file"))
    code = Code("wrapper", "environment", ("import",), b"code")
    _cache.write("kernel", code)
    assert isinstance(_cache.lost()["kernel"], NotADirectoryError)
    assert _cache.lost()["kernel"].__traceback__ is None  # it would hold the machine code
    assert _cache.read("kernel") is None
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "folder"))
    _cache.write("kernel", code)
    assert not _cache.lost()
    assert _cache.read("kernel") == code


def test_another_process_makes_the_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make = _cache._make

    def make_late(folder: Path) -> None:
        folder.mkdir(parents=True)
        make(folder)

    monkeypatch.setattr(_cache, "_lost", {})
    monkeypatch.setattr(_cache, "_make", make_late)
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "folder"))
    code = Code("wrapper", "environment", ("import",), b"code")
    _cache.write("kernel", code)
    assert not _cache.lost()
    assert _cache.read("kernel") == code
