"""The jitted decoders stay inside their arrays: in memory that ends there, and with Numba's own bounds checks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tersor.format_spec.codecs import codecs

ROOT = Path(__file__).parents[2]
CODECS = {f"codec-{codec}" for codec in codecs()}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")


def decode_in_guarded_memory(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.guarded_decoding", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300)


def check(result: subprocess.CompletedProcess[str], *, bounds_checked: bool) -> None:
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["bounds_checked"] is bounds_checked
    assert set(facts["codecs"]) == CODECS
    assert facts["outcomes"]["decoded"] > 100
    assert facts["outcomes"]["FormatError"] > 1000


def test_the_guard_notices_one_byte_too_many() -> None:
    result = decode_in_guarded_memory("--overrun")
    assert result.stdout == "inside: fine\n"
    assert result.returncode in (-signal.SIGSEGV, -signal.SIGBUS)


def test_raw_pointers_stay_inside_guarded_memory() -> None:
    check(decode_in_guarded_memory("--inputs", "600"), bounds_checked=False)


def test_indices_stay_inside_with_bounds_checks(tmp_path: Path) -> None:
    environment = {"NUMBA_BOUNDSCHECK": "1", "TERSOR_CACHE_DIR": str(tmp_path)}
    check(decode_in_guarded_memory("--inputs", "300", "--seed", "1", **environment), bounds_checked=True)
