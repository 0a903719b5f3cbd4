"""Goldens of tensors that are the same as earlier ones: valid files, and the ways in which a reference can be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tersor.format_spec import codecs
from tersor.format_spec.coding import CodecId
from tersor.format_spec.graph import Graph, Node, TensorType, Value, graphs
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor

from .case import SHARED, Case
from .cases import cases
from .writing import parts_of

COPIED = ("raw-no-elements", "raw-own-section", "zstd-own-section", "fill-large", "plain-zstd-periodic", "paper-odd-size")
COPIED += ("shared-odd-size", "sparse-own-section", "grouped-everything", "mixed-rows")
"""Cases whose tensor ``w`` a golden holds again as ``v``."""


def copied() -> dict[str, Case]:
    """The cases, by the names of the goldens that hold their tensors twice."""
    found = cases()
    return {f"same-{name}": found[name] for name in COPIED}


def stored(case: Case) -> tuple[TensorRecord, bytes]:
    """The case's record and payload."""
    tensor = case.tensor()
    payload = codecs.find_codec(case.codec).encode(tensor, **case.parameters)
    return TensorRecord("w", tensor.dtype, tensor.shape, case.row_axes, case.codec), payload


def with_copy(case: Case) -> bytes:
    """The file of a case with its tensor ``w``, and ``v``, which is the same."""
    record, payload = stored(case)
    graph = case.graph()
    both = replace(graph, initializers={"w": case.tensor(), "v": case.tensor()})
    return parts_of(both, [(record, payload), (replace(record, name="v"), 0)]).build()


def branches() -> Graph:
    """An If whose branches hold the same weights under the same name, those of the graph around them being the same, too."""
    weights = DenseTensor.of(np.arange(6, dtype=np.float32))
    y = Value("y", TensorType("float32", (6,)))
    branch = Graph("branch", (), (y,), (Node("Add", "", ("x", "u"), ("y",)),), {"u": weights})
    x, c = Value("x", TensorType("float32", (6,))), Value("c", TensorType("bool", ()))
    node = Node("If", "", ("c",), ("y",), {"else_branch": branch, "then_branch": branch})
    return Graph("branches", (x, c), (y,), (node,), {"w": weights})


def branches_file() -> bytes:
    """:func:`branches`, all tensors but the first being the same as that."""
    names = [name for part in graphs(branches()) for name in part.initializers]
    record = TensorRecord("w", np.dtype("f4"), (6,), (), CodecId.RAW)
    first = (record, np.arange(6, dtype="<f4").tobytes())
    return parts_of(branches(), [first, *((replace(record, name=name), 0) for name in names[1:])]).build()


def wrong_copies() -> Iterator[tuple[str, bytes, str]]:
    """Name, file and message for each defect; ``w`` refers to what it must not."""
    values = np.arange(1, 7, dtype="<f4")
    good = TensorRecord("w", values.dtype, (2, 3), (0,), CodecId.RAW)
    first, payload = replace(good, name="v"), values.tobytes()

    def file(*stored: tuple[TensorRecord, bytes | int]) -> bytes:
        output = Value("w", TensorType("float32", (2, 3)))
        tensors = {record.name: DenseTensor.of(values) for record, _ in stored}
        return parts_of(Graph("g", (), (output,), (), tensors), stored).build()

    yield "same-as-itself", file((first, payload), (good, 1)), "number 1, which is not an earlier one"
    yield "same-as-a-later-tensor", file((good, 1), (first, payload)), "number 1, which is not an earlier one"
    yield "same-as-no-tensor", file((first, payload), (good, (1 << 64) - 1)), f"number {(1 << 64) - 1}, which is not"
    copy = replace(good, name="u")
    yield "same-as-a-copy", file((first, payload), (copy, 0), (good, 1)), "itself the same as another"
    other = "'v' of another type or shape"
    yield "same-of-another-type", file((replace(first, dtype=np.dtype("i4")), payload), (good, 0)), other
    yield "same-of-another-shape", file((replace(first, shape=(3, 2)), payload), (good, 0)), other
    yield "same-of-other-row-axes", file((replace(first, row_axes=(1,)), payload), (good, 0)), other
    unused = np.arange(7, 20, dtype=np.float32)
    case = Case("", SHARED, values.astype("f4").reshape(2, 3), (0,), parameters={"block_majors": 2}, extra=unused)
    again, long = stored(case)
    longer = file((replace(again, name="v"), long), (again, 0))
    yield "same-as-a-payload-longer-than-its-elements", longer, "is longer than its 24 bytes"
