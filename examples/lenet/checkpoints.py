"""Dense networks, as the scripts here read and write them."""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
import torch
from networks import EXPORT, NETWORKS, lenet_5
from onnx import numpy_helper
from torch import nn

from tersor.packer import PackReport
from tersor.packer.training import export
from tersor.runtime import load_tensors

DEMO = Path(__file__).parents[2] / "cli" / "demo" / "lenet5.onnx"


def load_state(network: nn.Module, path: Path) -> None:
    """Fill ``network`` from a .tersor file whose tensors have the names of its parameters."""
    with load_tensors(path) as arrays:
        network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in network.state_dict()})


def save_state(network: nn.Module, path: Path) -> PackReport:
    """Write ``network`` as a .tersor file that runs and can be trained on; parameters are rounded to what fp16 holds."""
    rounded = copy.deepcopy(network)
    rounded.load_state_dict({name: tensor.half().float() for name, tensor in network.state_dict().items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    return export(rounded, torch.zeros(2, 1, 28, 28), path, **EXPORT)


def demo_network(path: Path = DEMO) -> nn.Sequential:
    """The dense LeNet-5 that ``train_lenet5.py`` trained."""
    network = lenet_5()
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in onnx.load(path).graph.initializer}
    network.load_state_dict(tensors)
    return network


def stored_network(name: str, source: str) -> nn.Sequential:
    """The dense network in a .tersor file, or the demo's."""
    if source == "demo":
        return demo_network()
    network = NETWORKS[name]()
    load_state(network, Path(source))
    return network
