"""Size, packing cost and start-up of the AlexNet stand-in: 61 M weights, pruned and shared by the packer itself.

    python benchmarks/foundation.py

Two packs, each in a process of its own whose peak memory is the operating system's figure: from He-normal fp32 weights
(prune and k-means, at the densities and bits of Deep Compression's Table 4), and of the stand-in, already pruned and shared, as
it is (lossless). The second file is the one that is run. Yardsticks from the same run: ``numpy.sort`` of fc6's weights,
and ONNX Runtime loading and running the dense model in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LOSSLESS = """
import json, sys, time
from tersor.converters import from_onnx
from tersor.packer import Recipe, pack
begin = time.perf_counter()
report = pack(from_onnx(sys.argv[1]), sys.argv[2], Recipe.lossless(), threads=2)
print(report, file=sys.stderr)
print(json.dumps({"seconds": time.perf_counter() - begin}))
"""

PACK = """
import json, resource, sys, time
from tersor.converters import from_onnx
from tersor.packer import Layer, Recipe, pack
from standins import ALEXNET_DENSITIES
begin = time.perf_counter()
rules = {f"{name}_w*": Layer(bits=8 if name.startswith("conv") else 5, density=d) for name, d in ALEXNET_DENSITIES.items()}
report = pack(from_onnx(sys.argv[1]), sys.argv[2], Recipe(rules=rules), threads=2)
print(report, file=sys.stderr)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - begin, "peak": peak}))
"""

RUN = """
import time
begin = time.perf_counter()
import numpy as np
from tersor.runtime import load
imported = time.perf_counter()
model = load({path!r})
model.run({{model.inputs[0].name: np.ones((1, 3, 224, 224), np.float32)}})
done = time.perf_counter()
import json, resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({{"import": imported - begin, "total": done - begin, "peak": peak}}))
"""

RUN_PEER = """
import time
begin = time.perf_counter()
import numpy as np
import onnxruntime
imported = time.perf_counter()
session = onnxruntime.InferenceSession({path!r}, providers=["CPUExecutionProvider"])
session.run(None, {{session.get_inputs()[0].name: np.ones((1, 3, 224, 224), np.float32)}})
done = time.perf_counter()
import json, resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({{"import": imported - begin, "total": done - begin, "peak": peak}}))
"""


def python(code: str, *arguments: str) -> dict[str, float]:
    """Run ``code`` in a fresh process; the JSON object it prints."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
    return json.loads(done.stdout)


def medians(code: str, starts: int) -> dict[str, float]:
    """Median of each figure over ``starts`` processes, after one that does not count."""
    runs = [python(code) for _ in range(starts + 1)][1:]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="processes whose median counts, for each engine")
    starts = parser.parse_args().starts
    with tempfile.TemporaryDirectory() as folder:
        standin, dense = Path(folder) / "standin.onnx", Path(folder) / "dense.onnx"
        packed, shared = Path(folder) / "standin.tersor", Path(folder) / "kmeans.tersor"
        for arguments in ([standin], [dense, "--fp32"]):
            subprocess.run([sys.executable, "standins.py", "alexnet", *arguments], check=True, cwd=Path(__file__).parent)
        weights = np.random.default_rng(0).standard_normal(9216 * 4096, np.float32)
        begin = time.perf_counter()
        np.sort(weights)
        print(f"yardstick: numpy.sort of 37.7 M weights {time.perf_counter() - begin:.2f} s")
        figures = python(PACK, str(dense), str(shared))
        size = f"{shared.stat().st_size:,} bytes"
        print(
            f"prune + k-means + encode: {figures['seconds']:.1f} s on 2 threads, peak {figures['peak'] / 1e6:,.0f} MB, {size}"
        )
        figures = python(LOSSLESS, str(standin), str(packed))
        size = f"{packed.stat().st_size:,} bytes (paper, by its formula: 6.9 MB), dense ONNX {standin.stat().st_size:,}"
        print(f"stand-in, lossless: {figures['seconds']:.1f} s, {size}")
        for name, code, path in (("tersor", RUN, packed), ("ONNX Runtime", RUN_PEER, standin)):
            run = medians(code.format(path=str(path)), starts)
            print(
                f"fresh process, {name}: import {run['import']:.2f} s, import + load + first run {run['total']:.2f} s, "
                f"peak {run['peak'] / 1e6:,.0f} MB"
            )


if __name__ == "__main__":
    main()
