"""The two memory modes on the AlexNet stand-in: latency, peak memory of a process, and bytes of the weights that are kept.

    python benchmarks/memory.py [alexnet.tersor] [--threads 1 2]

Each mode has a process of its own, and they take turns with ONNX Runtime on the same weights, dense. Peaks are the operating
system's, everything imported included; kernels come from the cache.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tersor.cli._engines import Contestant, compete
from tersor.cli._inputs import random_inputs
from tersor.converters import from_onnx, to_onnx
from tersor.format_spec.container import open_container
from tersor.format_spec.model_file import read_graph
from tersor.packer import Recipe, pack
from tersor.runtime import load
from tersor.runtime.decode import decode


def build(folder: Path) -> Path:
    """The stand-in, packed losslessly."""
    onnx, packed = folder / "alexnet.onnx", folder / "alexnet.tersor"
    subprocess.run([sys.executable, str(Path(__file__).with_name("standins.py")), "alexnet", str(onnx)], check=True)
    pack(from_onnx(onnx), packed, Recipe.lossless())
    return packed


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", help="a packed model instead of the stand-in")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        packed, dense = arguments.model or build(Path(folder)), Path(folder) / "dense.onnx"
        with open_container(packed) as container:
            to_onnx(read_graph(container, decode), dense)
        with load(packed) as model:
            inputs = random_inputs(model.inputs, 0, {})
        print(f"{packed.name}: {packed.stat().st_size:,} bytes")
        for memory in ("expanded", "streamed"):
            with load(packed, memory=memory) as model:
                kept = sum(row.weight_bytes for row in model.plan({n: x.shape for n, x in inputs.items()}).rows())
            print(f"{memory}: {kept:,} bytes of weights kept, {kept / packed.stat().st_size:.2f} times the file")
        for threads in arguments.threads:
            engines = [Contestant("tersor", packed), Contestant("tersor_streamed", packed), Contestant("onnxruntime", dense)]
            found = compete(engines, inputs, threads, arguments.rounds, 0.2)
            for name, latency in found.items():
                times = f"{latency.median * 1e3:7.2f} ms ({latency.low * 1e3:.2f} to {latency.high * 1e3:.2f})"
                print(f"threads {threads}, {name:16} {times}, peak {latency.peak / 1e6:6.1f} MB")
            print(f"streamed takes {found['tersor_streamed'].median / found['tersor'].median:.2f} times as long as expanded")


if __name__ == "__main__":
    main()
