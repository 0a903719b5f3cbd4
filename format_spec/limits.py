"""What a reader accepts before it allocates anything."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .errors import LimitError


@dataclass(frozen=True, repr=False)
class Limits:
    """Upper bounds (SPEC.md, section 6.1), each adjustable; a file over one raises :class:`LimitError`, whatever its checksums.

    ``name_bytes`` bounds each name, in UTF-8: names are compared, and messages show them. Texts of metadata and attributes are
    no names.
    ``items`` bounds everything that the manifest counts (strings, values, dimensions, tensors, nodes, names, attributes,
    numbers in lists), for a few compressed bytes can stand for millions. ``tensor_bytes`` and ``decoded_bytes`` are those of
    the dense tensors, of one and of all; an axis of length 0 counts as 1. ``activation_bytes`` bounds what a step computes, and
    the memory that a model's steps share: it is for the runtime, which knows them when it has the inputs' shapes.
    """

    manifest_bytes: int = 256 << 20
    name_bytes: int = 1 << 16
    sections: int = 1 << 20
    items: int = 1 << 20
    nodes: int = 1 << 18
    graph_depth: int = 16
    rank: int = 16
    tensor_bytes: int = 4 << 30
    decoded_bytes: int = 16 << 30
    activation_bytes: int = 16 << 30

    def __repr__(self) -> str:
        changed = (f.name for f in fields(self) if getattr(self, f.name) != f.default)
        return f"Limits({', '.join(f'{name}={getattr(self, name)}' for name in changed)})"

    def check(self, field: str, value: int) -> int:
        """Return ``value``, or raise :class:`LimitError` when it exceeds the limit called ``field``."""
        bound = getattr(self, field)
        if value > bound:
            raise LimitError(f"the file asks for {value:,} {field.replace('_', ' ')}; the limit is {bound:,} (Limits.{field})")
        return value


DEFAULT_LIMITS = Limits()

MOST_THREADS = 1024
"""More threads than that are a slip of the finger: no processor has so many cores, and starting them fails halfway."""
