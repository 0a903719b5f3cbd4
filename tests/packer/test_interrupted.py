"""A packing that does not come to its end leaves the old file or the whole new one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .interruptions import KILLS

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked, killed and limited as POSIX has it")


def interrupt(how: str, folder: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.packer.interruptions", how, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    seen = interrupt("kill", tmp_path)
    assert seen.get("old", 0) + seen.get("new", 0) == KILLS
    assert seen["new"] > 0
    assert seen["parts"] > 0


def test_a_full_disk(tmp_path: Path) -> None:
    assert interrupt("full", tmp_path) == {"status 1": 5, "old": 5, "files": 5}
