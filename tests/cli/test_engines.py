"""Engines in processes of their own: how they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tersor.cli._engines import WORKER, Contestant, Engine, EngineStopped


@pytest.fixture
def given(tmp_path: Path) -> Path:
    np.savez(tmp_path / "inputs.npz", np.zeros((1, 1, 6, 6), np.float32), np.array(["x"]))
    return tmp_path / "inputs.npz"


BUSY = """
import json, os, pathlib, sys, time
print(json.dumps({"answer": os.getsid(0)}), flush=True)
time.sleep(10)
pathlib.Path(sys.argv[2]).with_name("ended by itself").touch()
"""


def test_limits_hold_in_the_worker(packed: Path, given: Path):
    with pytest.raises(EngineStopped, match="tensor_bytes") as caught:
        Engine(Contestant("tersor", packed, variables={"TERSOR_LIMITS": '{"tensor_bytes": 100}'}), 1, given)
    assert caught.value.exit_code == 4


@pytest.mark.skipif(os.name != "posix", reason="sessions are POSIX's")
def test_an_interrupt_ends_a_busy_engine_from_here(tmp_path: Path, given: Path):
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    engine = Engine(Contestant("busy", tmp_path / "model", script), 1, given)
    assert engine.ready != os.getsid(0)  # or the terminal would interrupt both
    with pytest.raises(KeyboardInterrupt), engine:
        raise KeyboardInterrupt
    assert not (tmp_path / "ended by itself").exists()


def test_the_worker_ends_quietly_with_its_reader(packed: Path, given: Path):
    command = [sys.executable, str(WORKER), "tersor", str(packed), "1", str(given)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdout.close()
        assert worker.stderr.read() == b""
