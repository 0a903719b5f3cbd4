"""The network for CIFAR-10, its training data, and what dense training and compression share."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from cifar import TRAIN_IMAGES, preprocess, read_cifar
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from tersor.packer import PackReport
from tersor.packer.training import baked, export
from tersor.runtime import load_tensors

WIDTHS = (32, 96, 192)

EXPORT = {"input_names": ["image"], "output_names": ["logits"], "dynamic_shapes": ({0: torch.export.Dim("N")},)}
"""How the networks are exported: free batch dimension."""

BATCH = 128
SHIFT = 2


def network(widths: tuple[int, int, int] = WIDTHS) -> nn.Sequential:
    """Seven convolutions and a linear layer, logits (N, 10) of images (N, 3, 32, 32) in 0 to 1; 628,002 parameters.

    The first convolution, 2x2, whitens the patches and is not trained; then three times: convolution, 2x2 max pooling,
    convolution, each convolution 3x3 with batch norm and ReLU (the plan of Jordan's *94 % on CIFAR-10 in 3.29 seconds*, 2024).
    Batch norm has no trained scale: a positive one can be folded into the convolution before the pooling.
    """
    layers: dict[str, nn.Module] = {"whiten": nn.Conv2d(3, 24, 2).requires_grad_(False), "relu": nn.ReLU()}
    before = 24
    for i, width in enumerate(widths, 1):
        layers |= {f"conv{i}a": nn.Conv2d(before, width, 3, padding=1, bias=False), f"pool{i}": nn.MaxPool2d(2)}
        layers |= {f"norm{i}a": _norm(width), f"relu{i}a": nn.ReLU()}
        layers |= {f"conv{i}b": nn.Conv2d(width, width, 3, padding=1, bias=False)}
        layers |= {f"norm{i}b": _norm(width), f"relu{i}b": nn.ReLU()}
        before = width
    layers |= {"pool": nn.MaxPool2d(3), "flatten": nn.Flatten(), "linear": nn.Linear(before, 10)}
    return nn.Sequential(OrderedDict(layers))


def _norm(width: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(width)
    norm.weight.requires_grad_(False)
    return norm


def channels_last(model: nn.Sequential) -> nn.Sequential:
    """``model`` itself, its weights laid out as the fastest convolutions of a CPU want them."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def initialise(model: nn.Sequential, images: Tensor) -> None:
    """Whitening filters from the patches of ``images`` (N, 3, 32, 32), both signs; other convolutions pass their input on."""
    patches = functional.unfold(images, 2).transpose(1, 2).reshape(-1, 12)
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T.double()))
    filters = (vectors / (values + 5e-4).sqrt()).T.float()
    filters = torch.cat([filters, -filters])
    model.get_parameter("whiten.weight").data.copy_(filters.reshape(24, 3, 2, 2))
    model.get_parameter("whiten.bias").data.copy_(-filters @ mean)
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d) and name != "whiten":
            nn.init.dirac_(part.weight.data[: part.in_channels])


@dataclass(frozen=True, eq=False)
class Data:
    """Training images (M, 3, 32, 32) uint8 and labels (M,); the held-out images, float32 in 0 to 1, and their labels."""

    images: Tensor
    labels: Tensor
    held_out: tuple[Tensor, Tensor]

    def epoch(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Indices of batches, all images once in random order, the incomplete last batch left out."""
        order = torch.randperm(len(self.images), generator=generator)
        yield from order[: len(order) // BATCH * BATCH].split(BATCH)


def read_data(folder: Path) -> Data:
    """The training part of the data set in ``folder``."""
    images, labels = read_cifar(folder, "train")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    held_out = torch.from_numpy(preprocess(images[TRAIN_IMAGES:])), torch.from_numpy(labels[TRAIN_IMAGES:])
    return Data(pixels[:TRAIN_IMAGES], torch.from_numpy(labels[:TRAIN_IMAGES].astype(np.int64)), held_out)


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each of the images (N, 3, 32, 32) uint8 moved by up to SHIFT pixels (edges reflected), half mirrored; in 0 to 1."""
    count, _, height, width = images.shape
    padded = functional.pad(images.float() / 255, (SHIFT, SHIFT, SHIFT, SHIFT), mode="reflect")
    offsets = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), generator=generator)
    rows, columns = offsets[0] + torch.arange(height), offsets[1] + torch.arange(width)
    mirror = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(mirror, columns.flip(1), columns)
    moved = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def folded(model: nn.Sequential) -> nn.Sequential:
    """A plain copy of ``model`` in evaluation mode, each batch norm folded into the convolution before it."""
    parts = OrderedDict(baked(model).named_children())
    for name in [name for name in parts if name.startswith("norm")]:
        norm, conv = parts.pop(name), parts[name.replace("norm", "conv")]
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(conv, nn.Conv2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        statistics = norm.running_mean, norm.running_var, norm.eps
        conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics, norm.weight, norm.bias)
    return nn.Sequential(parts)


def save_state(model: nn.Sequential, path: Path) -> PackReport:
    """Write ``model`` as a .tersor file that runs and can be trained on; its tensors are rounded to what fp16 holds."""
    rounded = copy.deepcopy(model)
    for tensor in (*rounded.parameters(), *rounded.buffers()):
        tensor.data = tensor.data.half().float() if tensor.is_floating_point() else tensor.data
    return export(rounded, torch.zeros(2, 3, 32, 32), path, **EXPORT)


def load_state(path: Path) -> nn.Sequential:
    """The network in a file that :func:`save_state` wrote."""
    model = network()
    with load_tensors(path) as arrays:
        state = {name: torch.from_numpy(arrays[name]) for name in arrays if name in model.state_dict()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"{path} is not a dense network of this script: it lacks {', '.join(missing)}")
    return model


@torch.inference_mode()
def error(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Share of images that the network classifies wrongly, in percent."""
    model.eval()
    wrong = sum(int((model(x).argmax(1) != y).sum()) for x, y in zip(*(part.split(500) for part in data), strict=True))
    model.train()
    return 100 * wrong / len(data[1])
