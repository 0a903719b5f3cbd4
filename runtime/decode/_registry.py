"""How a decoder joins the runtime: one decorated function for each codec id, found by walking this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from ...format_spec.discovery import import_modules
from ...format_spec.errors import FormatError

if TYPE_CHECKING:
    from ...format_spec.graph import Tensor
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord


class Executor(Protocol):
    """What ranges of blocks are decoded on: an executor of ``concurrent.futures``, or a model's workers."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterable[Any]:
        """``function`` of every item, in their order."""
        ...


Payload: TypeAlias = "bytes | memoryview | np.ndarray"
Decoder: TypeAlias = "Callable[[TensorRecord, np.ndarray, Limits, Executor | None], Tensor]"

_decoders: dict[int, Decoder] = {}


def decoder(*codec_ids: int) -> Callable[[Decoder], Decoder]:
    """Register the decorated function for ``codec_ids``."""

    def register(function: Decoder) -> Decoder:
        for codec_id in codec_ids:
            if codec_id in _decoders:
                raise RuntimeError(f"codec {codec_id} has two decoders: {function.__module__}")
            _decoders[codec_id] = function
        return function

    return register


@cache
def decoders() -> Mapping[int, Decoder]:
    """Every decoder, by codec id."""
    import_modules(__package__)
    return dict(sorted(_decoders.items()))


def byte_array(payload: Payload) -> np.ndarray:
    """A read-only view of ``payload``, (bytes,) uint8: one array type, so that kernels compile once."""
    view = np.frombuffer(payload, np.uint8)
    view.flags.writeable = False
    return view


def decode(record: TensorRecord, payload: Payload, limits: Limits, executor: Executor | None = None) -> Tensor:
    """The tensor that ``payload`` holds; ranges of blocks are decoded on ``executor`` when one is given.

    Raises:
        FormatError: the payload is not valid for the record; ``offset`` counts from the payload's first byte.
        LimitError: the tensor would be larger than ``limits`` allow.
    """
    found = decoders().get(record.codec)
    if found is None:
        raise FormatError(f"codec {record.codec} is unknown: the file needs a newer Tersor, or is damaged")
    return found(record, byte_array(payload), limits, executor)
