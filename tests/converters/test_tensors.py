"""Tensors without a model: in from safetensors, npz and torch; packed; read back by name; out again, bit for bit."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from tersor.converters import from_npz, from_safetensors, tensors_writer, to_npz, to_safetensors
from tersor.converters.tensors_writer import write_npz
from tersor.format_spec.errors import ConversionError, PlanError, UnsupportedOperator
from tersor.format_spec.graph import Graph, Node
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Layer, Recipe, pack
from tersor.runtime import load, load_tensors

RNG = np.random.default_rng(0)
STATE = {
    "conv.weight": RNG.standard_normal((8, 4, 3, 3)).astype(np.float32),
    "conv.bias": RNG.standard_normal(8).astype(np.float32),
    "fc.weight": RNG.standard_normal((16, 40)).astype(np.float32),
    "norm.num_batches_tracked": np.array(7, np.int64),
    "half": RNG.standard_normal((3, 5)).astype(np.float16),
    "empty": np.zeros((0, 4), np.float32),
    "mask": np.array([True, False]),
}


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def graph_of(arrays: dict[str, np.ndarray]) -> Graph:
    return Graph("weights", (), (), (), {name: DenseTensor.of(array) for name, array in arrays.items()}, {"by": "us"})


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_there_and_back(ending: str, tmp_path: Path):
    source, packed, back = tmp_path / f"w{ending}", tmp_path / "w.tersor", tmp_path / f"back{ending}"
    read, write = (from_safetensors, to_safetensors) if ending == ".safetensors" else (from_npz, to_npz)
    if ending == ".safetensors":
        save_file(STATE, source, {"format": "pt"})
    else:
        with source.open("wb") as file:
            write_npz(file, STATE)
    pack(read(source), packed)
    with load_tensors(packed) as tensors:
        assert repr(tensors) == f"StoredArrays(tensors={len(tensors)})"
        assert set(tensors) == set(STATE)
        assert all(same(tensors[name], STATE[name]) for name in STATE)
        assert all(array.flags.writeable and array.flags.owndata for array in tensors.values())
        assert "conv.weight" in tensors
        assert "other" not in tensors
        write(graph_of(dict(tensors)), back)
        assert tensors.metadata == ({"format": "pt"} if ending == ".safetensors" else {})
    found = dict(load_file(back)) if ending == ".safetensors" else dict(np.load(back))
    assert all(same(found[name], STATE[name]) for name in STATE)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", exclude_characters="/\\\0"), min_size=1).filter(lambda n: n != "__metadata__"),
        hnp.arrays(
            st.sampled_from([np.float64, np.int16, np.uint8, np.bool_, np.complex64]), hnp.array_shapes(min_dims=0, min_side=0)
        ),
    )
)
def test_any_tensors_survive_safetensors(arrays: dict[str, np.ndarray]):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.safetensors")
        to_safetensors(graph_of(arrays), path)
        graph = from_safetensors(path)
        assert set(graph.initializers) == set(arrays)
        assert all(same(graph.initializers[name].dense(), array) for name, array in arrays.items())
        assert graph.metadata == {"by": "us"}


def test_tensors_without_a_graph_are_pruned_and_shared_like_torch_layers(tmp_path: Path):
    path = tmp_path / "w.tersor"
    pack(graph_of(STATE), path, Recipe(Layer(bits=3), rules={"fc*": Layer(bits=2, density=0.5)}))
    with load_tensors(path) as tensors:
        assert len(np.unique(tensors["conv.weight"])) <= 8
        assert len(np.unique(tensors["fc.weight"])) <= 5
        assert np.count_nonzero(tensors["fc.weight"]) == 320
        assert same(tensors["conv.bias"], STATE["conv.bias"])


def test_a_closed_file_says_so(tmp_path: Path):
    pack(graph_of(STATE), tmp_path / "w.tersor")
    tensors = load_tensors(tmp_path / "w.tersor")
    tensors.close()
    with pytest.raises(PlanError, match="has been closed"):
        tensors["fc.weight"]


def test_a_file_of_tensors_does_not_run(tmp_path: Path):
    pack(graph_of(STATE), tmp_path / "w.tersor")
    with pytest.raises(PlanError, match="load_tensors"):
        load(tmp_path / "w.tersor")


def test_a_byte_order_of_another_machine_is_turned(tmp_path: Path):
    np.savez(tmp_path / "w.npz", a=np.arange(6, dtype=">f4").reshape(2, 3))
    held = from_npz(tmp_path / "w.npz").initializers["a"]
    assert same(held.dense(), np.arange(6, dtype=np.float32).reshape(2, 3))
    assert held.dtype == np.float32


def write_safetensors(path: Path, kind: str) -> None:
    header = f'{{"t":{{"dtype":"{kind}","shape":[2],"data_offsets":[0,{2 if kind.startswith("F8") else 4}]}}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * (2 if kind.startswith("F8") else 4))


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3"])
def test_types_that_numpy_lacks_are_refused_by_name(kind: str, tmp_path: Path):
    write_safetensors(tmp_path / "w.safetensors", kind)
    with pytest.raises(UnsupportedOperator, match=f"tensor 't' has element type {kind.lower()}"):
        from_safetensors(tmp_path / "w.safetensors")


def test_members_are_told_apart_by_their_whole_names(tmp_path: Path):
    with (tmp_path / "w.npz").open("wb") as file:
        write_npz(file, {"x": np.ones(3), "x.npy": np.zeros(5)})
    found = from_npz(tmp_path / "w.npz").initializers
    assert {name: tensor.dense().shape for name, tensor in found.items()} == {"x": (3,), "x.npy": (5,)}
    with zipfile.ZipFile(tmp_path / "two.npz", "w") as archive:
        for name in ("x.npy", "x"):
            with archive.open(name, "w") as member:
                np.save(member, np.ones(3))
    with pytest.raises(ConversionError, match=r"two\.npz holds two arrays called 'x'"):
        from_npz(tmp_path / "two.npz")


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (to_safetensors, "__metadata__", "keeps the name '__metadata__' for metadata"),
        (to_npz, "a\0b", "ends at its NUL"),
        (to_npz, "a" * 65532, r"tensor 'a{40}'\.\.\. has a name of 65,532 characters"),
        (to_npz, "é" * 32766, "has a name of 32,766 characters"),
    ],
)
def test_names_that_a_file_does_not_hold_are_refused(
    write: Callable[[Graph, Path], None], name: str, message: str, tmp_path: Path
):
    with pytest.raises(ConversionError, match=message):
        write(graph_of({name: np.ones(1)}), tmp_path / "w")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["__metadata__", "a" * 65531, "é/../名"])
def test_names_that_an_archive_holds_come_back(name: str, tmp_path: Path):
    to_npz(graph_of({name: np.arange(3)}), tmp_path / "w.npz")
    assert same(from_npz(tmp_path / "w.npz").initializers[name].dense(), np.arange(3))


def test_a_header_that_safetensors_does_not_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tensors_writer, "_MOST_HEADER_BYTES", 300)
    to_safetensors(graph_of({"a": np.ones(1)}), tmp_path / "w")
    with pytest.raises(ConversionError, match=r"names and metadata take 3.. bytes; safetensors reads 300"):
        to_safetensors(graph_of({"a" * 260: np.ones(1)}), tmp_path / "w")


@pytest.mark.parametrize("write", [to_safetensors, to_npz])
def test_two_tensors_of_one_name_are_refused(write: Callable[[Graph, Path], None], tmp_path: Path):
    body = graph_of({"w": np.zeros(1)})
    branch = Node("If", "", ("c",), ("y",), {"then_branch": body, "else_branch": replace(body, initializers={})})
    with pytest.raises(ConversionError, match="two tensors are called 'w', in different subgraphs"):
        write(replace(graph_of({"w": np.ones(1)}), nodes=(branch,)), tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_types_that_safetensors_lacks_are_refused(tmp_path: Path):
    with pytest.raises(ConversionError, match="tensor 'a' is complex128, which safetensors does not hold"):
        to_safetensors(graph_of({"a": np.ones(1, np.complex128)}), tmp_path / "w")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_arrays_in_every_version_of_numpys_format_are_read(version: tuple[int, int], tmp_path: Path):
    array, data = np.arange(6.0).reshape(2, 3), io.BytesIO()
    np.lib.format.write_array(data, array, version)
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", data.getvalue())
    assert same(from_npz(tmp_path / "w.npz").initializers["a"].dense(), array)


def test_objects_are_refused(tmp_path: Path):
    np.savez(tmp_path / "w.npz", a=np.array([{}], object))
    with pytest.raises(UnsupportedOperator, match="tensor 'a' has element type object"):
        from_npz(tmp_path / "w.npz")


def test_the_archives_are_deterministic(tmp_path: Path):
    for name in ("one", "two"):
        to_npz(graph_of(STATE), tmp_path / f"{name}.npz")
        to_safetensors(graph_of(STATE), tmp_path / f"{name}.safetensors")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
