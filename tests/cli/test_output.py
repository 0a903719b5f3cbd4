"""What is printed for people, with names that come from files, and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from rich.table import Table

from tersor.cli._output import fit, print_json, progress, require
from tersor.format_spec.errors import MissingExtra
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import pack

EVIL = "w\x1b]0;title\x07\x1b[2J\n[/red]:smile:"
SHOWN = r"w\x1b]0;title\x07\x1b[2J\n[/red]:smile:"

Run = Callable[..., Result]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file in which every name and text is hostile."""
    x, y = (Value(name + EVIL, TensorType("float32", (EVIL, 20))) for name in "xy")
    node = Node("MatMul", EVIL, (x.name, EVIL), (y.name,))
    weights = {EVIL: DenseTensor.of(np.arange(400, dtype=np.float32).reshape(20, 20))}
    path = tmp_path / "model.tersor"
    pack(Graph(EVIL, (x,), (y,), (node,), weights, {EVIL: EVIL}), path)
    return path


@pytest.mark.parametrize("verb", [["inspect"], ["inspect", "--plan"], ["report"], ["verify"], ["run"]], ids=" ".join)
def test_names_cannot_command_the_terminal(verb: list[str], run: Run, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 20), np.float32))
    result = run(verb[0], model, *verb[1:], *([tmp_path / "x.npy", "--trace", tmp_path / "t.json"] if verb == ["run"] else []))
    assert result.exit_code == 0, result.output
    assert result.output.replace("\n", "").isprintable()
    if verb != ["verify"]:
        assert SHOWN in result.output


def test_an_error_is_one_line_that_can_be_shown(run: Run, model: Path, tmp_path: Path) -> None:
    result = run("verify", tmp_path / f"none{EVIL}")
    assert result.exit_code == 1
    assert result.output.removesuffix("\n").isprintable()
    assert r"\x1b[2J" in result.output


def test_names_under_a_progress_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a bar is drawn on what is a terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress(f"packing {{x}} {EVIL}", quiet=False) as step:
        step(EVIL, 1, 2)
    shown = capsys.readouterr().err
    assert r"title\x07" in shown
    assert "\x07" not in shown
    assert "{x}" in shown


def test_no_progress_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("working", quiet=False) as step:
        step("w", 1, 2)
    assert capsys.readouterr().err == ""


def test_json_has_no_constants_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [nan, inf, (-inf, 1.5)], "b": None, "c": True})
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found == {"a": ["NaN", "Infinity", ["-Infinity", 1.5]], "b": None, "c": True}


def test_a_package_that_is_missing_is_told_by_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert require("json", "pack") is json
    with pytest.raises(MissingExtra, match=r"this needs nowhere: pip install 'tersor\[images\]'"):
        require("nowhere.at_all", "images")
    (tmp_path / "half.py").write_text("import nowhere")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'nowhere'") as found:
        require("half", "images")
    assert not isinstance(found.value, MissingExtra)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(100, []), (62, ["three"]), (40, ["one", "two", "three"]), (1, ["kernel", "one", "two", "three"])],
)
def test_a_narrow_terminal_shows_fewer_columns(width: int, left_out: list[str]) -> None:
    made = Table("name", "operator", "kernel", "one", "two", "three")
    made.add_row("a" * 60, "Conv + Relu", "dense", "1,000,000", "2", "3")
    assert fit(made, width) == left_out
    assert len(made.columns) == 6 - len(left_out)
