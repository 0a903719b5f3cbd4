"""Compress one of the paper's two networks as far as its error allows: prune, slim, share, export.

    python examples/lenet/compress.py DATA_DIR lenet-5 --dense demo --bytes 3600 --output models/lenet-5.tersor

``DATA_DIR`` holds MNIST's IDX files, gzipped, or another set in their format. The first 50,000 training images, each with
distorted variants, train the network to agree with a teacher (the dense LeNet-5 of ``tersor demo``); the other 10,000 give the
held-out error that is printed. The test images are not read here: ``score.py`` does that. Runs on one CPU core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from checkpoints import stored_network
from networks import EXPORT, NETWORKS, Data, cosine, error, fit, lenet_5, read_data
from runs import options, reproducible, write_summary
from torch import Tensor, nn

from tersor.packer.training import RateAware, SharedValues, export, geometric, share, slim, wrap_masks, wrapped_tensors

BIAS_VALUES = 8
FIXED_BITS = 8 * 500
"""What a file of these networks needs beside codes and positions: container, graph, tables, codebooks."""


def keep_units(network: nn.Sequential, sizes: tuple[int, int, int]) -> nn.Sequential:
    """LeNet-5 without all but the ``sizes`` most important filters and units: the largest product of norms in and out."""
    w1, w2, w3, w4 = (network.get_parameter(f"{name}.weight").detach() for name in ("conv1", "conv2", "fc1", "fc2"))
    maps = w3.reshape(len(w3), len(w2), -1)
    first = _largest(w1.flatten(1).norm(dim=1) * w2.transpose(0, 1).flatten(1).norm(dim=1), sizes[0])
    second = _largest(w2.flatten(1).norm(dim=1) * maps.transpose(0, 1).flatten(1).norm(dim=1), sizes[1])
    third = _largest(w3.norm(dim=1) * w4.norm(dim=0), sizes[2])
    smaller = lenet_5(*sizes)
    biases = {name: network.get_parameter(f"{name}.bias").detach() for name in ("conv1", "conv2", "fc1", "fc2")}
    smaller.load_state_dict(
        {
            "conv1.weight": w1[first],
            "conv1.bias": biases["conv1"][first],
            "conv2.weight": w2[second][:, first],
            "conv2.bias": biases["conv2"][second],
            "fc1.weight": maps[third][:, second].flatten(1),
            "fc1.bias": biases["fc1"][third],
            "fc2.weight": w4[:, third],
            "fc2.bias": biases["fc2"],
        }
    )
    return smaller


def _largest(scores: Tensor, count: int) -> Tensor:
    return scores.topk(count).indices.sort().values


def sparsify(network: nn.Sequential, data: Data, args: argparse.Namespace, generator: torch.Generator) -> nn.Sequential:
    """Prune within the budget while training; the slimmed network, unwrapped, zeros in place."""
    steps = args.steps[1]
    wrap_masks(network, ["*"])
    start = 8.0 * sum(parameter.numel() for parameter in network.parameters()) / 4
    budget = geometric(start, 8 * args.bytes - FIXED_BITS, 0, int(0.6 * steps))
    control = RateAware(network, budget, structure=args.structure)
    after = _until(int(0.8 * steps), control)
    fit(network, data, [{"params": network.parameters()}], steps, cosine(args.rate, steps, 0.6), generator, after)
    return slim(network)


def share_values(network: nn.Sequential, data: Data, args: argparse.Namespace, generator: torch.Generator) -> None:
    """Share what is left among few values, train weights and values together, then the values alone."""
    steps = args.steps[2]
    share(network, args.values, ["*.weight"], learning=True)
    share(network, BIAS_VALUES, ["*.bias"], learning=True)
    control = RateAware(network, lambda step: 8 * args.bytes - FIXED_BITS, structure=args.structure)
    shared = wrapped_tensors(network, SharedValues)
    groups = [
        {"params": [slot.original for slot, _ in shared]},
        {"params": [part.centroids for _, part in shared], "scale": 0.3},
    ]
    fit(network, data, groups, steps, cosine(args.share_rate, steps, 0.3), generator, _until(int(0.8 * steps), control))


def _until(last: int, control: RateAware) -> Callable[[int], None]:
    def after(step: int) -> None:
        if step < last:
            control.step()
        elif step == last:
            control.finish()

    return after


def dense(data: Data, args: argparse.Namespace, generator: torch.Generator) -> nn.Sequential:
    """The network before compression; of LeNet-5 only ``--sizes`` units, trained on."""
    network = NETWORKS[args.network]() if args.dense == "train" else stored_network(args.network, args.dense)
    if args.dense == "train":
        fit(network, data, [{"params": network.parameters()}], args.steps[0], cosine(args.rate, args.steps[0]), generator)
    if args.network == "lenet-5":
        network = keep_units(network, tuple(args.sizes))
        fit(network, data, [{"params": network.parameters()}], args.steps[0], cosine(args.rate, args.steps[0]), generator)
    return network


def main() -> None:
    """Compress, write the file, and print what it took."""
    parser = options(__doc__)
    parser.add_argument("--bytes", type=int, required=True, help="size to aim at, for the whole file")
    parser.add_argument("--values", type=int, default=4, help="shared values a weight tensor has besides zero")
    parser.add_argument(
        "--sizes", type=int, nargs=3, default=[8, 16, 80], help="LeNet-5: filters, filters, units to start from"
    )
    parser.add_argument("--structure", type=float, default=1.0, help="how far prices follow rows and columns, 0 to 1")
    parser.add_argument("--steps", type=int, nargs=3, default=[3000, 6000, 4000], help="dense, pruning, sharing")
    parser.add_argument("--rate", type=float, default=1e-3, help="Adam's learning rate for the dense and the pruned network")
    parser.add_argument("--share-rate", type=float, default=3e-4, help="Adam's learning rate from sharing on")
    parser.add_argument("--teacher", default="demo", help="demo, none, or .tersor file of a dense LeNet-5")
    parser.add_argument("--dense", default="train", help="the network to start from: train, demo (LeNet-5), or .tersor file")
    parser.add_argument("--save-trained", type=Path, help="file to write the compressed network's state_dict to")
    args = parser.parse_args()
    generator, started = reproducible(args.seed), time.perf_counter()
    teacher = None if args.teacher == "none" else stored_network("lenet-5", args.teacher)
    data = read_data(args.data, teacher, variants=args.variants, flip=args.flip, cache=args.cache)
    network = dense(data, args, generator)
    before = error(network, data.held_out)
    network = sparsify(network, data, args, generator)
    share_values(network, data, args, generator)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    if args.save_trained is not None:
        torch.save(network.state_dict(), args.save_trained)
    report = export(network, torch.zeros(2, 1, 28, 28), args.output, compact=True, **EXPORT)
    print(report)
    write_summary(args, report, before, error(network, data.held_out), started)


if __name__ == "__main__":
    main()
