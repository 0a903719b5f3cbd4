"""Fuzz without coverage, as fast as one process can: ``python -m tests.fuzz.throughput --seconds 600 --state state.json``.

Seeds are the golden files and the corpus. The input at work is kept in ``--last``, so that a crash leaves it there; an
exception, a disagreement of the twins or an input over ten seconds is written to ``--findings``. Counts add up in ``--state``.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import mmap
import resource
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from .mutate import mutate, mutate_inside
from .targets import seeds, targets

HERE = Path(__file__).parent
TURN = 0.25
"""Seconds of one target before the next has its turn."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", help="default: all")
    parser.add_argument("--state", type=Path, default=Path("fuzz-state.json"))
    parser.add_argument("--last", type=Path, default=Path("fuzz-last-input"))
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    return parser.parse_args()


def corpus(name: str) -> list[bytes]:
    """Golden seeds and the committed corpus of one target."""
    kept = [path.read_bytes() for path in sorted((HERE / "corpus" / name).glob("*"))]
    return seeds(name, HERE.parent / "golden") + kept or [bytes(8)]


def main() -> None:
    arguments = options()
    faulthandler.enable()
    random = Random(arguments.seed)
    chosen = {name: target for name, target in targets().items() if not arguments.targets or name in arguments.targets}
    inputs = {name: corpus(name) for name in chosen}
    for name, pool in inputs.items():
        for data in pool:
            chosen[name](data)  # compiles the kernels, which would look like a slow input
    state = json.loads(arguments.state.read_text()) if arguments.state.exists() else {}
    counts = {name: Counter(state.get("outcomes", {}).get(name, {})) for name in chosen}
    slowest = state.get("slowest_seconds", 0.0)
    findings = state.get("findings", 0)
    arguments.last.write_bytes(bytes(1 << 16))
    with arguments.last.open("r+b") as file, mmap.mmap(file.fileno(), 1 << 16) as last:
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            for name, target in chosen.items():
                pool = inputs[name]
                turn_end = time.monotonic() + TURN
                while time.monotonic() < turn_end:
                    seed = random.choice(pool)
                    change = mutate_inside if name == "file" else mutate
                    data = change(seed, random, other=random.choice(pool))
                    last[: len(data) + 4] = (len(data).to_bytes(4, "little") + data)[: 1 << 16]
                    begin = time.process_time()
                    try:
                        counts[name][target(data)] += 1
                    except BaseException as error:
                        if isinstance(error, KeyboardInterrupt):
                            raise
                        counts[name][f"finding: {type(error).__name__}"] += 1
                        findings += 1
                        keep(arguments.findings, name, data)
                    took = time.process_time() - begin
                    if took > slowest:
                        slowest = took
                        if took > 10:
                            keep(arguments.findings, f"{name}-slow", data)
            save(arguments.state, counts, state, slowest, findings)


def keep(folder: Path, name: str, data: bytes) -> None:
    """Write a finding and how it came about."""
    folder.mkdir(exist_ok=True)
    stem = f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    (folder / stem).write_bytes(data)
    (folder / f"{stem}.txt").write_text(traceback.format_exc())


def save(path: Path, counts: dict[str, Counter[str]], before: dict, slowest: float, findings: int) -> None:
    """Replace the state file."""
    outcomes = before.get("outcomes", {}) | counts
    result = {
        "inputs": sum(sum(c.values()) for c in outcomes.values()),
        "findings": findings,
        "slowest_seconds": round(slowest, 3),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "outcomes": outcomes,
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1))
    temporary.replace(path)


if __name__ == "__main__":
    main()
