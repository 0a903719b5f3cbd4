"""Random graphs by hand: ``python -m tests.runtime.random_graphs COUNT [FIRST_SEED]`` prints failures and what was covered."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from .graphs import build, check


def main() -> None:
    """Run graphs by hand."""
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    covered: Counter[str] = Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            source = np.random.default_rng([seed, 1])
            b = build(lambda n, source=source: int(source.integers(n)), seed)
            if not b.nodes:
                continue
            covered.update(node.op_type for node in b.nodes)
            try:
                check(b, Path(folder, "m.tersor"))
            except Exception as error:
                failed += 1
                ops = " ".join(node.op_type for node in b.nodes)
                sys.stdout.write(f"seed {seed}: {type(error).__name__}: {str(error).strip()[:300]}\n  {ops}\n")
    counts = ", ".join(f"{name} {number}" for name, number in covered.most_common())
    sys.stdout.write(f"{count} graphs, {failed} failures, {len(covered)} operators: {counts}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
