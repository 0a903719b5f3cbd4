"""What packing did: the paper's table beside the real bytes of the file, itemised to the last byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ..format_spec.codecs import items
from ..format_spec.coded_head import read_head
from ..format_spec.coding import CodecId
from ..format_spec.container import HEADER_BYTES, MANIFEST, Container, Source, open_container
from ..format_spec.graph import graphs
from ..format_spec.limits import DEFAULT_LIMITS, Limits
from ..format_spec.model_file import StoredTensors, read_graph
from ..format_spec.tensors import SharedTensor
from .accounting import AccountTotal, LayerAccount, account_dense, account_pruned, account_shared
from .encode._forms import distinct
from .error import TensorError
from .weights import Weight, find_weights


@dataclass(frozen=True)
class TensorReport:
    """One tensor of the file.

    ``kind`` is ``conv``, ``fc`` or ``table`` for weights and ``other`` for the rest, which the paper does not count
    (``account`` is ``None``). ``items`` are its bytes in the file by category: ``codes``, ``gaps``, ``codebook``, ``tables``
    (Huffman tables), and others by their own names; a tensor that is the same as an earlier one has none. ``error`` is ``None``
    where the source is not known.
    """

    name: str
    kind: str
    dtype: str
    shape: tuple[int, ...]
    items: Mapping[str, int]
    account: LayerAccount | None = None
    error: TensorError | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def dense_bytes(self) -> int:
        """Bytes of the tensor unpacked, in its own type."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def packed_bytes(self) -> int:
        """Bytes of the tensor in the file."""
        return sum(self.items.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; rates are fractions of the dense size."""
        account = self.account
        paper = account and {
            "nonzeros": account.nonzeros,
            "fillers": account.fillers,
            "density": account.density,
            "weight_bits": account.weight_bits,
            "weight_bits_huffman": account.huffman_weight_bits,
            "index_bits": account.index_bits,
            "index_bits_huffman": account.huffman_index_bits,
            "rate_pq": account.pq_rate,
            "rate_pqh": account.pqh_rate,
        }
        return {
            "name": self.name,
            "kind": self.kind,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "dense_bytes": self.dense_bytes,
            "packed_bytes": self.packed_bytes,
            "items": dict(self.items),
            "paper": paper,
            "relative_error": self.error and self.error.relative,
            "largest_error": self.error and self.error.largest,
        }


@dataclass(frozen=True, repr=False)
class PackReport:
    """What :func:`~tersor.packer.pack` wrote. ``print``, or a notebook, shows the paper's table with the real bytes beside it.

    ``overhead`` are the bytes of the file that belong to no tensor, by name (``header``, ``manifest``, ``padding``, ...).

    Raises:
        ValueError: tensors and overhead do not add up to ``file_bytes``.
    """

    profile: str
    file_bytes: int
    tensors: tuple[TensorReport, ...]
    overhead: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold the itemisation to the file's size."""
        itemised = sum(t.packed_bytes for t in self.tensors) + sum(self.overhead.values())
        if itemised != self.file_bytes:
            raise ValueError(f"the items add up to {itemised:,} bytes, the file has {self.file_bytes:,}")

    @property
    def dense_bytes(self) -> int:
        """Bytes of all tensors unpacked, each in its own type."""
        return sum(t.dense_bytes for t in self.tensors)

    @property
    def ratio(self) -> float:
        """How many times smaller the file is than its tensors unpacked."""
        return self.dense_bytes / self.file_bytes

    @property
    def paper(self) -> AccountTotal:
        """The total row by the paper's formula: weights only."""
        return AccountTotal.of(t.account for t in self.tensors if t.account is not None)

    @property
    def items(self) -> dict[str, int]:
        """The file's bytes by category, tensors and overhead together."""
        total: dict[str, int] = {}
        for part in (*(t.items for t in self.tensors), self.overhead):
            for category, count in part.items():
                total[category] = total.get(category, 0) + count
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "profile": self.profile,
            "file_bytes": self.file_bytes,
            "dense_bytes": self.dense_bytes,
            "ratio": self.ratio,
            "paper": {"density": self.paper.density, "rate_pq": self.paper.pq_rate, "rate_pqh": self.paper.pqh_rate},
            "items": self.items,
            "overhead": dict(self.overhead),
            "tensors": [t.to_dict() for t in self.tensors],
        }

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from .report_table import render

        return render(self)


