"""torch modules by way of torch's exporter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tersor.converters import from_torch, to_onnx
from tersor.format_spec.errors import ConversionError
from tersor.format_spec.graph import OPSET

pytestmark = [
    pytest.mark.torch,
    # The exporter and what it traces with warn of their own inner affairs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Dropout()
        )
        self.classify = torch.nn.Linear(4 * 6 * 6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.classify(self.features(x).flatten(1)), dim=1)


def test_a_module_becomes_a_graph_with_its_answers():
    import onnxruntime

    torch.manual_seed(0)
    net = Net()
    net.train()
    net.features[3].eval()
    example = torch.randn(2, 1, 8, 8)
    graph = from_torch(
        net, example, input_names=["image"], output_names=["scores"], dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    assert [part.training for part in net.modules()] == [part is not net.features[3] for part in net.modules()]
    assert graph.opset == OPSET
    assert [value.name for value in (*graph.inputs, *graph.outputs)] == ["image", "scores"]
    assert graph.inputs[0].type.shape == ("batch", 1, 8, 8)
    for name, parameter in net.named_parameters():
        np.testing.assert_array_equal(graph.initializers[name].dense(), parameter.detach().numpy())
    x = torch.randn(3, 1, 8, 8)
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString(), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"image": x.numpy()})
    np.testing.assert_allclose(np.asarray(scores), net.eval()(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_what_torch_cannot_export_is_said_so():
    class Branching(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ConversionError, match="torch cannot export"):
        from_torch(Branching(), torch.ones(2))


def test_a_module_without_elements_is_refused():
    with pytest.raises(ConversionError, match="'weight' is on the meta device"):
        from_torch(torch.nn.Linear(3, 2, device="meta"), torch.zeros(1, 3, device="meta"))


@pytest.mark.parametrize("given", [None, {"x": torch.zeros(1, 3)}, np.zeros((1, 3), np.float32)])
def test_example_inputs_are_positional_arguments(given: Any):
    with pytest.raises(ConversionError, match=f"forward's positional arguments, not {type(given).__name__}$"):
        from_torch(torch.nn.Linear(3, 2), given)
