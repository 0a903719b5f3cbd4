"""The valid goldens: unchanged, and read by the reference and by the runtime to what they were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tersor.format_spec.codecs import codecs
from tersor.format_spec.container import POOL, TENSOR, open_container
from tersor.format_spec.graph import Graph, Tensor, graphs
from tersor.format_spec.model_file import StoredTensors, read_graph
from tersor.format_spec.records import DTYPE_IDS
from tersor.format_spec.reference import decode_file
from tersor.runtime import load
from tersor.runtime.decode import decode

from .cases import cases
from .copies import branches, copied
from .graphs import GRAPHS, PROFILES, network
from .make import SUMS

FOLDER = Path(__file__).parent / "valid"
CASES = cases()
COPIED = copied()


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.tersor"


def by_runtime(path: Path) -> Graph:
    """As ``decode_file``, every tensor decoded by the jitted twins."""
    with open_container(path) as container:
        graph = read_graph(container, decode)
        for part in graphs(graph):
            tensors: dict[str, Tensor] = dict(part.initializers.items())
            object.__setattr__(part, "initializers", tensors)
        return graph


READERS: dict[str, Callable[[Path], Graph]] = {"reference": decode_file, "runtime": by_runtime}


def bits(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def test_no_golden_has_changed() -> None:
    listed = dict(line.split("  ")[::-1] for line in (FOLDER / SUMS).read_text("utf-8").splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.tersor")}
    assert found == listed
    copies = {*COPIED, "same-in-branches"}
    assert {Path(name).stem for name in found} == {*CASES, *copies, *GRAPHS, *(f"profile-{p}" for p in PROFILES)}


def test_every_codec_and_element_type_has_goldens() -> None:
    assert {case.codec for case in CASES.values()} == set(codecs())
    for codec in ("RAW", "SHUFFLED_ZSTD", "FILL"):
        assert {c.array.dtype.name for c in CASES.values() if c.codec.name == codec} >= set(DTYPE_IDS)


def test_payloads_lie_in_the_pool_and_in_sections_of_their_own() -> None:
    kinds = set()
    for path in FOLDER.glob("*.tersor"):
        with open_container(path) as container:
            kinds |= {section.kind for section in container.sections}
    assert kinds > {POOL, TENSOR}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", CASES)
def test_tensors_come_back_bit_for_bit(name: str, reader: str) -> None:
    tensor = READERS[reader](path_of(name)).initializers["w"]
    assert bits(tensor.dense()) == bits(CASES[name].array)


@pytest.mark.parametrize("name", CASES)
def test_the_record_says_the_codec(name: str) -> None:
    with open_container(path_of(name)) as container:
        tensors = read_graph(container, decode).initializers
        assert isinstance(tensors, StoredTensors)
        assert tensors.stored["w"].record.codec == CASES[name].codec


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", COPIED)
def test_a_tensor_is_the_same_as_an_earlier_one(name: str, reader: str) -> None:
    for tensor in READERS[reader](path_of(name)).initializers.values():
        assert bits(tensor.dense()) == bits(COPIED[name].array)
    with open_container(path_of(name)) as container:
        tensors = read_graph(container, decode).initializers
        assert isinstance(tensors, StoredTensors)
        first, copy = tensors.stored["w"], tensors.stored["v"]
        assert (first.same_as, copy.same_as) == (None, "w")
        assert first.record.codec == copy.record.codec == COPIED[name].codec
        assert bytes(tensors.payload("w")) == bytes(tensors.payload("v"))


@pytest.mark.parametrize("reader", READERS)
def test_tensors_of_subgraphs_are_the_same_as_earlier_ones(reader: str) -> None:
    assert_same_graph(READERS[reader](path_of("same-in-branches")), branches())


def assert_same_graph(found: Graph, expected: Graph) -> None:
    for field in ("name", "inputs", "outputs", "metadata", "opset"):
        assert getattr(found, field) == getattr(expected, field), field
    assert list(found.initializers) == list(expected.initializers)
    for name, tensor in expected.initializers.items():
        assert bits(found.initializers[name].dense()) == bits(tensor.dense())
    assert len(found.nodes) == len(expected.nodes)
    for node, want in zip(found.nodes, expected.nodes, strict=True):
        assert (node.op_type, node.name, node.inputs, node.outputs) == (want.op_type, want.name, want.inputs, want.outputs)
        assert list(node.attributes) == sorted(want.attributes)
        for key, value in want.attributes.items():
            if isinstance(value, Graph):
                assert_same_graph(node.attributes[key], value)  # pyright: ignore[reportArgumentType]
            elif isinstance(value, np.ndarray):
                assert bits(np.asarray(node.attributes[key])) == bits(value)
            else:
                assert (type(node.attributes[key]), node.attributes[key]) == (type(value), value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_come_back_whole(name: str, reader: str) -> None:
    assert_same_graph(READERS[reader](path_of(name)), GRAPHS[name]())


@pytest.mark.parametrize("profile", PROFILES)
def test_packed_networks_hold_their_weights_and_run(profile: str) -> None:
    expected = network()
    path = path_of(f"profile-{profile}")
    for read in READERS.values():
        assert_same_graph(read(path), expected)
    x = (np.arange(80, dtype=np.float32).reshape(2, 40) - 40) / 16
    w1, b1, w2 = (expected.initializers[name].dense().astype(np.float64) for name in ("w1", "b1", "w2"))
    with load(path, threads=1) as model:
        y = model.run({"x": x})["y"]
    np.testing.assert_allclose(y, np.maximum(x @ w1.T + b1, 0) @ w2.T, rtol=1e-5, atol=1e-4)