def report_file(
    source: Source,
    errors: Sequence[TensorError] | None = None,
    *,
    index_bits: int = 5,
    limits: Limits = DEFAULT_LIMITS,
) -> PackReport:
    """The report of a file: a path, its bytes, or a binary file object; every tensor is decoded once.

    ``errors`` are those of the tensors, in the manifest's order, where their sources are known; ``index_bits`` is the width of
    a gap in the paper's formula, but for tensors that are stored with such gaps, whose own width counts.

    Raises:
        FormatError: the file is damaged.
        LimitError: it asks for more than ``limits`` allow.
        UnsupportedOperator: the runtime does not know an operator of its graph.
        OSError: it cannot be read.
    """
    from ..runtime.decode import decode

    with open_container(source, limits) as container:
        graph = read_graph(container, decode)
        weights = find_weights(graph)
        parts = [(part, part.initializers) for part in graphs(graph) if isinstance(part.initializers, StoredTensors)]
        places = [(stored, name, weights.get((part, name))) for part, stored in parts for name in stored]
        tensors = tuple(
            _report_tensor(stored, name, weight, error, index_bits)
            for (stored, name, weight), error in zip(places, errors or [None] * len(places), strict=True)
        )
        used = {stored.stored[name].record.codec for stored, name, _ in places}
        return PackReport(_profile(used), container.length, tensors, _overhead(container))


def _profile(used: set[int]) -> str:
    """The least profile whose codecs hold the file: a ``max`` file that gained nothing from its own codec is a compact one."""
    return "max" if CodecId.MIXED in used else "paper" if CodecId.PAPER in used else "compact"


def _report_tensor(
    tensors: StoredTensors, name: str, weight: Weight | None, error: TensorError | None, index_bits: int
) -> TensorReport:
    stored = tensors.stored[name]
    record = stored.record
    counted = {} if stored.same_as is not None else items(record, tensors.payload(name), tensors.container.limits)
    account = _account(tensors, name, index_bits) if weight else None
    kind = weight.kind if weight else "other"
    return TensorReport(name, kind, record.dtype.name, record.shape, counted, account, error)


def _account(tensors: StoredTensors, name: str, index_bits: int) -> LayerAccount:
    tensor, record = tensors[name], tensors.stored[name].record
    if isinstance(tensor, SharedTensor):
        return account_shared(name, distinct(tensor), _gap_width(tensors, name) or index_bits)
    if record.codec == CodecId.FILL:
        # Counted without spreading the one element out: a few bytes may stand for gigabytes.
        is_zero = not np.frombuffer(tensors.payload(name), record.dtype.newbyteorder("<"))[0]
        return account_dense(name, tensor, 0 if is_zero else tensor.size)
    array = tensor.dense()
    whole = account_dense(name, tensor, int(np.count_nonzero(array)))
    if whole.nonzeros == whole.weights:
        return whole
    return min(whole, account_pruned(name, array, index_bits), key=lambda account: account.pq_bits)


def _gap_width(tensors: StoredTensors, name: str) -> int:
    """Bits of the gaps that the paper's codec stored; 0 for another codec."""
    record = tensors.stored[name].record
    return read_head(record, tensors.payload(name)).width if record.codec == CodecId.PAPER else 0


def _overhead(container: Container) -> dict[str, int]:
    """Bytes outside tensors: header, section table, manifest, padding."""
    padding = sum(section.padding for section in container.sections)
    manifest = sum(section.length for section in container.sections if section.kind == MANIFEST)
    table = container.overhead - padding - HEADER_BYTES
    return {"header": HEADER_BYTES, "section table": table, "manifest": manifest, "padding": padding}
