"""``tersor demo``: the whole way on a small trained network, from the wheel alone."""

from __future__ import annotations

import statistics
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from .._output import bytes_text, echo, json_option, print_json, print_table, progress
from .._types import FilePath

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...runtime.model import Model

LATENCY_RUNS = 50


@click.command(name="demo")
@click.option("--output", "-o", type=FilePath(), metavar="FILE", help="Keep the packed file there.")
@json_option
def command(output: Path | None, as_json: bool) -> None:
    """Pack a LeNet-5 trained on MNIST, run the packed file on 1,000 test images, and compare with the dense model.

    The model, the images and the recipe are in the package; nothing is downloaded. The network is pruned and its weights are
    shared without any retraining; examples/lenet in the repository shows how it was trained.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = run_demo(output or Path(folder) / "lenet5.tersor", quiet=as_json)
    if as_json:
        print_json({**result, "report": result["report"].to_dict()})
    else:
        _show(result, output)


def run_demo(target: Path, *, quiet: bool) -> dict[str, Any]:
    """Pack to ``target`` and measure both models."""
    from ...converters import from_onnx
    from ...packer import Recipe, pack
    from ...runtime import load
    from ...runtime.model import Model

    with as_file(files("tersor.cli") / "demo") as data:
        recipe = Recipe.from_toml(data / "recipe.toml")
        source = data / "lenet5.onnx"
        graph = from_onnx(source)
        with progress("packing LeNet-5", quiet) as step:
            report = pack(graph, target, recipe, progress=step)
        with np.load(data / "mnist_test_1000.npz") as archive:
            images, labels = archive["images"], archive["labels"]
        onnx_bytes = source.stat().st_size
    x = images[:, None].astype(np.float32) / 255
    with Model(graph) as dense, load(target) as packed:
        before, after = measure(dense, x, labels), measure(packed, x, labels)
    return {"report": report, "onnx_bytes": onnx_bytes, "packed_bytes": target.stat().st_size, "before": before, "after": after}


def measure(model: Model, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy on all images, and the median latency of one."""
    name = model.inputs[0].name
    (logits,) = model.run({name: x}).values()
    one: Mapping[str, np.ndarray] = {name: x[:1]}
    model.run(one)
    times: list[float] = []
    for _ in range(LATENCY_RUNS):
        begin = time.perf_counter()
        model.run(one)
        times.append(time.perf_counter() - begin)
    return {"accuracy": float((logits.argmax(1) == labels).mean()), "latency_ms": statistics.median(times) * 1e3}


def _show(result: dict[str, Any], output: Path | None) -> None:
    echo(*str(result["report"]).splitlines())
    before, after = result["before"], result["after"]
    rows = (
        ("accuracy", f"{before['accuracy']:.1%}", f"{after['accuracy']:.1%}"),
        ("file", f"{bytes_text(result['onnx_bytes'])} (ONNX)", f"{bytes_text(result['packed_bytes'])} (.tersor)"),
        ("latency of one image", f"{before['latency_ms']:.2f} ms", f"{after['latency_ms']:.2f} ms"),
    )
    print_table("LeNet-5 on 1,000 MNIST test images", ("", ">dense", ">packed"), rows)
    times = result["onnx_bytes"] / result["packed_bytes"]
    echo(f"{times:.1f} times smaller on disk, without retraining." + (f" Kept as {output}" if output else ""))
