"""Text from files, made safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""``text``, each character that is not printable written as Python writes it in a string: ``\n``, ``\x1b``, ``\u202e``.

    Names come from files, and a terminal obeys the control sequences in what it shows.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
