"""The kinds of attribute value (SPEC.md, section 4.6)."""

INT, FLOAT, STRING, INTS, FLOATS, STRINGS, TENSOR, GRAPH = range(1, 9)
