"""Kinds of arguments and options: what click lets through reaches a verb as a value that it can use."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import click

Sizes: TypeAlias = "Sequence[tuple[str, int]]"
"""Names of dimensions, each with its size."""


class FilePath(click.Path):
    """The path of a file. Whether it can be read or written is found by doing so, and is no matter of usage."""

    def __init__(self) -> None:
        super().__init__(readable=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; fails with click's usage error when it is the empty text that an unset variable leaves, or the dash that
        other programs take for a stream."""
        if value == "":
            self.fail("the name is empty", param, ctx)
        if value == "-":
            self.fail("- stands for no stream: read standard input as /dev/stdin, write to a file", param, ctx)
        return super().convert(value, param, ctx)


class ByteCount(click.ParamType):
    """A number of bytes: ``200000``, or ``8G`` with one of the suffixes k, M, G, T (powers of 1000)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; fails with click's usage error."""
        if isinstance(value, int):
            return value
        number, suffix = (value[:-1], value[-1:]) if value[-1:] in ("k", "K", "M", "G", "T") else (value, "")
        if not number.isascii() or not number.isdecimal() or not int(number):
            self.fail(f"{value!r} is not a size such as 200000, 500M or 8G", param, ctx)
        return int(number) * 1000 ** ("kMGT".index(suffix.replace("K", "k")) + 1 if suffix else 0)


class DimensionSize(click.ParamType):
    """A dimension that a model leaves open and its size: ``DIM=N``."""

    name = "dimension"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Name and size; fails with click's usage error."""
        if isinstance(value, tuple):
            return value
        name, _, number = value.rpartition("=")
        if not name or not number.isdecimal():
            self.fail(f"{value!r} is not DIM=N, as in N=8", param, ctx)
        return name, int(number)


class Number(click.FloatRange):
    """A finite number, ``nonzero`` where it divides; with the bounds of click's ``FloatRange``."""

    name = "number"

    def __init__(self, *, nonzero: bool = False, **bounds: Any) -> None:
        super().__init__(**bounds)
        self._nonzero = nonzero

    def _describe_range(self) -> str:
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails with click's usage error."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        if self._nonzero and number == 0:
            self.fail("0 cannot be divided by", param, ctx)
        return number


class Numbers(click.ParamType):
    """One number, or several with commas between them: each is a :class:`Number`."""

    name = "numbers"

    def __init__(self, each: Number) -> None:
        self._each = each

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers; fails with click's usage error."""
        return tuple(self._each.convert(part, param, ctx) for part in value.split(","))
