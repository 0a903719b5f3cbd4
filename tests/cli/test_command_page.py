"""``docs/command.md``: its exit codes and the keys of ``--json`` are those of the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tersor.cli.main import EXIT_CODES

from .conftest import Run

PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w[\w -]*)` \| (.*) \|$", PAGE, re.MULTILINE))


def keys(title: str) -> set[str]:
    """The keys that the page lists, those of rows that it refers to among them."""
    text = ROWS[title]
    own = text.replace("those of `report`", "")
    referred = title.partition(" ")[0] if text.startswith("the same") else "report" if own != text else None
    return set(re.findall(r"`(\w+)`", own)) | (keys(referred) if referred else set())


@pytest.fixture
def files(packed: Path, tmp_path: Path) -> dict[str, Path]:
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 6, 6), np.float32))
    return {"FILE": packed, "MODEL": packed.with_suffix(".onnx"), "X": tmp_path / "x.npy", "DIR": tmp_path}


@pytest.mark.parametrize(
    ("title", "arguments"),
    [
        ("pack", "pack MODEL -o DIR/a"),
        ("repack", "repack FILE --profile max -o DIR/a"),
        ("report", "report FILE"),
        ("inspect", "inspect FILE"),
        ("inspect --plan", "inspect FILE --plan"),
        ("verify", "verify FILE"),
        ("verify --against", "verify FILE --against MODEL"),
        ("run", "run FILE X"),
        ("run --trace", "run FILE X --trace DIR/t.json"),
        ("bench", "bench FILE --rounds 1 --seconds 0"),
        ("bench --against", "bench FILE --rounds 1 --seconds 0 --against onnxruntime"),
        ("warmup", "warmup FILE"),
        ("unpack", "unpack FILE DIR/a.npz"),
        ("sign --new-key", "sign --new-key DIR/k.pem"),
        ("demo", "demo"),
    ],
)
def test_json_has_the_keys_of_the_page(run: Run, files: dict[str, Path], title: str, arguments: str):
    given = [re.sub("FILE|MODEL|X|DIR", lambda m: str(files[m[0]]), word) for word in arguments.split()]
    result = run(*given, "--json")
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)) == keys(title)


def test_json_of_a_signature_has_the_keys_of_the_page(run: Run, files: dict[str, Path], tmp_path: Path):
    assert run("sign", "--new-key", tmp_path / "k.pem").exit_code == 0
    result = run("sign", files["FILE"], "--key", tmp_path / "k.pem", "-o", tmp_path / "s", "--json")
    assert set(json.loads(result.stdout)) == keys("sign")


def test_exit_codes_are_those_of_the_help():
    listed = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert listed == re.findall(r"(\d+) ([^;.]+)", EXIT_CODES.replace("\n", " "))
