"""The kinds of attribute value (SPEC.md, section 4.6)."""

from __future__ import annotations

from enum import IntEnum


class AttributeKind(IntEnum):
    """The byte before an attribute's value."""

    INT = 1
    FLOAT = 2
    STRING = 3
    INTS = 4
    FLOATS = 5
    STRINGS = 6
    TENSOR = 7
    GRAPH = 8
