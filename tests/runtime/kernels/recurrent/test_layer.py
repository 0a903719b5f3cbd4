"""The recurrent kernels against the references: directions, states, lengths, sparse, shared and dense weights, odd sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.graph import Graph, Node, Tensor, TensorType, Value
from tersor.format_spec.tensors import DenseTensor, SharedTensor
from tersor.runtime.kernels.recurrent.pack import pack_matrices
from tersor.runtime.model import Model
from tersor.runtime.ops import operators

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
OUTPUTS = {"LSTM": ("y", "h", "c"), "GRU": ("y", "h"), "RNN": ("y", "h")}

Tensors = dict[str, Tensor]
Inputs = dict[str, np.ndarray]


def build(op_type: str, tensors: Tensors, inputs: Inputs, names: str, threads: int = 1, **attributes: Any) -> Model:
    node = Node(op_type, "layer", tuple(names.split(" ")), OUTPUTS[op_type], attributes)
    values = tuple(Value(name, TensorType(array.dtype.name, array.shape)) for name, array in inputs.items())
    outputs = tuple(Value(name, TensorType("float32", None)) for name in OUTPUTS[op_type])
    return Model(Graph("g", values, outputs, (node,), tensors), threads=threads)


def compare(op_type: str, tensors: Tensors, inputs: Inputs, names: str, kernel: str, **attributes: Any) -> None:
    known: dict[str, Any] = {"": None, **inputs, **{name: tensor.dense() for name, tensor in tensors.items()}}
    expected = operators()[op_type](*(known[name] for name in names.split(" ")), **attributes)
    with build(op_type, tensors, inputs, names, **attributes) as model:
        (row,) = model.plan().rows()
        assert row.kernel.startswith(kernel)
        for _ in range(2):
            found = model.run(inputs)
            for name, array in zip(OUTPUTS[op_type], expected, strict=True):
                assert found[name].shape == array.shape
                np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


FORMS = [("LSTM", {}), ("GRU", {}), ("GRU", {"linear_before_reset": 1}), ("RNN", {})]


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", ["dense", "shared", "sparse rows", "sparse columns", "shared, in panels", "sparse, in panels"])
@pytest.mark.parametrize(("op_type", "attributes"), FORMS)
def test_every_form_of_weights(
    op_type: str,
    attributes: dict[str, Any],
    kind: str,
    direction: str,
    share: Callable[..., Tensor],
    pruned: Callable[..., np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    constant, value = ("SPARSE", (0, 0)) if "panels" in kind else ("MOST_EXPANDED", 0)
    monkeypatch.setattr(f"tersor.runtime.kernels.recurrent.pack.{constant}", value)
    count = 2 if direction == "bidirectional" else 1
    for time, batch, inputs, size in [(1, 1, 1, 1), (5, 3, 7, 6), (3, 1, 4, 17), (30, 1, 2, 33), (2, 27, 3, 22)]:
        rng = np.random.default_rng(time + size)

        def weight(*shape: int, rng: np.random.Generator = rng) -> Tensor:
            array = pruned(rng, shape, 0.4 if "sparse" in kind else 1.0) / 4
            if kind == "dense":
                return DenseTensor.of(array)
            return share(array, (0, 1), "columns" if "columns" in kind else "rows", np.uint8, sparse="sparse" in kind)

        rows = GATES[op_type] * size
        tensors = {"w": weight(count, rows, inputs), "r": weight(count, rows, size)}
        tensors["b"] = DenseTensor.of(rng.standard_normal((count, 2 * rows)).astype(np.float32))
        given = {"x": rng.standard_normal((time, batch, inputs)).astype(np.float32)}
        names = "x w r b  h0 c0" if op_type == "LSTM" else "x w r b  h0"
        given |= {name: rng.standard_normal((count, batch, size)).astype(np.float32) for name in names.split()[4:]}
        form = "panels" if kind == "dense" or "panels" in kind else f"columns, {kind.split()[0]}"
        compare(op_type, tensors, given, names, f"{op_type.lower()} from {form}", direction=direction, **attributes)


def layer(op_type: str, rng: np.random.Generator, count: int = 1) -> tuple[Tensors, Inputs]:
    """Four steps of two sequences of three features into two; ``p`` are peepholes."""
    rows = 2 * GATES[op_type]
    shapes = {"w": (count, rows, 3), "r": (count, rows, 2), "p": (count, 6)}
    tensors: Tensors = {n: DenseTensor.of(rng.standard_normal(shape).astype(np.float32)) for n, shape in shapes.items()}
    return tensors, {"x": rng.standard_normal((4, 2, 3)).astype(np.float32)}


@given(
    form=st.sampled_from(FORMS),
    direction=st.sampled_from(["forward", "reverse", "bidirectional"]),
    sizes=st.tuples(st.integers(0, 60), st.integers(0, 9), st.integers(0, 20), st.integers(1, 70)),
    lengths=st.booleans(),
    layout=st.integers(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_any_geometry(
    form: tuple[str, dict[str, Any]], direction: str, sizes: tuple[int, ...], lengths: bool, layout: int, seed: int
) -> None:
    (op_type, attributes), (time, batch, inputs, size) = form, sizes
    rng, count, rows = np.random.default_rng(seed), 2 if direction == "bidirectional" else 1, GATES[form[0]] * sizes[3]
    shapes = {"w": (count, rows, inputs), "r": (count, rows, size), "b": (count, 2 * rows)}
    tensors: Tensors = {n: DenseTensor.of(rng.standard_normal(s).astype(np.float32) / 8) for n, s in shapes.items()}
    given: dict[str, np.ndarray] = {
        "x": rng.standard_normal((batch, time, inputs) if layout else (time, batch, inputs)).astype(np.float32)
    }
    if lengths:
        given["n"] = rng.integers(0, time + 1, batch).astype(np.int32)
    names = "x w r b n" if lengths else "x w r b"
    kernel = f"{op_type.lower()} from panels"
    compare(op_type, tensors, given, names, kernel, direction=direction, layout=layout, **attributes)


def test_large_and_sparse_weights_stay_codes(share: Callable[..., Tensor], pruned: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(6)
    few = share(pruned(rng, (1, 64, 64), 0.02), (0, 1), "rows", np.uint8, sparse=True)
    assert pack_matrices(few, "r", range(1), 64, 4).form == "columns, sparse"
    many = share(pruned(rng, (1, 64, 64), 0.5), (0, 1), "rows", np.uint8, sparse=True)
    assert pack_matrices(many, "r", range(1), 64, 4).form == "panels"
    codes, codebook = np.zeros(4096 * 2049, np.uint8), np.ones(1, np.float32)
    large = SharedTensor(codebook.dtype, (1, 4096, 2049), (0, 1), "rows", None, None, codes, codebook)
    assert pack_matrices(large, "r", range(4), 1024, 4).form == "columns, shared"


@pytest.mark.parametrize(("op_type", "attributes"), FORMS)
def test_states_and_bias_may_be_left_out(op_type: str, attributes: dict[str, Any]) -> None:
    tensors, inputs = layer(op_type, np.random.default_rng(0))
    del tensors["p"]
    compare(op_type, tensors, inputs, "x w r", f"{op_type.lower()} from panels", **attributes)


@pytest.mark.parametrize(("op_type", "attributes"), FORMS)
def test_sequences_end_where_their_lengths_say(op_type: str, attributes: dict[str, Any]) -> None:
    tensors, inputs = layer(op_type, np.random.default_rng(2), 2)
    del tensors["p"]
    inputs["n"] = np.array([4, 1], np.int32)
    kernel = f"{op_type.lower()} from panels"
    compare(op_type, tensors, inputs, "x w r  n", kernel, direction="bidirectional", **attributes)


@pytest.mark.parametrize(("op_type", "attributes"), FORMS)
def test_the_batch_may_come_first(op_type: str, attributes: dict[str, Any]) -> None:
    tensors, inputs = layer(op_type, np.random.default_rng(3))
    del tensors["p"]
    inputs["h0"] = np.random.default_rng(4).standard_normal((4, 1, 2)).astype(np.float32)
    compare(op_type, tensors, inputs, "x w r   h0", f"{op_type.lower()} from panels", layout=1, **attributes)


@pytest.mark.parametrize(("op_type", "activations"), [("RNN", ("Relu",)), ("RNN", ("tanh",)), ("GRU", ("Sigmoid", "Tanh"))])
def test_activations_may_be_spelt_out(op_type: str, activations: tuple[str, ...]) -> None:
    tensors, inputs = layer(op_type, np.random.default_rng(5))
    del tensors["p"]
    compare(op_type, tensors, inputs, "x w r", f"{op_type.lower()} from panels", activations=activations)


@pytest.mark.parametrize(
    ("op_type", "names", "attributes"),
    [
        ("LSTM", "x w r     p", {}),
        ("LSTM", "x w r", {"clip": 0.5}),
        ("LSTM", "x w r", {"input_forget": 1}),
        ("LSTM", "x w r", {"activations": ("Sigmoid", "Relu", "Tanh")}),
        ("GRU", "x w r", {"clip": 0.5}),
        ("GRU", "x w r", {"activations": ("Tanh", "Tanh")}),
        ("RNN", "x w r", {"activations": ("Sigmoid",)}),
    ],
)
def test_what_the_kernel_does_not_know_runs_on_the_reference(op_type: str, names: str, attributes: dict[str, Any]) -> None:
    tensors, inputs = layer(op_type, np.random.default_rng(1))
    compare(op_type, tensors, inputs, names, "reference", **attributes)


@pytest.mark.parametrize(("op_type", "attributes"), FORMS)
def test_two_threads_take_a_direction_each(op_type: str, attributes: dict[str, Any]) -> None:
    rng, rows = np.random.default_rng(7), 64 * GATES[op_type]
    shapes = {"w": (2, rows, 64), "r": (2, rows, 64), "b": (2, 2 * rows)}
    tensors: Tensors = {n: DenseTensor.of(rng.standard_normal(s).astype(np.float32) / 8) for n, s in shapes.items()}
    inputs = {"x": rng.standard_normal((60, 1, 64)).astype(np.float32)}
    found = []
    for threads in (1, 2):
        with build(op_type, tensors, inputs, "x w r b", threads, direction="bidirectional", **attributes) as model:
            found.append([model.run(inputs) for _ in range(3)])
    for one, other in zip(*found, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in OUTPUTS[op_type])


@pytest.mark.parametrize(("op_type", "attributes"), FORMS)
def test_no_state_is_a_float_of_fewer_digits(op_type: str, attributes: dict[str, Any]) -> None:
    tensors, inputs = layer(op_type, np.random.default_rng(8))
    del tensors["p"]
    inputs = {name: x * np.float32(1e-40) for name, x in inputs.items()}
    with build(op_type, tensors, inputs, "x w r", **attributes) as model:
        for value in model.run(inputs).values():
            assert (np.abs(value[value != 0]) >= np.finfo(np.float32).smallest_normal).all()
