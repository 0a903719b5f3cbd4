from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tersor.packer.accounting import LayerAccount
from tersor.packer.error import TensorError
from tersor.packer.report import PackReport, TensorReport

ACCOUNT = LayerAccount("fc6", 1000, 80, 4, 5, 4, 3.9, 3.2)
WEIGHT = TensorReport(
    "fc6[w]",
    "fc",
    "float32",
    (10, 100),
    {"codes": 40, "gaps": 30, "codebook": 128, "head": 5},
    ACCOUNT,
    TensorError(0.125, 0.5),
)
BIAS = TensorReport("bias :smile:", "other", "float32", (10,), {"values": 40})
REPORT = PackReport("compact", 300, (WEIGHT, BIAS), {"manifest": 50, "padding": 7})


def test_items_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="add up to 300 bytes, the file has 301"):
        replace(REPORT, file_bytes=301)


def test_totals():
    assert REPORT.dense_bytes == 4040
    assert REPORT.ratio == 4040 / 300
    assert REPORT.items == {"codes": 40, "gaps": 30, "codebook": 128, "head": 5, "values": 40, "manifest": 50, "padding": 7}
    assert sum(REPORT.items.values()) == REPORT.file_bytes
    assert REPORT.paper.pq_rate == ACCOUNT.pq_rate
    assert REPORT.paper.weights == 1000


def test_the_table_shows_the_papers_columns_beside_real_bytes():
    lines = str(REPORT).splitlines()

    def words(start: str) -> str:
        return " ".join(next(line for line in lines if line.startswith(start)).split())

    assert lines[0].split() == ["weight", "weight", "index", "index"]
    assert lines[1].split()[:8] == ["weights", "density", "bits", "bits", "bits", "bits", "rate", "rate"]
    assert lines[1].split()[8:] == ["file", "file", "error"]
    assert words("tensor") == f"tensor kind{' P+Q P+Q+H' * 3} bytes rate L2"
    assert words("fc6") == "fc6[w] fc 1,000 8.0% 5 3.9 4 3.2 5.56% 5.06% 203 5.08% 12.50%"
    assert words("1 other") == "1 other tensors 10 40 100.00%"
    assert words("total").startswith("total 1,000 8.0% 5.56% 5.06% 243 6.01%")
    assert "file: 300 bytes (compact profile), 13.47 times smaller than its tensors' 4,040 bytes" in lines
    assert "of these: codes 40, gaps 30, codebook 128, head 5, values 40, manifest 50, padding 7" in lines
    assert "by the paper's formula (weights alone): 203 bytes, 19.75 times smaller" in lines


def test_a_notebook_shows_the_table():
    assert repr(REPORT) == str(REPORT)


def test_names_cannot_command_the_terminal():
    evil = replace(WEIGHT, name="w\x1b[2J\x07\n[red]total")
    shown = str(replace(REPORT, tensors=(evil, BIAS)))
    assert r"w\x1b[2J\x07\n[red]total  fc" in shown
    assert shown.replace("\n", "").isprintable()


def test_the_text_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch):
    wide = str(REPORT)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert str(REPORT) == wide
    assert "\x1b" not in wide
    assert all(line == line.rstrip() for line in wide.splitlines())


def test_long_names_are_not_cut():
    name = "encoder." * 40 + "weight"
    assert name in str(replace(REPORT, tensors=(replace(WEIGHT, name=name), BIAS)))


def test_what_did_not_change_is_exact_and_what_is_unknown_is_blank():
    exact = str(replace(REPORT, tensors=(replace(WEIGHT, error=TensorError()), BIAS)))
    assert "exact" in exact
    assert "exact" not in str(replace(REPORT, tensors=(replace(WEIGHT, error=None), BIAS)))


def test_a_file_of_nothing_prints():
    assert "file: 60 bytes" in str(PackReport("compact", 60, (), {"header": 60}))


def test_plain_values_survive_json():
    data = json.loads(json.dumps(REPORT.to_dict()))
    assert data["ratio"] == REPORT.ratio
    assert data["paper"]["rate_pqh"] == REPORT.paper.pqh_rate
    first, second = data["tensors"]
    assert (first["packed_bytes"], first["dense_bytes"], first["relative_error"]) == (203, 4000, 0.125)
    assert first["paper"]["weight_bits_huffman"] == 3.9
    assert (second["paper"], second["relative_error"]) == (None, None)
