"""The benchmark of the weight codecs runs to its end, also where some of its levels are never drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "huffman.py"


def test_it_runs_on_few_symbols():
    command = [sys.executable, str(SCRIPT), "--symbols", "5000", "--repeats", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    titles = [line.partition(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [title.partition(",")[0] for title in titles] == ["32 levels", "256 levels", "sparse", "sparse"]
