"""Files that appear whole or not at all, whatever has their name already."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tersor.format_spec.atomic import atomic_write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and permissions as POSIX has them")


@pytest.fixture
def umask() -> Iterator[int]:
    """An unusual umask, of this process for the length of a test."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def write(path: Path, data: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(data)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_write(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    path = tmp_path / "model"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_may_be_as_long_as_the_system_lets_it_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    write(path)
    assert path.read_bytes() == b"new"


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "model", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    for data in (b"first", b"second"):  # when the link leads nowhere yet, and when it leads to a file
        write(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert list(target.parent.iterdir()) == [target]


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(OSError, match="symbolic links"):
        write(link)
    assert link.is_symlink()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def device(path: Path) -> None:
    path.symlink_to(os.devnull)


@pytest.mark.parametrize("make", [pipe, listening, device])
def test_what_is_no_file_is_refused_and_stays(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may be no longer than 107 bytes
    path = tmp_path / "model"
    make(path)
    before = path.stat()
    with pytest.raises(FileExistsError, match="a pipe, a device or a socket: write to a regular file"):
        write(path)
    assert path.stat() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_that_a_process_holds_is_refused() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(OSError, match=r"pipe|no such directory"):
            write(Path(f"/dev/fd/{writer}"))
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_folder_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError):
        write(Path(name))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such directory.*missing"):
        write(tmp_path / "missing" / "model")


def test_permissions_of_a_new_file_and_of_a_replaced_one(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(mask: int) -> int:
        raise AssertionError(f"the umask is the whole process's: with {mask:o} other threads' files get other permissions")

    path = tmp_path / "model"
    with monkeypatch.context() as patched:
        patched.setattr(os, "umask", changed)
        write(path)
        assert mode(path) == 0o666 & ~umask
        path.chmod(0o604)
        write(path)
    assert mode(path) == 0o604
    assert path.read_bytes() == b"new"


def test_a_private_file_is_private_while_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.touch(0o600)
    with atomic_write(path):
        (temporary,) = set(tmp_path.iterdir()) - {path}
        assert mode(temporary) == 0o600


def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"before")
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(target)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_other_errors_of_the_block_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot read") as caught, atomic_write(tmp_path / "file"):
        raise OSError(errno.EIO, "cannot read")
    assert caught.value.filename is None


def test_a_folder_that_is_locked_is_no_riddle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(PermissionError) as caught:
        write(tmp_path / "file")
    assert caught.value.filename == str(tmp_path / "file")
