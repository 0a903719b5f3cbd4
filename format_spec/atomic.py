"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes ``path`` when the block ends without an error.

    The bytes go to a sibling temporary file, reach the disk, and take the name in one rename: whoever opens ``path`` sees
    the old file or the whole new one, even when this process is killed or the disk is full. A symbolic link stays, and what
    it names is replaced; a file that is replaced leaves its permissions to the new one.

    Raises:
        OSError: ``path`` is a directory, a pipe, a device or a socket, its folder is missing, or it cannot be written.
    """
    target = Path(os.path.realpath(path))
    old = _permissions(Path(path), target)
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
    # The system applies the umask to a new file; what replaces one that exists is its owner's alone until it is complete.
    temporary.touch(0o666 if old is None else 0o600, exist_ok=False)
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if old is not None:
            temporary.chmod(old)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
