"""Tensors that are equal are in the file once."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.container import ALIGNED_FROM, TENSOR, open_container
from tersor.format_spec.graph import Graph, Node, TensorType, Value, graphs
from tersor.format_spec.model_file import StoredTensors, read_graph
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Layer, Recipe, pack
from tersor.packer.payloads import SAMPLED, PayloadWriter
from tersor.packer.repack import repack
from tersor.packer.report import report_file
from tersor.runtime import load, load_tensors
from tersor.runtime.decode import decode

from ..golden.writing import parts_of

RECIPES = {
    **{profile: Recipe.lossless(profile) for profile in ("compact", "paper", "max")},
    "lossy": Recipe(fc=Layer(bits=4, density=0.3)),
}


def same_as(path: Path) -> dict[str, str | None]:
    """Which earlier tensor each tensor of a file without equal names is the same as."""
    found: dict[str, str | None] = {}
    with open_container(path) as container:
        for part in graphs(read_graph(container, decode)):
            assert isinstance(part.initializers, StoredTensors)
            found |= {name: stored.same_as for name, stored in part.initializers.stored.items()}
    return found


def branches(one: np.ndarray, other: np.ndarray) -> Graph:
    """An If whose branches multiply by weights of the same and add biases of the same; ``else`` comes first in the file."""

    def branch(which: str, array: np.ndarray) -> Graph:
        nodes = (Node("MatMul", "", ("x", f"{which}_w"), ("h",)), Node("Add", "", ("h", f"{which}_b"), ("z",)))
        tensors = {f"{which}_w": array, f"{which}_b": array[0].copy()}
        output = Value("z", TensorType("float32", None))
        return Graph("branch", (), (output,), nodes, {name: DenseTensor.of(a) for name, a in tensors.items()})

    choice = Node("If", "", ("c",), ("y",), {"then_branch": branch("then", one), "else_branch": branch("else", other)})
    values = Value("c", TensorType("bool", ())), Value("x", TensorType("float32", ("N", len(one))))
    return Graph("g", values, (Value("y", TensorType("float32", None)),), (choice,))


def weights() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((90, 60)).astype(np.float32)


@pytest.mark.parametrize("how", RECIPES)
def test_branches_share_their_weights(tmp_path: Path, how: str) -> None:
    path, apart = tmp_path / "same.tersor", tmp_path / "apart.tersor"
    report = pack(branches(weights(), weights()), path, RECIPES[how], threads=1)
    assert same_as(path) == {"else_w": None, "else_b": None, "then_w": "else_w", "then_b": "else_b"}
    pack(branches(weights(), weights()), apart, RECIPES[how], threads=3)
    assert path.read_bytes() == apart.read_bytes()
    sizes = {tensor.name: tensor.packed_bytes for tensor in report.tensors}
    assert (sizes["then_w"], sizes["then_b"]) == (0, 0)
    twice = pack(branches(weights(), np.roll(weights(), 1)), apart, RECIPES[how]).file_bytes
    assert report.file_bytes < twice - 0.9 * sizes["else_w"]
    assert sum(report.items.values()) == report.file_bytes == path.stat().st_size
    assert report_file(path).items == report.items
    x = np.random.default_rng(1).standard_normal((3, 90)).astype(np.float32)
    for memory in ("expanded", "streamed") if how != "max" else ("expanded",):
        with load(path, memory=memory) as model:
            found = [model.run({"c": np.array(c), "x": x})["y"] for c in (True, False)]
        np.testing.assert_array_equal(found[0], found[1])


def test_tensors_stay_the_same_in_every_profile(tmp_path: Path) -> None:
    path = tmp_path / "a.tersor"
    pack(branches(np.round(weights()), np.round(weights())), path)
    before = path.read_bytes()
    with load_tensors(path) as tensors:
        values = {name: tensor.tobytes() for name, tensor in tensors.items()}
    assert values["then_w"] == np.round(weights()).tobytes()
    for profile in ("max", "paper", "compact"):
        repack(path, path, profile)
        assert same_as(path) == {"else_w": None, "else_b": None, "then_w": "else_w", "then_b": "else_b"}
        with load_tensors(path) as tensors:
            assert {name: tensor.tobytes() for name, tensor in tensors.items()} == values
    assert path.read_bytes() == before


def test_only_what_is_equal_is_shared(tmp_path: Path) -> None:
    path, array = tmp_path / "a.tersor", weights()
    tensors = {
        "first": array,
        "again": array.copy(),
        "turned": array.reshape(60, 90),
        "integers": array.view(np.int32),
        "other": np.where(np.arange(60) == 59, np.nextafter(array, np.float32(9)), array),
        "small": np.array([0.1], np.float32),
        "as_small": np.array([0.1], np.float32),
        "third": array.copy(),
    }
    pack(Graph("weights alone", (), (), (), {name: DenseTensor.of(a) for name, a in tensors.items()}), path)
    assert same_as(path) == dict.fromkeys(tensors) | {"again": "first", "third": "first"}
    with load_tensors(path) as found:
        assert {name: a.tobytes() for name, a in found.items()} == {name: a.tobytes() for name, a in tensors.items()}


LENGTHS = (0, 7, 8, 100, ALIGNED_FROM - 1, ALIGNED_FROM, 3 * SAMPLED, 3 * SAMPLED + 1)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(LENGTHS), st.integers(0, 2), st.booleans()), max_size=12))
def test_every_payload_is_found_again(choices: list[tuple[int, int, bool]]) -> None:
    """Payloads that differ in one byte at most, which no sample may show, in sections and in the pool."""
    payloads = []
    for length, value, last in choices:
        payload = bytearray(length)
        if length:
            payload[-1 if last else length // 2 + 1 & -2] = value
        payloads.append(bytes(payload))
    file, records = io.BytesIO(), {}
    writer = PayloadWriter(file)
    for number, payload in enumerate(payloads):
        record = TensorRecord(f"t{number}", np.dtype("u1"), (len(payload),), (), 1)
        writer.add(record, payload)
        records[record.name] = DenseTensor.of(np.frombuffer(payload, np.uint8))
    graph = replace(Graph("", (), (), ()), initializers=records)
    writer.finish(graph)
    with open_container(file.getvalue()) as container:
        tensors = read_graph(container, decode).initializers
        assert [tensor.dense().tobytes() for tensor in tensors.values()] == payloads
        large = [section.length for section in container.sections if section.kind == TENSOR]
    assert len(large) <= len([payload for payload in payloads if len(payload) >= ALIGNED_FROM])
    named = [TensorRecord(name, np.dtype("u1"), tensor.shape, (), 1) for name, tensor in records.items()]
    assert len(file.getvalue()) <= len(parts_of(graph, list(zip(named, payloads, strict=True))).build())
