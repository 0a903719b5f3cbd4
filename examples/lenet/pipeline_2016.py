"""The plain pipeline of *Deep Compression* (Han, Mao, Dally, ICLR 2016).

Prune and retrain, share by k-means, train the shared values, Huffman:

    python examples/lenet/pipeline_2016.py DATA_DIR lenet-300-100 --output pipeline.tersor

Bits are the paper's (its Tables 2 and 3), densities a little below the paper's (7 for 8 % in fc1), because the weights here
need more Huffman bits; the file has the paper profile, and the report its formula. No teacher; the training images have
distorted variants beside them. The test images are read once, at the end. Runs on one CPU core.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from compress import demo_network
from mnist import preprocess, read_mnist
from networks import EXPORT, FP32_BYTES, NETWORKS, Data, cosine, error, fit, read_data, save_state
from torch import nn

from tersor.packer.training import Pruner, SharedValues, cubic, export, share, wrapped_tensors

DENSITY = {
    "lenet-300-100": {"fc1": 0.07, "fc2": 0.08, "fc3": 0.22},
    "lenet-5": {"conv1": 0.66, "conv2": 0.10, "fc1": 0.07, "fc2": 0.17},
}
BITS = {"lenet-300-100": {"fc*": 6}, "lenet-5": {"conv*": 8, "fc*": 5}}


def compress(network: nn.Sequential, name: str, data: Data, steps: int, rate: float, generator: torch.Generator) -> None:
    """Prune step by step while training, train on, share, train the values."""
    densities = {f"{layer}.weight": cubic(1.0, density, 0, steps // 2) for layer, density in DENSITY[name].items()}
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
    """Train, compress, write the file, score it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the IDX files, gzipped")
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--variants", type=int, default=5, help="distorted variants of each training image")
    parser.add_argument("--save-dense", type=Path, help=".npz to write the dense network to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    started = time.perf_counter()
    data = read_data(args.data, variants=args.variants)
    if args.network == "lenet-5":
        network = demo_network()
    else:
        network = NETWORKS[args.network]()
        fit(network, data, [{"params": network.parameters()}], args.steps, cosine(args.rate, args.steps), generator)
    before = error(network, data.held_out)
    if args.save_dense is not None:
        save_state(network, args.save_dense)
    compress(network, args.network, data, args.steps, args.rate, generator)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    report = export(network, torch.zeros(2, 1, 28, 28), args.output, profile="paper", compact=True, **EXPORT)
    print(report)
    images, labels = read_mnist(args.data, "t10k")
    test = torch.from_numpy(preprocess(images)), torch.from_numpy(labels.astype("int64"))
    summary = {
        "network": args.network,
        "seed": args.seed,
        "file_bytes": report.file_bytes,
        "ratio": FP32_BYTES[args.network] / report.file_bytes,
        "paper_formula_ratio": 1 / report.paper.pqh_rate,
        "held_out_error_before": before,
        "held_out_error": error(network, data.held_out),
        "test_error": error(network, test),
        "seconds": round(time.perf_counter() - started),
    }
    print(json.dumps(summary))
    args.output.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
