"""The plain decoder where its extra is missing; the goldens test what it decodes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tersor.format_spec.errors import MissingExtra
from tersor.format_spec.reference import decode_file

GOLDENS = Path(__file__).parents[1] / "golden" / "valid"


def test_without_bitarray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitarray", None)
    with pytest.raises(MissingExtra, match=r"bitarray: pip install 'tersor\[pack\]'"):
        decode_file(GOLDENS / "sparse-convolution.tersor")
