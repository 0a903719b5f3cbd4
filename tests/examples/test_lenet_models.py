"""The committed files of ``examples/lenet`` run and are as small and as right as their table says. Needs no torch."""

from __future__ import annotations

import gzip
import json
import shutil
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tersor.runtime import load

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "lenet"
MODELS = EXAMPLES / "models"
RESULTS = json.loads((MODELS / "results.json").read_text())["files"]
FOLDERS = {"mnist": ".", "mnist-dense": "dense", "mnist-pipeline-2016": "pipeline_2016"}
FASHION_FILES = sorted((MODELS / "fashion").rglob("*.tersor"))
MNIST_ROWS = [{**row, "file": f"{folder}/{row['file']}"} for name, folder in FOLDERS.items() for row in RESULTS[name]]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture(scope="module")
def bundled() -> tuple[np.ndarray, np.ndarray]:
    with np.load(ROOT / "cli" / "demo" / "mnist_test_1000.npz") as arrays:
        return arrays["images"], arrays["labels"]


@pytest.mark.parametrize("row", MNIST_ROWS, ids=lambda row: row["file"])
def test_file_is_as_small_and_as_right_as_the_table_says(row: dict, bundled: tuple[np.ndarray, np.ndarray]) -> None:
    score = import_module("score")

    path = MODELS / row["file"]
    assert path.stat().st_size == row["file_bytes"]
    assert row["ratio"] == pytest.approx(score.TARGETS[row["network"]][0] / path.stat().st_size)
    # A thousand images are a sample of the ten thousand: four standard deviations.
    expected = row["test_error"]
    assert abs(score.test_error(path, *bundled) - expected) <= 4 * np.sqrt(expected * (100 - expected) / len(bundled[1]))


def test_every_file_is_in_the_table() -> None:
    score = import_module("score")
    for name, folder in (score.FOLDERS | score.FASHION).items():
        assert {path.name for path in (MODELS / folder).glob("*.tersor")} == {row["file"] for row in RESULTS.get(name, [])}


def test_batch_of_one_agrees_with_a_large_one(bundled: tuple[np.ndarray, np.ndarray]) -> None:
    preprocess = import_module("mnist").preprocess
    images = preprocess(bundled[0][:4])
    for row in MNIST_ROWS:
        with load(MODELS / row["file"]) as model:
            together = model.run({"image": images})["logits"]
            alone = np.concatenate([model.run({"image": image[None]})["logits"] for image in images])
        np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", FASHION_FILES, ids=lambda path: path.stem)
def test_fashion_files_answer_alike_alone_and_together(path: Path, bundled: tuple[np.ndarray, np.ndarray]) -> None:
    images = import_module("mnist").preprocess(bundled[0][:4])
    with load(path) as model:
        together = model.run({"image": images})["logits"]
        alone = np.concatenate([model.run({"image": image[None]})["logits"] for image in images])
    assert together.shape == (4, 10)
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)


def test_table_and_picture_come_from_the_results() -> None:
    plot = import_module("plot")
    score = import_module("score")

    table = (MODELS / "RESULTS.md").read_text()
    assert table == score.document(RESULTS)
    picture = plot.draw(RESULTS)
    assert (ROOT / "docs" / "training_curve.svg").read_text() == picture
    circles = [element for element in ElementTree.fromstring(picture).iter() if element.tag.endswith("circle")]
    assert len(circles) == sum(len(RESULTS.get(name, [])) for name in ("mnist", "fashion-mnist"))


def test_what_was_not_scored_stays_in_the_results(
    tmp_path: Path, bundled: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    score = import_module("score")
    data, models = tmp_path / "mnist", tmp_path / "models"
    data.mkdir()
    models.mkdir()
    for kind, values in (("images-idx3", bundled[0]), ("labels-idx1", bundled[1])):
        head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
        (data / f"t10k-{kind}-ubyte.gz").write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes(), 1))
    for ending in ("tersor", "json"):
        shutil.copy(MODELS / f"lenet-300-100_3500_0.{ending}", models)
    monkeypatch.setattr("sys.argv", ["score.py", str(data), "--models", str(models)])
    score.main()
    assert "fashion" not in (models / "RESULTS.md").read_text()

    shutil.copy(MODELS / "results.json", models)
    score.main()
    written = json.loads((models / "results.json").read_text())
    assert list(written["files"]) == list(written["medians"]) == list(RESULTS)
    assert {name: written["files"][name] for name in score.FASHION} == {name: RESULTS[name] for name in score.FASHION}
    assert [row["file"] for row in written["files"]["mnist"]] == ["lenet-300-100_3500_0.tersor"]
    assert (models / "RESULTS.md").read_text() == score.document(written["files"])


def test_idx_files_are_read_in_their_own_shape(tmp_path: Path) -> None:
    read_idx = import_module("mnist").read_idx
    path = tmp_path / "x-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"\x00\x00\x08\x03" + np.array([2, 3, 1], ">u4").tobytes() + bytes(range(6))))
    np.testing.assert_array_equal(read_idx(path), np.arange(6, dtype=np.uint8).reshape(2, 3, 1))
    path.write_bytes(gzip.compress(b"\x00\x00\x0d\x01" + bytes(4)))
    with pytest.raises(ValueError, match="not an IDX file of unsigned bytes"):
        read_idx(path)


def test_scripts_without_torch_do_not_import_it() -> None:
    for name in ("score", "plot", "mnist"):
        source = (EXAMPLES / f"{name}.py").read_text()
        assert "import torch" not in source
        assert "import onnx" not in source
