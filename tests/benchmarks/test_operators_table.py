"""The page of operators says what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_operators_is_current() -> None:
    spec = importlib.util.spec_from_file_location("operators_table", ROOT / "benchmarks" / "operators_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert module.page() == written, "run: python benchmarks/operators_table.py docs/operators.md"
