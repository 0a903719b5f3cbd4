"""Tensors that stay encoded while the model runs: ``memory="streamed"``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.container import TENSOR, Container
from ...format_spec.errors import PlanError
from ...format_spec.graph import Graph, Tensor, graphs
from ...format_spec.limits import Limits
from ...format_spec.model_file import StoredTensors
from ...format_spec.records import TensorRecord
from ...format_spec.tensors import DenseTensor

if TYPE_CHECKING:
    from ..orders.workers import Workers
    from .coded import CodedTensor
    from .planes import OpenPlanes

KEPT_ENCODED = 1 << 14
"""Bytes from which on a payload is decoded when it is needed, and then again. Smaller ones, biases mostly, are decoded once."""

DECODED_SHARE = 1 / 16
"""Share of a file's bytes of weights, the smallest tensors', that are decoded once as well: first layers have few weights and
many places to bring them to. The executing layout takes three to six times the bytes."""

BLOCKWISE = frozenset({CodecId.SHARED, CodecId.SPARSE, CodecId.PAPER, CodecId.GROUPED})
"""Codecs whose blocks decode on their own."""


@dataclass(frozen=True, eq=False)
class EncodedTensor(DenseTensor):
    """A tensor of a file. Each ``dense()``, each ``decoded()`` decodes it anew; nothing of that is kept."""

    record: TensorRecord
    payload: memoryview
    limits: Limits

    @classmethod
    def of_file(cls, record: TensorRecord, payload: memoryview, limits: Limits) -> EncodedTensor:
        """The tensor that ``payload`` holds."""
        return cls(record.dtype, record.shape, lambda: _decoded(record, payload, limits, None).dense(), record, payload, limits)

    def decoded(self, workers: Workers | None = None) -> Tensor:
        """The tensor as it would be in expanded memory, decoded by all ``workers``."""
        opened = self.blocks
        return _decoded(self.record, self.payload, self.limits, workers) if opened is None else opened.decode(workers)

    @cached_property
    def blocks(self) -> CodedTensor | None:
        """The open payload, kept, when its blocks decode on their own."""
        if self.record.codec not in BLOCKWISE:
            return None
        from .coded import open_coded

        return open_coded(self.record, self.payload, self.limits)

    @cached_property
    def planes(self) -> OpenPlanes | None:
        """The open payload, kept, when it is one of byte planes."""
        if self.record.codec != CodecId.PLANES:
            return None
        from .planes import open_planes

        return open_planes(self.record, self.payload, self.limits)

    @property
    def bytes(self) -> int:
        """Memory that is kept: the payload, and what has been prepared to decode it."""
        return len(self.payload) if self.blocks is None else self.blocks.bytes


def _decoded(record: TensorRecord, payload: memoryview, limits: Limits, workers: Workers | None) -> Tensor:
    from . import decode

    return decode(record, payload, limits, workers)


def keep_encoded(record: TensorRecord, payload: memoryview, limits: Limits, least: int) -> Tensor:
    """What takes the place of a tensor in a graph whose weights are streamed; ``least`` as from :func:`least_encoded`."""
    if len(payload) < least:
        return _decoded(record, payload, limits, None)
    return EncodedTensor.of_file(record, payload, limits)


def least_encoded(container: Container) -> int:
    """Bytes from which on payloads of this file stay encoded."""
    lengths = sorted(section.length for section in container.sections if section.kind == TENSOR)
    fitting = int(np.count_nonzero(np.cumsum(lengths) <= sum(lengths) * DECODED_SHARE))
    some = 0 < fitting < len(lengths)  # all of them where none has a byte
    return max(KEPT_ENCODED, lengths[fitting]) if some else KEPT_ENCODED


def check_streamable(graph: Graph) -> None:
    """Make sure that every tensor can be decoded quickly enough to be decoded in each run.

    Raises:
        PlanError: one cannot.
    """
    for part in graphs(graph):
        if not isinstance(part.initializers, StoredTensors):
            continue
        for name, stored in part.initializers.stored.items():
            if stored.record.codec == CodecId.MIXED:
                raise PlanError(
                    f"tensor {name!r} is in the max profile, which decodes too slowly for memory='streamed': "
                    "repack the file first (tersor repack FILE --profile compact)"
                )
