"""From the start of a process to the first answer of AlexNet: kernels kept, and not; ONNX Runtime beside it.

    python benchmarks/start_up.py WORK_DIR

WORK_DIR is the folder of ``engine.py``; the model is made when it is not there. A process is timed from the first line of its
script to the answer of the first run: import, load, run. Printed are the median, the fastest and the slowest of several.

Kernels come from ``tersor warmup --cache DIR``, from a folder that nobody may write to, or are compiled: into an empty folder,
or nowhere. "Read-only" is the package copied without write permission, with no home directory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from engine import prepare
from pages import write_block

import tersor.runtime

REPORT = """
import json
times = {"import": imported - begin, "load": loaded - imported, "run": done - loaded}
print(json.dumps({**times, "numba": "numba" in sys.modules}))
"""

OURS = """
import time
begin = time.perf_counter()
import sys
import numpy as np
from tersor.runtime import load
imported = time.perf_counter()
model = load(sys.argv[1], threads=int(sys.argv[2]))
loaded = time.perf_counter()
model.run({model.inputs[0].name: np.ones((1, 3, 224, 224), np.float32)})
done = time.perf_counter()
"""

PEER = """
import time
begin = time.perf_counter()
import sys
import numpy as np
import onnxruntime
imported = time.perf_counter()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
loaded = time.perf_counter()
session.run(None, {session.get_inputs()[0].name: np.ones((1, 3, 224, 224), np.float32)})
done = time.perf_counter()
"""

WARM_UP = "from tersor.cli.main import main; main()"
FOLDERS = ("format_spec", "runtime")


def start(code: str, model: Path, threads: int, variables: Mapping[str, str]) -> dict[str, float]:
    """Run ``code`` in a fresh process with exactly these environment variables."""
    command = [sys.executable, "-c", code + REPORT, str(model), str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=dict(variables), cwd="/")
    return json.loads(done.stdout)


def report(name: str, starts: list[dict[str, float]]) -> str:
    """One row of the table, printed as well."""
    totals = [s["import"] + s["load"] + s["run"] for s in starts]
    parts = [f"{statistics.median(s[key] for s in starts):.2f}" for key in ("import", "load", "run")]
    numba = "yes" if starts[0]["numba"] else "no"
    cells = [name, f"{statistics.median(totals):.2f} ({min(totals):.2f}-{max(totals):.2f})", *parts, numba]
    row = f"| {' | '.join(cells)} |"
    print(row, flush=True)
    return row


def copy_read_only(target: Path) -> None:
    """The runtime as an install that nobody may write to."""
    here = Path(tersor.runtime.__file__).resolve().parents[1]
    for folder in FOLDERS:
        shutil.copytree(here / folder, target / "tersor" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    close(target)


def close(folder: Path) -> None:
    """Take away every permission to write."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def reopen(folder: Path) -> None:
    """Let the owner write again, so that the folder can be deleted."""
    for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        path.chmod(0o755)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--network", default="alexnet")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--starts", type=int, default=5, help="processes for each figure but those that compile")
    parser.add_argument("--compiling", type=int, default=1, help="processes for each figure that holds all compilation")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the table into the block ``start`` of a page")
    args = parser.parse_args()
    files = prepare(args.network, args.work)
    packed, dense = files.packed.resolve(), files.dense.resolve()
    kept_paths = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache, install = folder / "cache", folder / "install"
        warm = {**kept_paths, "TERSOR_CACHE_DIR": str(cache)}
        subprocess.run([sys.executable, "-c", WARM_UP, "warmup", packed, "--cache", cache], check=True, env=warm)
        ours, theirs = [], []
        for _ in range(args.starts):
            ours.append(start(OURS, packed, args.threads, warm))
            theirs.append(start(PEER, dense, args.threads, kept_paths))
        rows = [report("kernels kept", ours), report("ONNX Runtime, dense", theirs)]
        copy_read_only(install)
        close(cache)
        homeless = {**kept_paths, "PYTHONPATH": str(install), "PYTHONDONTWRITEBYTECODE": "1", "HOME": os.devnull}
        read_only = {**homeless, "TERSOR_CACHE_DIR": str(cache)}
        starts = [start(OURS, packed, args.threads, read_only) for _ in range(args.starts)]
        rows.append(report("kernels kept, everything read-only, no home", starts))
        starts = [start(OURS, packed, args.threads, homeless) for _ in range(args.compiling)]
        rows.append(report("no cache folder, install read-only, no home", starts))
        empty = [{**kept_paths, "TERSOR_CACHE_DIR": str(folder / f"empty{i}")} for i in range(args.compiling)]
        rows.append(report("cache folder empty", [start(OURS, packed, args.threads, variables) for variables in empty]))
        if args.write:
            head = "| AlexNet, seconds | import + load + first answer | import | load | first answer | imports Numba |"
            write_block(args.write, "start", "\n".join([head, "|---|---:|---:|---:|---:|---|", *rows]))
        reopen(install)
        reopen(cache)


if __name__ == "__main__":
    main()
