"""The page of operators, and the list of their modules, say what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_page_and_list_of_operators_are_current() -> None:
    spec = importlib.util.spec_from_file_location("operators_table", ROOT / "benchmarks" / "operators_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    command = "run: python benchmarks/operators_table.py docs/operators.md --modules runtime/ops/_modules.py"
    assert module.page() == written, command
    assert module.modules() == (ROOT / "runtime" / "ops" / "_modules.py").read_text(encoding="utf-8"), command
