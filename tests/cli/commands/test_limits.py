"""How large tensors may be, said on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("verb", ["pack", "repack", "report"])
def test_tensors_beyond_the_limit_are_refused_and_allowed(run, model: Path, packed: Path, tmp_path: Path, verb: str):
    output = ["-o", tmp_path / "out.tersor"]
    arguments = {"pack": [model, *output], "repack": [packed, "--profile", "paper", *output], "report": [packed]}[verb]
    refused = run(verb, *arguments, "--max-decoded-bytes", "100")
    assert refused.exit_code == 4, refused.output
    assert not list(tmp_path.iterdir())
    assert run(verb, *arguments, "--max-decoded-bytes", "1M").exit_code == 0
