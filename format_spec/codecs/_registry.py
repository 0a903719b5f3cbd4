"""How a codec joins the reference: one decorated class, found by walking this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ..discovery import import_modules
from ..errors import FormatError
from ..limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from ..coding import CodecId
    from ..graph import Tensor
    from ..records import TensorRecord


@dataclass(frozen=True)
class Codec:
    """Three functions on one tensor's payload.

    ``encode(tensor, **parameters)`` returns the payload. ``decode(record, payload, limits)`` inverts it.
    ``items(record, payload, limits)`` says how many bytes each category takes; the sum is the payload's length.
    """

    id: CodecId
    encode: Callable[..., bytes]
    decode: Callable[[TensorRecord, bytes, Limits], Tensor]
    items: Callable[[TensorRecord, bytes, Limits], dict[str, int]]


_codecs: dict[int, Codec] = {}


def codec(codec_id: CodecId) -> Callable[[Any], Codec]:
    """Register the static methods ``encode``, ``decode`` and ``items`` of the decorated class under ``codec_id``."""

    def register(namespace: Any) -> Codec:
        if codec_id in _codecs:
            raise RuntimeError(f"codec {codec_id} is registered twice: {namespace.__module__}")
        _codecs[codec_id] = Codec(codec_id, namespace.encode, namespace.decode, namespace.items)
        return _codecs[codec_id]

    return register


@cache
def codecs() -> Mapping[int, Codec]:
    """Every codec, by id."""
    import_modules(__package__)
    return dict(sorted(_codecs.items()))


def find_codec(codec_id: int) -> Codec:
    """The codec of this id; :class:`FormatError` when there is none."""
    found = codecs().get(codec_id)
    if found is None:
        raise FormatError(f"codec {codec_id} is unknown: the file needs a newer Tersor, or is damaged")
    return found


def decode(record: TensorRecord, payload: bytes | memoryview, limits: Limits) -> Tensor:
    """The tensor that ``payload`` holds.

    Raises:
        FormatError: the payload is not valid for the record; ``offset`` counts from the payload's first byte.
        LimitError: the tensor would be larger than ``limits`` allow.
    """
    return find_codec(record.codec).decode(record, bytes(payload), limits)


def items(record: TensorRecord, payload: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> dict[str, int]:
    """Bytes of a valid payload by category: head, codebook, tables, entries, gaps, masks, codes, values.

    Raises:
        FormatError: the payload's structure is not valid; ``offset`` counts from its first byte.
        LimitError: the tensor would be larger than ``limits`` allow.
    """
    return find_codec(record.codec).items(record, bytes(payload), limits)
