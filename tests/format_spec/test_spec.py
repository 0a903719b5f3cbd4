"""SPEC.md and the code say the same figures."""

from __future__ import annotations

from importlib.resources import files

from tersor.format_spec import spec_tables


def test_every_table_of_the_specification_is_current():
    text = (files("tersor.format_spec") / "SPEC.md").read_text(encoding="utf-8")
    assert {match[2] for match in spec_tables.BLOCK.finditer(text)} == set(spec_tables.TABLES)
    assert spec_tables.fill(text) == text, "run: python -m tersor.format_spec.spec_tables format_spec/SPEC.md"
