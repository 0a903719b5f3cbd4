from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tersor.format_spec.coding import CodecId
from tersor.format_spec.errors import FormatError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Layer, Recipe, pack
from tersor.packer.report import _profile, report_file

SHAPES = {"w": (60, 50), "b": (50,), "middle_w": (50, 20), "else_w": (20, 50)}


@pytest.fixture
def graph() -> Graph:
    generator = np.random.default_rng(0)
    tensors = {name: DenseTensor.of(generator.standard_normal(shape).astype(np.float32)) for name, shape in SHAPES.items()}
    nodes = (
        Node("Gemm", "first", ("x", "w", "b"), ("h",)),
        Node("MatMul", "middle", ("h", "middle_w"), ("k",)),
        Node("MatMul", "last", ("k", "else_w"), ("y",)),
    )
    values = {name: Value(name, TensorType("float32", (1, size))) for name, size in (("x", 60), ("y", 50))}
    return Graph("g", (values["x"],), (values["y"],), nodes, tensors)


@pytest.mark.parametrize("profile", ["compact", "paper"])
def test_a_file_is_itemised_to_the_last_byte(graph: Graph, tmp_path: Path, profile: str):
    recipe = Recipe(fc=Layer(bits=4, density=0.25), rules={"else_*": Layer()}, profile=profile)
    packed = pack(graph, tmp_path / "g.tersor", recipe)
    read = report_file(tmp_path / "g.tersor")
    assert read.file_bytes == (tmp_path / "g.tersor").stat().st_size == sum(read.items.values())
    assert read.profile == profile
    assert {tensor.name: tensor.kind for tensor in read.tensors} == {
        "w": "fc",
        "b": "other",
        "middle_w": "fc",
        "else_w": "fc",
    }
    found = {tensor.name: tensor for tensor in read.tensors}
    account = found["w"].account
    assert account is not None
    assert (account.weights, account.nonzeros, account.weight_bits) == (3000, 750, 4)
    assert found["else_w"].account is not None
    assert found["b"].account is None
    assert packed.items == read.items
    assert [tensor.account for tensor in packed.tensors] == [tensor.account for tensor in read.tensors]


def test_errors_are_known_only_when_packing(graph: Graph, tmp_path: Path):
    packed = pack(graph, tmp_path / "g.tersor", Recipe(fc=Layer(bits=4, density=0.25), rules={"else_*": Layer()}))
    errors = {tensor.name: tensor.error for tensor in packed.tensors}
    assert errors["w"] is not None
    assert 0.1 < errors["w"].relative < 1
    assert errors["else_w"] is not None
    assert errors["else_w"].largest == 0
    assert all(tensor.error is None for tensor in report_file(tmp_path / "g.tersor").tensors)


def test_the_width_of_a_gap_changes_only_the_papers_figures(graph: Graph, tmp_path: Path):
    pack(graph, tmp_path / "g.tersor", Recipe(fc=Layer(bits=4, density=0.25)))
    narrow, wide = (report_file(tmp_path / "g.tersor", index_bits=bits) for bits in (2, 6))
    assert narrow.items == wide.items
    assert narrow.tensors[0].account != wide.tensors[0].account


def test_gaps_that_are_stored_have_their_own_width(graph: Graph, tmp_path: Path):
    packed = pack(graph, tmp_path / "g.tersor", Recipe(fc=Layer(bits=4, density=0.25), profile="paper", index_bits=8))
    read = report_file(tmp_path / "g.tersor")
    accounts = [tensor.account for tensor in read.tensors]
    assert accounts == [tensor.account for tensor in packed.tensors]
    assert {account.index_bits for account in accounts if account is not None} == {8}


def test_a_damaged_file_is_refused(graph: Graph, tmp_path: Path):
    pack(graph, tmp_path / "g.tersor", Recipe())
    data = bytearray((tmp_path / "g.tersor").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "g.tersor").write_bytes(data)
    with pytest.raises(FormatError):
        report_file(tmp_path / "g.tersor")


def test_the_profile_is_read_from_the_codecs_in_use():
    assert _profile({CodecId.RAW, CodecId.SPARSE}) == "compact"
    assert _profile({CodecId.RAW, CodecId.PAPER}) == "paper"
    assert _profile({CodecId.GROUPED, CodecId.MIXED}) == "max"
