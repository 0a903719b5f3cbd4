"""From an open container to a graph whose tensors decode when they are asked for (SPEC.md, section 4.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from .container import MANIFEST, POOL, TENSOR, Container
from .errors import FormatError, LimitError
from .graph import Graph, Tensor
from .limits import Limits
from .manifest import decode_manifest, with_tensors
from .records import Placed, StoredTensor, TensorRecord
from .validate import validate

Decode: TypeAlias = Callable[[TensorRecord, memoryview, Limits], Tensor]


@dataclass(frozen=True)
class StoredTensors(Mapping[str, Tensor]):
    """A graph's tensors by name; each look-up reads and decodes the tensor's payload, and nothing else, anew."""

    container: Container
    stored: Mapping[str, StoredTensor]
    decode: Decode

    def __getitem__(self, name: str) -> Tensor:
        stored = self.stored[name]
        try:
            return self.decode(stored.record, self.payload(name), self.container.limits)
        except FormatError as error:
            section, offset = self.container.section_name(stored.section), error.offset
            if error.section is None and offset is not None:  # a decoder knows only its payload; a checksum is of the file
                offset += self.container.sections[stored.section].offset + stored.offset
            raise FormatError(error.message, offset=offset, section=section, tensor=name) from error
        except MemoryError as error:
            raise LimitError(f"tensor {name!r} asks for more memory than there is") from error

    def payload(self, name: str) -> memoryview:
        """The encoded bytes of one tensor, its section's checksum verified."""
        stored = self.stored[name]
        if not stored.length:
            return memoryview(b"")
        return self.container.section(stored.section)[stored.offset : stored.offset + stored.length]

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


def declared(tensors: Mapping[str, Tensor], name: str) -> Tensor | TensorRecord:
    """What has the element type, the shape and the size of a tensor, without decoding it where it lies in a file."""
    return tensors.stored[name].record if isinstance(tensors, StoredTensors) else tensors[name]


def read_graph(container: Container, decode: Decode) -> Graph:
    """The container's graph, its initializers (subgraphs' too) being :class:`StoredTensors` that use ``decode``.

    Raises:
        FormatError: the manifest is malformed, disagrees with the sections, or its graph is not well formed.
        LimitError: the model is larger than the container's limits allow.
    """
    index = container.find(MANIFEST)
    if index is None:
        raise FormatError("the file has no manifest")
    graph, placed = decode_manifest(container.section(index), container.limits)
    stored = locate(container, placed)
    graph = with_tensors(graph, (StoredTensors(container, tensors, decode) for tensors in stored))
    validate(graph)
    return graph


def locate(container: Container, placed: list[tuple[Placed, ...]]) -> list[dict[str, StoredTensor]]:
    """Where each record's payload lies: where its own does, or that of the earlier record that it is the same as."""
    own = iter(_take(container, (tensor for tensor in chain.from_iterable(placed) if tensor.same is None)))
    located: list[StoredTensor] = []
    for tensor in chain.from_iterable(placed):
        located.append(next(own) if tensor.same is None else _same(tensor.record, located[tensor.same]))
    in_order = iter(located)
    return [{tensor.record.name: next(in_order) for tensor in tensors} for tensors in placed]


def _take(container: Container, placed: Iterable[Placed]) -> list[StoredTensor]:
    """Where the payloads of these records lie: the pool is filled, and sections are used, in their order."""
    pool, manifest = container.find(POOL), container.find(MANIFEST)
    sections = (i for i, s in enumerate(container.sections) if s.kind == TENSOR)
    pooled = 0
    taken: list[StoredTensor] = []
    for tensor in placed:
        if tensor.pooled is None:
            section = next(sections, None)
            offset, length = 0, container.sections[section].length if section is not None else 0
        else:
            section, offset, length = pool, pooled, tensor.pooled
            pooled += length
        if section is None and tensor.pooled == 0:
            section = manifest  # no pool is written for empty payloads alone; nothing is read from here
        if section is None:
            raise FormatError(f"tensor {tensor.record.name!r} has no section", section="manifest")
        taken.append(StoredTensor(tensor.record, section, offset, length))
    if next(sections, None) is not None or pooled != (container.sections[pool].length if pool is not None else 0):
        raise FormatError("sections hold more or less than the manifest's tensors", section="manifest")
    return taken


def _same(record: TensorRecord, first: StoredTensor) -> StoredTensor:
    """``record`` with the payload of ``first``, which is no longer than the elements, so that their number bounds the work."""
    if first.length > record.dense_bytes:
        longer = f"whose payload of {first.length:,} bytes is longer than its {record.dense_bytes:,} bytes of elements"
        raise FormatError(f"tensor {record.name!r} is the same as {first.record.name!r}, {longer}", section="manifest")
    return replace(first, record=record, same_as=first.record.name)
