"""Files that go into a verb and come out of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from tersor.cli._sources import beside, keep_apart, naming
from tersor.format_spec.errors import FormatError, InputError


@pytest.mark.parametrize("text", ["damaged", "a.tersor: damaged"])
def test_errors_name_the_file_once(text: str):
    with pytest.raises(FormatError) as caught, naming(Path("a.tersor")):
        raise FormatError(text, offset=3)
    assert str(caught.value) == "a.tersor: damaged (at byte 3)"
    assert caught.value.offset == 3


def test_errors_about_something_else_do_not_name_it():
    with pytest.raises(InputError, match=r"^x is missing$"), naming(Path("a.tersor")):
        raise InputError("x is missing")


def test_an_output_is_kept_apart_under_every_name(tmp_path: Path):
    read, other = tmp_path / "read", tmp_path / "other"
    read.touch()
    (tmp_path / "hard").hardlink_to(read)
    (tmp_path / "soft").symlink_to(read)
    for output in (read, tmp_path / "hard", tmp_path / "soft", tmp_path / "." / "read"):
        with pytest.raises(click.UsageError, match="would replace"):
            keep_apart(output, other, read)
    keep_apart(other, read, None)
    keep_apart(None, read)


def test_a_link_that_names_itself_is_no_file_that_is_read(tmp_path: Path):
    (tmp_path / "read").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    keep_apart(tmp_path / "loop", tmp_path / "read")


def test_a_folder_has_no_output_beside_it(tmp_path: Path):
    assert beside(tmp_path / "net.onnx", ".tersor") == tmp_path / "net.tersor"
    for folder in (tmp_path, Path(), Path("/")):
        with pytest.raises(IsADirectoryError, match="is a folder"):
            beside(folder, ".tersor")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among files")
def test_a_pipe_is_read_once(model: Path, packed: Path, run: Callable[..., Result], tmp_path: Path):
    pipe, target = tmp_path / "pipe", tmp_path / "out.tersor"
    os.mkfifo(pipe)
    for source, arguments in (
        (model, ("pack", pipe, "--lossless", "-q", "-o", target)),
        (model, ("pack", pipe, "--lossless", "-q", "-o", target)),  # over what is there
        (packed, ("verify", pipe)),
        (packed, ("inspect", pipe)),
    ):
        writer = threading.Thread(target=lambda source=source: pipe.write_bytes(source.read_bytes()))
        writer.start()
        result = run(*arguments)
        writer.join()
        assert result.exit_code == 0, (arguments, result.output)
    assert target.read_bytes() == packed.read_bytes()
