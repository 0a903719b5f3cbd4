from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1.weight:0/é 名", "conv1.weight:0/é 名"),
        ("w\x1b]0;title\x07\x1b[2J", r"w\x1b]0;title\x07\x1b[2J"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\u202egnp.exe\x9b31m\ud800", r"\u202egnp.exe\x9b31m\ud800"),
        ("", ""),
    ],
)
def test_only_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_the_result_is_printable(text: str) -> None:
    assert printable(text).isprintable()
