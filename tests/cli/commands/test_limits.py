"""How large tensors may be, said on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.limits import DEFAULT_LIMITS, Limits
from tersor.format_spec.tensors import SharedTensor
from tersor.packer import pack


@pytest.mark.parametrize("verb", ["pack", "repack", "report", "unpack", "bench", "warmup"])
def test_tensors_beyond_the_limit_are_refused_and_allowed(run, model: Path, packed: Path, tmp_path: Path, verb: str):
    output = ["-o", tmp_path / "out.tersor"]
    arguments = {
        "pack": [model, *output],
        "repack": [packed, "--profile", "paper", *output],
        "unpack": [packed, tmp_path / "out.onnx"],
        "bench": [packed, "--rounds", 1, "--seconds", 0, "--against", "onnxruntime"],
    }.get(verb, [packed])
    refused = run(verb, *arguments, "--max-decoded-bytes", "100")
    assert refused.exit_code == 4, refused.output
    assert refused.output.endswith("(Limits.tensor_bytes); --max-decoded-bytes allows more\n")
    assert not list(tmp_path.iterdir())
    assert run(verb, *arguments, "--max-decoded-bytes", "1M").exit_code == 0


def test_a_coded_tensor_beyond_the_default_limit_is_packed_and_shown_where_it_is_allowed(run, tmp_path: Path):
    rows, columns = 1 << 15, (1 << 15) + 1
    dtype, codebook = np.dtype("f4"), np.array([0.5], np.float32)
    starts, minors, codes = np.minimum(np.arange(rows + 1), 9), np.arange(9, dtype=np.uint32), np.zeros(9, np.uint8)
    tensor = SharedTensor(dtype, (rows, columns), (0,), "rows", starts, minors, codes, codebook)
    assert tensor.size * dtype.itemsize > DEFAULT_LIMITS.tensor_bytes
    x, y = (Value(name, TensorType("float32", (1, size))) for name, size in (("x", rows), ("y", columns)))
    graph = Graph("large", (x,), (y,), (Node("MatMul", "", ("x", "w"), ("y",)),), {"w": tensor})
    path = tmp_path / "large.tersor"
    pack(graph, path, limits=Limits(tensor_bytes=8 << 30))
    for verb in ("inspect", "report", "verify"):
        assert run(verb, path).exit_code == 4
        shown = run(verb, path, "--max-decoded-bytes", "8G")
        assert shown.exit_code == 0, shown.output


def test_tensors_count_together(run, packed: Path):
    refused = run("report", packed, "--max-decoded-bytes", "5200")  # the largest one takes 5120
    assert refused.exit_code == 4, refused.output
    assert "(Limits.decoded_bytes); --max-decoded-bytes allows more" in refused.output


@pytest.mark.parametrize("verb", ["bench", "warmup"])
def test_inputs_are_held_to_the_limit(run, packed: Path, verb: str):
    refused = run(verb, packed, "--batch", 1000, "--max-decoded-bytes", "100k")
    assert refused.exit_code == 4, refused.output
    assert "input 'x' of shape [1000, 1, 6, 6]" in refused.output
