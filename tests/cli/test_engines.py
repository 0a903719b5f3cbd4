"""Engines in processes of their own: how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tersor.cli._engines import WORKER, Contestant, Engine


@pytest.fixture
def given(tmp_path: Path) -> Path:
    np.savez(tmp_path / "inputs.npz", x=np.zeros((1, 1, 6, 6), np.float32))
    return tmp_path / "inputs.npz"


def test_an_interrupt_ends_the_engine_at_once(packed: Path, given: Path):
    with pytest.raises(KeyboardInterrupt), Engine(Contestant("tersor", packed), 1, given) as engine:
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="closed file"):
        engine.ask()


def test_the_worker_ends_quietly_with_its_reader(packed: Path, given: Path):
    command = [sys.executable, str(WORKER), "tersor", str(packed), "1", str(given)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdout.close()
        assert worker.stderr.read() == b""
