"""From a graph to a file and back, and what happens when that cannot be done."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import ConversionError, FormatError, LimitError, RecipeError, UnsupportedOperator
from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value, graphs
from tersor.format_spec.limits import Limits
from tersor.format_spec.reference import decode_file
from tersor.format_spec.tensors import DenseTensor, SharedTensor
from tersor.packer import Layer, Recipe, pack
from tersor.packer.error import TensorError
from tersor.packer.packing import _in_order
from tersor.runtime import load


def linear(weights: np.ndarray, bias: np.ndarray | None = None, **more: np.ndarray) -> Graph:
    """y = x Wᵀ + b, with further unused tensors."""
    tensors = {"w": weights} | ({} if bias is None else {"b": bias}) | more
    inputs = ("x", "w") if bias is None else ("x", "w", "b")
    return Graph(
        "linear",
        (Value("x", TensorType("float32", ("N", weights.shape[1]))),),
        (Value("y", TensorType("float32", ("N", weights.shape[0]))),),
        (Node("Gemm", "fc", inputs, ("y",), {"transB": 1}),),
        {name: DenseTensor.of(array) for name, array in tensors.items()},
        {"author": "tests"},
    )


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def bits(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


arrays = st.builds(
    lambda dtype, shape, seed, few: (
        np.random.default_rng(seed).integers(0, few, shape).astype(dtype)
        if few
        else (np.random.default_rng(seed).standard_normal(shape) * 50).astype(dtype)
    ),
    st.sampled_from(["float32", "float16", "float64", "int64", "int8", "uint16", "bool", "complex128"]),
    st.lists(st.integers(0, 7), max_size=3).map(tuple),
    st.integers(0, 99),
    st.sampled_from([0, 1, 2, 5]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(arrays, max_size=5), st.sampled_from(["compact", "paper", "max"]))
def test_lossless_is_bitwise(tmp_path_factory: pytest.TempPathFactory, tensors: list[np.ndarray], profile: str):
    path = tmp_path_factory.mktemp("lossless") / "a.tersor"
    weights = np.array([[0.0, -0.0, np.nan, np.inf], [1.5, 1.5, 0.0, 0.0]], np.float32)
    graph = linear(weights, **{f"t{i}": array for i, array in enumerate(tensors)})
    report = pack(graph, path, Recipe.lossless(profile))
    assert report.file_bytes == path.stat().st_size
    for name, tensor in decode_file(path).initializers.items():
        assert bits(tensor.dense()) == bits(graph.initializers[name].dense()), name
    with load(path) as model:
        assert model.metadata["author"] == "tests"


@pytest.mark.parametrize("profile", ["compact", "paper"])
@pytest.mark.parametrize("layer", [Layer(bits=5, density=0.1), Layer(bits=3), Layer(density=0.3), Layer(bits=8, quality=0.5)])
def test_file_runs_as_its_decoded_weights_say(tmp_path: Path, layer: Layer, profile: str):
    path = tmp_path / "a.tersor"
    report = pack(linear(normal(40, 70), normal(40, seed=1)), path, Recipe(fc=layer, profile=profile))
    decoded = decode_file(path)
    w, b = decoded.initializers["w"].dense(), decoded.initializers["b"].dense()
    if layer.bits is not None:
        assert len(np.unique(w[w != 0])) <= 2**layer.bits
    if layer.pruning is not None and layer.pruning[0] == "density":
        assert np.count_nonzero(w) == round(layer.pruning[1] * w.size)
    x = normal(3, 70, seed=2)
    with load(path) as model:
        np.testing.assert_allclose(model.run({"x": x})["y"], x @ w.T + b, rtol=1e-4, atol=1e-4)
    row = report.tensors[0]
    assert row.error is not None
    np.testing.assert_allclose(row.error.largest, np.abs(w - normal(40, 70)).max(), rtol=1e-6)


def test_at_most_as_many_tensors_are_under_way_as_there_are_threads():
    begun: list[int] = []

    def jobs() -> Iterator[Any]:
        for number in range(9):
            begun.append(number)
            yield SimpleNamespace(run=lambda number=number: number)

    waiting: Any = jobs()
    for received, number in enumerate(_in_order(waiting, 2)):
        assert number == received
        assert len(begun) - received <= 3  # the one received, and two
    assert len(begun) == 9


def test_the_input_is_not_modified_and_bytes_do_not_depend_on_threads(tmp_path: Path):
    weights = {f"w{i}": normal(64, 64, seed=i) for i in range(6)}
    before = {name: array.copy() for name, array in weights.items()}
    graph = linear(normal(64, 64), **weights)
    recipe = Recipe(fc=Layer(bits=4, density=0.2))
    pack(graph, tmp_path / "one", recipe, threads=1)
    pack(graph, tmp_path / "many", recipe, threads=5)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, before[name])


def test_shared_tensors_pass_untouched(tmp_path: Path):
    codes = np.array([0, 2, 1, 0], np.uint8)
    codebook = np.array([0.25, -1.5, 3.0], np.float32)
    trained = SharedTensor(
        np.dtype("float32"), (2, 4), (0,), "rows", np.array([0, 2, 4]), np.array([0, 3, 1, 2], np.uint32), codes, codebook
    )
    graph = replace(linear(trained.dense()), initializers={"w": trained})
    pack(graph, tmp_path / "a", Recipe(fc=Layer(bits=1, density=0.1), min_size=1))
    assert bits(decode_file(tmp_path / "a").initializers["w"].dense()) == bits(trained.dense())


def test_subgraph_tensors_are_stored(tmp_path: Path):
    def branch(value: float) -> Graph:
        return Graph(
            "branch",
            (),
            (Value("z", TensorType("float32", (2,))),),
            (Node("Add", "add", ("c", "c"), ("z",)),),
            {"c": DenseTensor.of(np.array([value, 2], np.float32))},
        )

    outer = linear(normal(4, 4), condition=np.array(True))
    choice = Node("If", "choice", ("condition",), ("q",), {"then_branch": branch(1), "else_branch": branch(5)})
    pack(replace(outer, nodes=(*outer.nodes, choice)), tmp_path / "a")
    stored = [g.initializers["c"].dense() for g in list(graphs(decode_file(tmp_path / "a")))[1:]]
    np.testing.assert_array_equal(stored, [[5, 2], [1, 2]])


def test_tensors_of_one_name_are_packed_each_as_its_branch_uses_it(tmp_path: Path):
    def branch(array: np.ndarray) -> Graph:
        output = Value("z", TensorType("float32", None))
        return Graph("branch", (), (output,), (Node("MatMul", "", ("x", "w"), ("z",)),), {"w": DenseTensor.of(array)})

    def error(array: np.ndarray) -> float:
        decoded = by_shape[array.shape]
        return float(np.linalg.norm(array - decoded) / np.linalg.norm(array))

    matrix, vector, narrow = normal(32, 16), normal(32), np.sign(normal(32, 17)) * 1000
    x = normal(3, 32, seed=1)
    for chosen, other in ((matrix, vector), (vector, matrix), (matrix, narrow), (narrow, matrix)):
        choice = Node("If", "", ("c",), ("y",), {"then_branch": branch(chosen), "else_branch": branch(other)})
        values = Value("c", TensorType("bool", ())), Value("x", TensorType("float32", (3, 32)))
        graph = Graph("g", values, (Value("y", TensorType("float32", None)),), (choice,))
        report = pack(graph, tmp_path / "a", Recipe(fc=Layer(bits=2)))
        stored = [part.initializers["w"].dense() for part in decode_file(tmp_path / "a").subgraphs()]
        by_shape = {array.shape: array for array in stored}
        errors = {tensor.shape: tensor.error.relative for tensor in report.tensors if tensor.error}
        assert errors == {array.shape: pytest.approx(error(array)) for array in (chosen, other)}
        assert errors[matrix.shape] > 0.1
        assert errors[other.shape if chosen is matrix else chosen.shape] == 0
        with load(tmp_path / "a") as model:
            for c, array in ((True, chosen), (False, other)):
                found = model.run({"c": np.array(c), "x": x})["y"]
                np.testing.assert_allclose(found, x @ by_shape[array.shape], rtol=1e-3, atol=1e-3)


def test_unsupported_operators_are_named_before_anything_is_written(tmp_path: Path):
    graph = linear(normal(4, 4))
    odd = Node("Frobnicate", "middle", ("x",), ("q",))
    with pytest.raises(UnsupportedOperator, match=r"'middle'.*Frobnicate"):
        pack(replace(graph, nodes=(odd, *graph.nodes)), tmp_path / "a")
    with pytest.raises(ConversionError, match="opset 13"):
        pack(replace(graph, opset=13), tmp_path / "a")
    assert OPSET != 13
    with pytest.raises(ConversionError, match="tensor 'words' has the type str32, which the format does not hold"):
        pack(linear(normal(4, 4), words=np.array(["a"])), tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_cannot_be_shared_are_refused_and_the_old_file_stays(tmp_path: Path, value: float):
    path = tmp_path / "a.tersor"
    path.write_bytes(b"old")
    weights = normal(40, 40)
    weights[3, 4] = value
    with pytest.raises(RecipeError, match="'w'"):
        pack(linear(weights), path, Recipe(fc=Layer(bits=4)))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_no_reader_accepts_is_refused_before_anything_is_encoded_and_the_old_file_stays(tmp_path: Path):
    path = tmp_path / "a.tersor"
    path.write_bytes(b"old")
    deep = linear(normal(4, 4), deep=np.ones((1,) * 17, np.float32))
    disordered = replace(deep, nodes=(Node("Relu", "early", ("later",), ("q",)), *deep.nodes))
    for graph, error, match in (
        (deep, LimitError, r"17 rank; .*Limits\.rank"),
        (disordered, FormatError, "'early' reads 'later'"),
    ):
        with pytest.raises(error, match=match):
            pack(graph, path, progress=lambda *_: pytest.fail("a tensor was encoded"))
    assert path.read_bytes() == b"old"
    pack(deep, path, limits=Limits(rank=17))
    assert decode_file(path, Limits(rank=17)).initializers["deep"].shape == (1,) * 17


def test_the_old_file_stays_when_the_new_one_cannot_be_read_back(tmp_path: Path):
    path = tmp_path / "a.tersor"
    path.write_bytes(b"old")
    with pytest.raises(LimitError, match="2 sections"):
        pack(linear(normal(4, 4)), path, limits=Limits(sections=1))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("layer", [Layer(), Layer(bits=4)], ids=["kept", "shared"])
@pytest.mark.parametrize("value", [0.0, 2.5])
def test_a_fill_is_packed_and_reported_without_its_elements(tmp_path: Path, layer: Layer, value: float):
    graph = linear(np.broadcast_to(np.float32(value), (1 << 14, 1 << 13)))
    tracemalloc.start()
    (row,) = pack(graph, tmp_path / "a", Recipe(fc=layer)).tensors
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < row.size
    assert (row.kind, row.packed_bytes, row.error) == ("fc", 4, TensorError())
    assert row.account is not None
    assert row.account.nonzeros == (row.size if value else 0)


def test_a_missing_directory_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no such directory"):
        pack(linear(normal(4, 4)), tmp_path / "none" / "a")
    with pytest.raises(IsADirectoryError):
        pack(linear(normal(4, 4)), tmp_path)


def test_progress_counts_every_byte(tmp_path: Path):
    seen: list[tuple[str, int, int]] = []
    pack(linear(normal(8, 8), normal(8)), tmp_path / "a", progress=lambda *step: seen.append(step))
    assert seen == [("w", 256, 288), ("b", 288, 288)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": {}}, "a Recipe is expected"),
        ({"recipe": "lossless"}, "a Recipe is expected"),
        ({"threads": 0}, "threads = 0"),
        ({"threads": -1}, "threads = -1"),
        ({"threads": 1.5}, "threads = 1.5"),
    ],
)
def test_arguments_of_another_kind(tmp_path: Path, arguments: dict[str, Any], message: str):
    with pytest.raises(RecipeError, match=message):
        pack(linear(normal(4, 4)), tmp_path / "a", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["net.onnx", b"", None])
def test_what_is_no_graph_yet_is_named(tmp_path: Path, model: Any):
    with pytest.raises(ConversionError, match=f"pack takes a Graph, as from_onnx .*, not {type(model).__name__}$"):
        pack(model, tmp_path / "a")
    assert not list(tmp_path.iterdir())
