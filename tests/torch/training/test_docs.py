"""The documentation's example runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")]


def test_complete_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "training.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/training.md", "exec"), names)
    assert names["report"].file_bytes == (tmp_path / "stripes.tersor").stat().st_size < 5_000
    right = re.search(r"([\d.]+)% right", capsys.readouterr().out)
    assert right is not None
    assert float(right[1]) > 95
