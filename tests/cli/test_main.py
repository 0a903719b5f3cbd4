"""What the command line says and returns when something goes wrong outside of its verbs, or in any of them."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click
import pytest
from click.testing import CliRunner

from tersor.cli.main import cli
from tersor.format_spec.errors import TersorError


class FullDisk(io.StringIO):
    """A stream with no room."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_standard_output_on_a_full_disk(option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "stdout", FullDisk())
    with pytest.raises(SystemExit, match="1"):
        cli.main([option])
    assert capsys.readouterr().err == "tersor: standard output, or a temporary file: No space left on device\n"


@pytest.mark.parametrize("arguments", [["--help"], ["warmup"]])
def test_interrupted(arguments: list[str], monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Group, "get_help", interrupt)
    monkeypatch.setattr("tersor.runtime.jit.cache.cache_folder", interrupt)
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 130
    assert result.stderr.strip() == "tersor: interrupted"


def test_too_little_memory(packed: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> NoReturn:
        raise MemoryError("Unable to allocate 27 GiB")

    monkeypatch.setattr("tersor.cli._inputs.random_inputs", fail)
    result = CliRunner().invoke(cli, ["warmup", str(packed)])
    assert result.exit_code == 4
    assert "Unable to allocate 27 GiB" in result.stderr


def test_traceback_shows_where_an_error_comes_from(tmp_path: Path):
    arguments = ["--traceback", "inspect", str(tmp_path / "none")]
    assert isinstance(CliRunner().invoke(cli, arguments).exception, OSError)


def test_callers_may_handle_errors_themselves(tmp_path: Path):
    (tmp_path / "empty").touch()
    with pytest.raises(TersorError, match="empty"):
        cli.main(["inspect", str(tmp_path / "empty")], standalone_mode=False)


def test_arguments_of_the_process_are_left_to_click(monkeypatch: pytest.MonkeyPatch):
    seen: list[object] = []
    monkeypatch.setattr(click.Group, "main", lambda self, args=None, **_: seen.append(args))
    monkeypatch.setattr(sys, "argv", ["tersor", "report", "*.tersor"])
    with pytest.raises(SystemExit):
        cli.main()
    assert seen == [None]  # it expands wildcards where the shell does not


def test_letters_that_a_terminal_has_no_code_for(packed: Path):
    command = [sys.executable, "-c", "from tersor.cli.main import main; main()", "report", str(packed)]
    done = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "latin-1"}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"conv.w" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_process_leaves_no_unfinished_file(model: Path, tmp_path: Path, name: str):
    code = f"""
import os, signal
signal.signal(signal.{name}, signal.SIG_DFL)  # a test runner under nohup ignores one
from tersor.cli.main import main
from tersor.packer import packing
packing._write = lambda *_: os.kill(os.getpid(), signal.{name})
main()
"""
    command = [sys.executable, "-c", code, "pack", str(model), "-o", str(tmp_path / "m.tersor"), "--quiet"]
    assert subprocess.run(command, check=False).returncode == 128 + getattr(signal, name)
    assert list(tmp_path.iterdir()) == []


def test_the_command_is_a_module_too():
    done = subprocess.run([sys.executable, "-m", "tersor.cli", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("tersor ")
    done = subprocess.run([sys.executable, "-m", "tersor.cli", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: python -m tersor.cli ")
