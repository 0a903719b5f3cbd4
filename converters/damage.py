"""Damaged files of numpy arrays: one error for all that their readers raise."""

from __future__ import annotations

import errno
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from ..format_spec.errors import ConversionError

try:
    from lzma import LZMAError
except ImportError:  # Python may be built without it, and zipfile then says so itself
    LZMAError = zipfile.BadZipFile

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    struct.error,
    tokenize.TokenError,
    EOFError,
    RuntimeError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    OverflowError,
)
"""What zipfile, its decompressors and numpy's parser raise for bytes that are damaged, encrypted or of another kind."""


@contextmanager
def damage_told(where: str, what: str) -> Iterator[None]:
    """Read ``where``, which should be ``what``, in this block, and nothing but read.

    Raises:
        ConversionError: the bytes are damaged or something else.
        OSError: they cannot be read.
    """
    try:
        yield
    except _DAMAGE as error:
        raise ConversionError(f"{where} is not {what}, or damaged: {str(error) or type(error).__name__}") from error
    except OSError as error:
        # Decompressors raise it without a number, and a place before the file's start is an invalid argument to seek.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise ConversionError(f"{where} is not {what}, or damaged: {error}") from error
