"""What a reader accepts before it allocates anything."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import LimitError


@dataclass(frozen=True)
class Limits:
    """Upper bounds, each adjustable; a file over one raises :class:`LimitError`, whatever its checksums say."""

    manifest_bytes: int = 256 << 20
    sections: int = 1 << 20
    nodes: int = 1 << 20
    strings: int = 1 << 22
    graph_depth: int = 16
    rank: int = 16
    tensor_bytes: int = 4 << 30
    decoded_bytes: int = 16 << 30

    def check(self, field: str, value: int) -> int:
        """Return ``value``, or raise :class:`LimitError` when it exceeds the limit called ``field``."""
        bound = getattr(self, field)
        if value > bound:
            raise LimitError(f"the file asks for {value:,} {field.replace('_', ' ')}; the limit is {bound:,} (Limits.{field})")
        return value


DEFAULT_LIMITS = Limits()
