"""``docs/recipes.md``: its examples pack as the page says, and its tables have every key and default."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tersor.cli.main import cli
from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Layer, Recipe, pack
from tersor.packer._checks import PROFILES, SETTINGS
from tersor.packer.prune import methods
from tersor.packer.quantize import initialisations
from tersor.packer.recipe_toml import _SCALARS
from tersor.runtime import load_tensors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
EXAMPLE, ZEROS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_packs_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (command,) = re.findall(r"```\ntersor (.*)\n```", PAGE)
    (tmp_path / "cli" / "demo").mkdir(parents=True)
    shutil.copy(ROOT / "cli" / "demo" / "lenet5.onnx", tmp_path / "cli" / "demo")
    monkeypatch.chdir(tmp_path)
    Path("lenet5.toml").write_text(EXAMPLE, encoding="utf-8")
    result = CliRunner().invoke(cli, [*shlex.split(command), "--json"])
    assert result.exit_code == 0, result.output
    found = {tensor["name"]: tensor for tensor in json.loads(result.stdout)["tensors"]}
    paper = {
        name: (found[name]["paper"]["density"], found[name]["paper"]["weight_bits"]) for name in ("conv2.weight", "fc2.weight")
    }
    assert paper == {"conv2.weight": (0.7, 6), "fc2.weight": (1.0, 5)}
    assert found["fc1.weight"]["paper"]["density"] < 0.3
    assert found["conv1.weight"]["relative_error"] == 0


def test_signs_of_zeros_are_dropped_as_the_page_says_and_nothing_else(tmp_path: Path):
    rng, path = np.random.default_rng(0), tmp_path / "net.tersor"
    weights = (rng.normal(size=(40, 60)) * (rng.random((40, 60)) < 0.2)).astype(np.float32)
    assert np.signbit(weights[weights == 0]).any()
    node = Node("Gemm", "fc", ("x", "w", "b"), ("y",))
    x, y = (Value(name, TensorType("float32", (1, size))) for name, size in (("x", 40), ("y", 60)))
    tensors = {"w": DenseTensor.of(weights), "b": DenseTensor.of(-np.zeros(60, np.float32))}
    pack(Graph("net", (x,), (y,), (node,), tensors, {}, OPSET), path, Recipe.from_toml(ZEROS))
    with load_tensors(path) as packed:
        assert packed["w"].tobytes() == (weights + np.float32(0)).tobytes()
        assert packed["b"].tobytes() == tensors["b"].dense().tobytes()


def test_the_tables_have_every_key_and_default():
    rows = {key: (values, text) for key, values, text in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)}
    assert set(rows) == {*SETTINGS, *methods(), *_SCALARS}
    for key, names in (("init", initialisations()), ("profile", PROFILES)):
        assert set(re.findall(r"`(\w+)`", rows[key][0])) == set(names)
    stated = {key: match[1] for key, (_, text) in rows.items() if (match := re.search(r"Default `?(\w+)", text))}
    defaults = {key: getattr(source, key) for source in (Layer(), Recipe()) for key in rows if hasattr(source, key)}
    shown = {
        key: f"{value:g}" if isinstance(value, float) else str(value).replace("True", "true") for key, value in defaults.items()
    }
    assert stated == {key: text for key, text in shown.items() if defaults[key] is not None}
