"""What is fuzzed. A target takes any bytes and returns how far they got; whatever else it does is a bug.

``file``    container, manifest and graph, then every tensor by both decoders, their outcomes being the same
``codec-N`` a record and a payload for codec N, in bytes of their own (see :func:`read_input`), by both decoders
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tersor.format_spec import codecs
from tersor.format_spec.container import Container
from tersor.format_spec.errors import FormatError, LimitError
from tersor.format_spec.graph import Graph, Tensor, graphs
from tersor.format_spec.limits import Limits
from tersor.format_spec.model_file import StoredTensors, read_graph
from tersor.format_spec.records import DTYPE_IDS, TensorRecord
from tersor.format_spec.tensors import SharedTensor
from tersor.runtime.decode import decode

LIMITS = Limits(manifest_bytes=1 << 16, sections=64, items=1 << 13, nodes=1 << 10, tensor_bytes=1 << 15, decoded_bytes=1 << 17)
"""Small, so that inputs which ask for much are refused at once and memory stays flat."""

DTYPES = tuple(DTYPE_IDS)

Outcome: TypeAlias = str
Payload: TypeAlias = "bytes | memoryview"
Target: TypeAlias = Callable[[bytes], Outcome]


@dataclass
class Unequal(Exception):
    """The reference and the jitted decoder disagree."""

    record: TensorRecord
    reference: object
    jitted: object


def outcome(decoder: Callable[[TensorRecord, Any, Limits], Tensor], record: TensorRecord, payload: Payload) -> Tensor | type:
    """The tensor, its elements read, or the class of the error."""
    try:
        tensor = decoder(record, payload, LIMITS)
        if not isinstance(tensor, SharedTensor):
            tensor.dense()
        return tensor
    except (FormatError, LimitError) as error:
        return type(error)


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are of the same form, bit for bit."""
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    if not isinstance(first, SharedTensor) or not isinstance(second, SharedTensor):
        whole = not isinstance(first, SharedTensor) and not isinstance(second, SharedTensor)
        return whole and first.dense().tobytes() == second.dense().tobytes()
    if (first.order, first.row_axes) != (second.order, second.row_axes):
        return False
    for name in ("starts", "minors", "codes", "codebook"):
        one, other = getattr(first, name), getattr(second, name)
        if (one is None) != (other is None) or (
            one is not None and (one.dtype, one.tobytes()) != (other.dtype, other.tobytes())
        ):
            return False
    return True


def compare(record: TensorRecord, payload: Payload) -> Outcome:
    """Decode twice.

    Raises:
        Unequal: the outcomes differ.
    """
    reference, jitted = outcome(codecs.decode, record, payload), outcome(decode, record, payload)
    if isinstance(reference, type) or isinstance(jitted, type):
        if reference is not jitted:
            raise Unequal(record, reference, jitted)
        return reference.__name__ if isinstance(reference, type) else "?"
    if not same(reference, jitted):
        raise Unequal(record, reference, jitted)
    return "decoded"


def fuzz_file(data: bytes) -> Outcome:
    """A whole file: where it ended, ``"container: ..."``, ``"manifest: ..."`` or, past the reader, ``"tensors: ..."``."""
    try:
        container = Container(memoryview(data), LIMITS)
    except (FormatError, LimitError) as error:
        return f"container: {type(error).__name__}"
    try:
        graph = read_graph(container, decode)
    except (FormatError, LimitError) as error:
        return f"manifest: {type(error).__name__}"
    return f"tensors: {_fuzz_tensors(graph)}"


def _fuzz_tensors(graph: Graph) -> Outcome:
    for part in graphs(graph):
        assert isinstance(part.initializers, StoredTensors)
        for name, stored in part.initializers.stored.items():
            try:
                payload = part.initializers.payload(name)
            except FormatError as error:
                return type(error).__name__
            found = compare(stored.record, payload)
            if found != "decoded":
                return found
    return "decoded"


def read_input(codec: int, data: bytes) -> tuple[TensorRecord, bytes] | None:
    """A record and a payload: element type, rank and row axes, sides, then the payload."""
    if len(data) < 6:
        return None
    rank = data[1] & 3
    row_axes = tuple(axis for axis in range(rank) if data[1] >> (4 + axis) & 1)
    shape = tuple(data[2 : 2 + rank])
    record = TensorRecord("w", np.dtype(DTYPES[data[0] % len(DTYPES)]), shape, row_axes, codec)
    return record, data[6:]


def write_input(record: TensorRecord, payload: bytes) -> bytes | None:
    """The bytes that :func:`read_input` reads, or ``None`` when the record's shape cannot be said in them."""
    if len(record.shape) > 3:
        record = TensorRecord("w", record.dtype, (record.rows, record.columns), (0,), record.codec)
    sides = list(record.shape)
    if any(side > 255 for side in sides) or record.dense_bytes > LIMITS.tensor_bytes:
        return None
    axes = sum(16 << axis for axis in record.row_axes)
    head = [DTYPES.index(record.dtype.name), len(record.shape) | axes, *sides, *[0] * (4 - len(sides))]
    return bytes(head) + payload


def codec_target(codec: int) -> Target:
    """The target of one codec."""

    def fuzz(data: bytes) -> Outcome:
        found = read_input(codec, data)
        return "short" if found is None else compare(*found)

    return fuzz


def targets() -> Mapping[str, Target]:
    """Every target, by name."""
    return {"file": fuzz_file} | {f"codec-{codec}": codec_target(codec) for codec in codecs.codecs()}


def seeds(name: str, folder: Path) -> list[bytes]:
    """Inputs to start from, taken from the golden files below ``folder``, the valid ones three times as often."""
    valid, invalid = ([path.read_bytes() for path in sorted((folder / kind).glob("*.tersor"))] for kind in ("valid", "invalid"))
    files = valid * 3 + invalid
    if name == "file":
        return [data for data in files if len(data) < 6000]
    return [found for data in files for found in _codec_seeds(int(name.removeprefix("codec-")), data)]


def _codec_seeds(codec: int, data: bytes) -> list[bytes]:
    found: list[bytes | None] = []
    try:
        for part in graphs(read_graph(Container(memoryview(data), Limits()), decode)):
            assert isinstance(part.initializers, StoredTensors)
            for name, stored in part.initializers.stored.items():
                if stored.record.codec == codec:
                    found.append(write_input(stored.record, bytes(part.initializers.payload(name))))
    except (FormatError, LimitError):
        return []
    return [data for data in found if data is not None and len(data) < 6000]
