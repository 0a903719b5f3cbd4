"""SPEC.md and the code say the same figures, and its example is the file that it says."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np

from tersor.format_spec import spec_tables
from tersor.format_spec.reference import decode_file

TEXT = (files("tersor.format_spec") / "SPEC.md").read_text(encoding="utf-8")


def test_every_table_of_the_specification_is_current():
    assert {match[2] for match in spec_tables.BLOCK.finditer(TEXT)} == set(spec_tables.TABLES)
    assert spec_tables.fill(TEXT) == TEXT, "run: python -m tersor.format_spec.spec_tables format_spec/SPEC.md"


def test_the_example_is_a_file_with_its_tensor():
    rows = re.findall(r"^\| (\d+) \| ((?:[0-9a-f]{2} ?)+) \| ", TEXT.partition("A file, byte by byte")[2], re.MULTILINE)
    data = b""
    for offset, written in rows:
        assert int(offset) == len(data)
        data += bytes.fromhex(written)
    ((name, tensor),) = decode_file(data).initializers.items()
    assert (name, tensor.dtype) == ("w", np.float32)
    np.testing.assert_array_equal(tensor.dense(), [[0, 2, 0, 0], [0, 0, -1, 2]])
    assert f"\n{len(data)} bytes that hold one tensor" in TEXT
