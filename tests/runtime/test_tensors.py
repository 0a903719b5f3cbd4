"""Tensors of packed files that have graphs, by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tersor.format_spec.errors import LimitError, PlanError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.limits import Limits
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import pack
from tersor.runtime import load_tensors

Y = Value("y", TensorType("float32", (2,)))


def branches(one: str, other: str) -> Graph:
    """``y`` is twice the tensor called ``one``, or ``other``, by a flag."""

    def branch(name: str, value: float) -> Graph:
        tensors = {name: DenseTensor.of(np.full(2, value, np.float32))}
        return Graph("", (), (Y,), (Node("Add", "", (name, name), ("y",)),), tensors)

    node = Node("If", "", ("c",), ("y",), {"then_branch": branch(one, 1), "else_branch": branch(other, 2)})
    return Graph("g", (), (Y,), (node,), {"c": DenseTensor.of(np.array(True))}, {"by": "us"})


def test_tensors_of_subgraphs_are_found(tmp_path: Path):
    pack(branches("a", "b"), tmp_path / "m.tersor")
    with load_tensors(tmp_path / "m.tersor") as tensors:
        assert {name: array.tolist() for name, array in tensors.items()} == {"c": True, "a": [1, 1], "b": [2, 2]}
        assert (len(tensors), "b" in tensors, "d" in tensors) == (3, True, False)
        assert tensors.metadata == {"by": "us"}
        tensors["a"][:] = 7
        assert tensors["a"].tolist() == [1, 1]


def test_two_tensors_of_one_name_cannot_be_told_apart(tmp_path: Path):
    pack(branches("a", "a"), tmp_path / "m.tersor")
    with pytest.raises(PlanError, match="two tensors are called 'a', in different subgraphs"):
        load_tensors(tmp_path / "m.tersor")


def test_limits_hold(tmp_path: Path):
    pack(replace(branches("a", "b"), nodes=(), outputs=()), tmp_path / "m.tersor")
    with pytest.raises(LimitError, match="manifest bytes"):
        load_tensors(tmp_path / "m.tersor", limits=Limits(manifest_bytes=4))
