"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing ends with, and nothing else that the block may do: the system says it without a name."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes ``path`` when the block ends without an error.

    The bytes go to a sibling temporary file, reach the disk, and take the name in one rename: whoever opens ``path`` sees
    the old file or the whole new one, even when this process is killed or the disk is full. A symbolic link stays, and what
    it names is replaced; a file that is replaced leaves its permissions to the new one.

    Raises:
        OSError: ``path`` is a directory, a pipe, a device or a socket, its folder is missing, or it cannot be written;
            ``filename`` says what, also where the system does not.
    """
    with atomic_write_all(path) as (file,):
        yield file


@contextmanager
def atomic_write_all(*paths: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, ...]]:
    """Yield binary files that become ``paths`` together: as by :func:`atomic_write`, but none before all are on the disk.

    The renames follow one another in the order of ``paths``; only a process killed between two leaves some files new and
    some old.

    Raises:
        OSError: as :func:`atomic_write`.
    """
    new = [_NewFile.beside(path) for path in paths]
    with _naming(new), ExitStack() as leftovers:
        for file in new:
            file.create()
            leftovers.callback(file.temporary.unlink, missing_ok=True)
        with ExitStack() as opened:
            streams = tuple(opened.enter_context(file.temporary.open("w+b")) for file in new)
            yield streams
            for stream in streams:
                stream.flush()
                os.fsync(stream.fileno())
        for file in new:
            file.finish()
        for file in new:
            file.temporary.replace(file.target)


@contextmanager
def _naming(new: Sequence[_NewFile]) -> Iterator[None]:
    """Errors of writing name the file to be, not one that nobody asked for, nor nothing at all."""
    targets = {str(file.temporary): str(file.target) for file in new}
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in FULL:
            error.filename = str(new[0].target)  # which of them it was, the system does not say
        elif error.filename in targets:
            error.filename = targets[error.filename]
        raise


@dataclass(frozen=True)
class _NewFile:
    """A file to be: its bytes are in ``temporary`` until they take the name ``target``.

    ``permissions`` are those of the file that it replaces, ``None`` when there is none.
    """

    target: Path
    temporary: Path
    permissions: int | None

    @classmethod
    def beside(cls, path: str | os.PathLike[str]) -> _NewFile:
        """The file that is to be at ``path``; raises :class:`OSError` where none can be."""
        target = Path(os.path.realpath(path))
        permissions = _permissions(Path(path), target)
        # Not made of the target's name, which may be as long as the system lets it be.
        return cls(target, target.with_name(f".tersor-{os.urandom(4).hex()}.part"), permissions)

    def create(self) -> None:
        """Make the temporary file, empty."""
        # The system applies the umask to a new file; what replaces one that exists is its owner's alone until it is complete.
        self.temporary.touch(0o666 if self.permissions is None else 0o600, exist_ok=False)

    def finish(self) -> None:
        """Give the temporary file the permissions that it is to have."""
        if self.permissions is not None:
            self.temporary.chmod(self.permissions)


def _permissions(path: Path, target: Path) -> int | None:
    """Those of the regular file that ``path`` names, ``None`` when there is none yet; ``target`` is where it lies.

    Raises:
        OSError: something else is there, or no folder to write to.
    """
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no such directory: {target.parent}")
    try:
        # Of the path as given: some links, such as those to a process's open pipes, have no path to resolve to.
        found = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found):
        raise IsADirectoryError(f"{target} is a directory, not a file to write")
    if not stat.S_ISREG(found):
        raise FileExistsError(f"{target} is a pipe, a device or a socket: write to a regular file and copy it from there")
    return found & 0o777
