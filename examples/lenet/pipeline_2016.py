"""The plain pipeline of *Deep Compression* (Han, Mao, Dally, ICLR 2016).

Prune and retrain, share by k-means, train the shared values, Huffman:

    python examples/lenet/pipeline_2016.py DATA_DIR lenet-5 --output pipeline.tersor

Bits are the paper's (its Tables 2 and 3), densities nine tenths of the paper's, because the weights here need more Huffman
bits; the file has the paper profile, and the report its formula. No teacher; the training images have distorted variants
beside them. The test images are not read here: ``score.py`` does that. Runs on one CPU core.
"""

from __future__ import annotations

import argparse
import time

import torch
from checkpoints import stored_network
from networks import EXPORT, Data, cosine, error, fit, read_data
from runs import options, reproducible, write_summary
from torch import nn

from tersor.packer.training import Pruner, SharedValues, cubic, export, share, wrapped_tensors

DENSITY = {
    "lenet-300-100": {"fc1": 0.08, "fc2": 0.09, "fc3": 0.26},
    "lenet-5": {"conv1": 0.66, "conv2": 0.12, "fc1": 0.08, "fc2": 0.19},
}
BITS = {"lenet-300-100": {"fc*": 6}, "lenet-5": {"conv*": 8, "fc*": 5}}


def compress(network: nn.Sequential, data: Data, args: argparse.Namespace, generator: torch.Generator) -> None:
    """Prune step by step while training, train on, share, train the values."""
    name, steps, rate = args.network, args.steps, args.rate
    densities = {f"{layer}.weight": cubic(1.0, args.keep * density, 0, steps // 2) for layer, density in DENSITY[name].items()}
    pruner = Pruner(network, densities, every=max(steps // 60, 1))

    def after(step: int) -> None:
        if step < steps // 2:
            pruner.step()
        elif step == steps // 2:
            pruner.prune()

    fit(network, data, [{"params": network.parameters()}], steps, cosine(rate, steps, 0.5), generator, after)
    print(f"pruned: held-out error {error(network, data.held_out):.2f} %")
    share(network, {f"{pattern}.weight": 2**bits for pattern, bits in BITS[name].items()})
    print(f"shared: held-out error {error(network, data.held_out):.2f} %")
    biases = [parameter for name, parameter in network.named_parameters() if name.endswith("bias")]
    values = [part.centroids for _, part in wrapped_tensors(network, SharedValues)]
    fit(network, data, [{"params": [*values, *biases]}], steps // 4, cosine(rate / 10, steps // 4), generator)


def main() -> None:
    """Compress, write the file, and print what it took."""
    parser = options(__doc__)
    parser.add_argument("--keep", type=float, default=0.9, help="what the densities are multiplied by")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--dense", default="demo", help="the network to start from: demo (LeNet-5), or .tersor file")
    args = parser.parse_args()
    generator, started = reproducible(args.seed), time.perf_counter()
    data = read_data(args.data, variants=args.variants, flip=args.flip, cache=args.cache)
    network = stored_network(args.network, args.dense)
    before = error(network, data.held_out)
    compress(network, data, args, generator)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    report = export(network, torch.zeros(2, 1, 28, 28), args.output, profile="paper", compact=True, **EXPORT)
    print(report)
    write_summary(args, report, before, error(network, data.held_out), started)


if __name__ == "__main__":
    main()
