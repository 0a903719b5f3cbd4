"""What was trained is what is stored, and what runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tersor.format_spec.errors import UnsupportedOperator
from tersor.format_spec.tensors import SharedTensor
from tersor.packer.training import SharedValues, export, prune, share, slots, to_graph, wrapped_tensors
from tersor.runtime import load

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")]

OPTIONS = {"input_names": ["image"], "output_names": ["logits"], "dynamic_shapes": ({0: torch.export.Dim("N")},)}


def test_codes_and_values_arrive_bit_for_bit(network: nn.Sequential) -> None:
    prune(network, {"fc1.weight": ("density", 0.2), "conv2.weight": ("density", 0.5)})
    share(network, {"fc1.weight": 4, "conv1.weight": 8, "fc1.bias": 3})
    graph = to_graph(network, torch.zeros(2, 1, 14, 14), **OPTIONS)
    for slot, part in wrapped_tensors(network, SharedValues):
        tensor = graph.initializers[slot.name]
        assert isinstance(tensor, SharedTensor)
        assert set(tensor.codebook.tolist()) <= set(part.codebook.tolist())
        np.testing.assert_array_equal(tensor.dense().view(np.uint32), slot.tensor.detach().numpy().view(np.uint32))
    assert all(slot.wrapped for slot in slots(network, ["fc1.weight", "conv1.weight", "fc1.bias", "conv2.weight"]))


@pytest.mark.parametrize("compact", [False, True])
def test_file_holds_and_computes_the_same(
    network: nn.Sequential, data: tuple[Tensor, Tensor], tmp_path: Path, compact: bool
) -> None:
    prune(network, {"*.weight": ("density", 0.4)})
    share(network, 4)
    network.get_parameter("fc2.bias").data.zero_()
    path = tmp_path / "network.tersor"
    report = export(network, torch.zeros(2, 1, 14, 14), path, compact=compact, **OPTIONS)
    assert report.file_bytes == path.stat().st_size
    with load(path) as model, torch.inference_mode():
        found = model.run({"image": data[0].numpy()})["logits"]
        np.testing.assert_allclose(found, network(data[0]).numpy(), atol=1e-5)
    assert any("fc2.bias" in tensor.name for tensor in report.tensors) is not compact


def test_all_pruned_is_stored_as_one_value(network: nn.Sequential, tmp_path: Path) -> None:
    share(network, 4, ["fc1.weight"])
    ((_, part),) = wrapped_tensors(network, SharedValues)
    part.codes.zero_()
    report = export(network, torch.zeros(2, 1, 14, 14), tmp_path / "network.tersor", **OPTIONS)
    (row,) = [tensor for tensor in report.tensors if tensor.name == "fc1.weight"]
    assert row.packed_bytes <= 8


def test_values_that_numpy_does_not_have_are_refused_by_name() -> None:
    module = nn.Linear(32, 16).bfloat16()
    share(module, 8)
    with pytest.raises(UnsupportedOperator, match="'weight' has element type bfloat16"):
        to_graph(module, torch.randn(3, 32).bfloat16())
    assert to_graph(module.float(), torch.randn(3, 32)).initializers
