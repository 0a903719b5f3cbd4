"""Tensors without a model: in from safetensors, npz and torch; packed; read back by name; out again, bit for bit."""

from __future__ import annotations

import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from tersor.converters import from_npz, from_safetensors, to_npz, to_safetensors
from tersor.format_spec.errors import ConversionError, PlanError, UnsupportedOperator
from tersor.format_spec.graph import Graph
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
        np.savez(source, allow_pickle=False, **STATE)
    pack(read(source), packed)
    with load_tensors(packed) as tensors:
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


def test_damage_is_told(tmp_path: Path):
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(ConversionError, match=rf"^{re.escape(str(tmp_path))}.w\.safetensors is not a safetensors file"):
        from_safetensors(tmp_path / "w.safetensors")
    (tmp_path / "w.npz").write_bytes(b"PK nothing")
    with pytest.raises(ConversionError, match=r"w\.npz is not an archive"):
        from_npz(tmp_path / "w.npz")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("a.npy", b"hello")
    with pytest.raises(ConversionError, match=r"text\.npz is not an archive"):
        from_npz(tmp_path / "text.npz")
    with pytest.raises(FileNotFoundError):
        from_safetensors(tmp_path / "absent.safetensors")


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
