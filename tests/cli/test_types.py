"""What arguments and options take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest

from tersor.cli._types import ByteCount, FilePath, Number, Numbers


def test_an_unreadable_file_is_no_mistake_of_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert FilePath().convert(str(tmp_path / "file"), None, None) == tmp_path / "file"


@pytest.mark.parametrize(("text", "count"), [("200000", 200_000), ("1k", 1000), ("2K", 2000), ("500M", 5 * 10**8)])
def test_sizes_have_suffixes(text: str, count: int):
    assert ByteCount().convert(text, None, None) == count


def test_numbers_are_as_many_as_there_are_commas():
    assert Numbers(Number()).convert("0.5,-1", None, None) == (0.5, -1.0)


def test_a_number_without_bounds_shows_none():
    option = click.Option(["--scale"], type=Number(nonzero=True), default=1.0, show_default=True, help="Divide.")
    assert option.get_help_record(click.Context(click.Command("c"))) == ("--scale NUMBER", "Divide.  [default: 1.0]")
    assert Number(min=0)._describe_range() == "x>=0"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (FilePath(), "", "the name is empty"),
        (FilePath(), "-", "read standard input as /dev/stdin"),
        (Number(), "nan", "not a finite number"),
        (Number(), "-inf", "not a finite number"),
        (Number(), "a", "not a valid number"),
        (Number(min=0), "-1", "not in the range"),
        (Number(nonzero=True), "-0.0", "cannot be divided by"),
        (Numbers(Number(nonzero=True)), "1,0", "cannot be divided by"),
        (Numbers(Number()), "1,", "not a valid number"),
    ],
)
def test_what_is_refused(kind: Any, text: str, message: str):
    with pytest.raises(click.BadParameter, match=message):
        kind.convert(text, None, None)
