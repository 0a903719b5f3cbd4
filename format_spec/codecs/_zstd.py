"""What the zstd codecs share: one frame that states its content's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zstandard

from ..errors import FormatError

if TYPE_CHECKING:
    from ..records import TensorRecord


def compress(content: bytes, level: int) -> bytes:
    """One frame of ``content``."""
    return zstandard.ZstdCompressor(level=level, write_checksum=False).compress(content)


def decompress(record: TensorRecord, payload: bytes) -> bytes:
    """The frame's content, as many bytes as the tensor has.

    Raises:
        FormatError: the payload is not exactly one frame of that content, or the frame states another size or none.
    """
    try:
        declared = zstandard.frame_content_size(payload)
        if declared != record.dense_bytes:
            stated = "does not state its size" if declared < 0 else f"declares {declared} bytes, not {record.dense_bytes}"
            raise FormatError(f"the zstd frame {stated}", offset=0, tensor=record.name)
        return zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(str(error), tensor=record.name) from error
