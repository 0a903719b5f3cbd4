"""The committed files of ``examples/cifar10`` run and are as small as their table says. Needs no torch and no CIFAR-10."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tersor.runtime import load

MODELS = Path(__file__).parents[2] / "examples" / "cifar10" / "models"
ROWS = {row["file"]: row for row in json.loads((MODELS / "results.json").read_text())}
FILES = sorted(MODELS.glob("*.tersor"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_runs_and_is_as_small_as_the_table_says(path: Path) -> None:
    assert path.stat().st_size == ROWS[path.name]["file_bytes"]
    assert f"{path.stat().st_size:,}" in (MODELS / "RESULTS.md").read_text()
    images = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    with load(path) as model:
        together = model.run({"image": images})["logits"]
        alone = np.concatenate([model.run({"image": image[None]})["logits"] for image in images])
    assert together.shape == (3, 10)
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)


def test_dense_network_and_retrained_ones_are_there() -> None:
    assert "dense.tersor" in {path.name for path in FILES}
    assert len(FILES) > 1
