"""What the verbs share in talking to people and to programs."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..format_spec.errors import MissingExtra
from ..format_spec.limits import DEFAULT_LIMITS, MOST_THREADS, Limits
from ..format_spec.printable import printable
from ._types import ByteCount, DimensionSize

if TYPE_CHECKING:
    from rich.table import Column, Table

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object, for programs; numbers that are not finite are the strings NaN, Infinity and -Infinity.",
)
threads_option = click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), metavar="N", help="Threads to use  [default: the physical cores]"
)
batch_option = click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Size of every open dimension."
)
size_option = click.option(
    "--size",
    "sizes",
    type=DimensionSize(),
    multiple=True,
    metavar="DIM=N",
    help="Size of an open dimension: of its symbol, or of x[1] where it has none.",
)
"""Gives a verb ``sizes``, pairs for :func:`~tersor.cli._inputs.chosen_sizes`."""


def _use_cache(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        os.environ["TERSOR_CACHE_DIR"] = value
        try:
            Path(value).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            echo(f"tersor: kernels cannot be kept in {value}: {error.strerror}", err=True)


cache_option = click.option(
    "--cache",
    type=click.Path(file_okay=False),
    callback=_use_cache,
    expose_value=False,
    is_eager=True,
    metavar="DIR",
    help="Keep compiled kernels there  [default: $TERSOR_CACHE_DIR, or the user's cache folder]",
)
"""Lets a verb that runs models say where machine code is kept."""


BYTE_LIMITS = ("tensor_bytes", "decoded_bytes", "activation_bytes")
"""Fields of :class:`Limits` that ``--max-decoded-bytes`` sets."""


def _limits(ctx: click.Context, param: click.Parameter, value: int | None) -> Limits:
    return DEFAULT_LIMITS if value is None else Limits(**dict.fromkeys(BYTE_LIMITS, value))


memory_option = click.option(
    "--memory",
    type=click.Choice(["expanded", "streamed"]),
    default="expanded",
    show_default=True,
    help="Weights laid out for speed, or kept as they are in the file and decoded in every run.",
)

limits_option = click.option(
    "--max-decoded-bytes",
    "limits",
    type=ByteCount(),
    callback=_limits,
    metavar="SIZE",
    help="Refuse a file whose tensors decode, or a step of whose graph computes, more, as in 500M or 64G.  "
    f"[default: {DEFAULT_LIMITS.decoded_bytes >> 30} GiB, {DEFAULT_LIMITS.tensor_bytes >> 30} GiB a tensor]",
)
"""Gives a verb ``limits``, what a reader accepts."""


def echo(*lines: str, err: bool = False) -> None:
    """Lines on standard output, or standard error; what is not printable in them is escaped."""
    for line in lines:
        click.echo(printable(line), err=err)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], total: Sequence[str] = ()) -> None:
    """A table on standard output, what is not printable in it escaped.

    A column whose name starts with ``>`` is right-aligned; ``total`` is one more row, below a line. The table is as wide as
    the terminal, or wide enough for any when there is none; columns that do not fit are named.
    """
    from rich.console import Console
    from rich.table import Table

    made = Table(title=printable(title), title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(printable, row))
    if total:
        made.add_section()
        made.add_row(*map(printable, total))
    # Brackets and colons in names are no markup and no emoji.
    out = Console(highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out.width = 160
    left_out = fit(made, out.width)
    out.print(made)
    if left_out:
        echo(f"not shown: {', '.join(left_out)} (a wider terminal has room)")


READABLE = 16
"""Letters that a column gets before others are left out for it: longer words are folded."""


def fit(made: Table, width: int) -> list[str]:
    """Take from a table for a narrow terminal its last columns, rather than fold all of them into a few letters each.

    Returns their names.
    """
    left_out: list[str] = []
    while len(made.columns) > 2 and sum(map(_width, made.columns)) >= width:
        left_out.insert(0, str(made.columns.pop().header))
    return left_out


def _width(column: Column) -> int:
    """Letters that a column needs to be readable, with its space and line."""
    words = (word for cell in (column.header, *column.cells) for word in str(cell).split())
    return min(max(map(len, words), default=0), READABLE) + 3


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """``value`` with strings for the numbers that JSON does not have, spelled as in Protocol Buffers' JSON."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtra(f"this needs {error.name}: pip install 'tersor[{extra}]'") from None


@contextmanager
def progress(what: str, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar with the time left on standard error, if that is a terminal; yields ``step(name, done, total)``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    title, item = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[name]"))
    columns = (title, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), item)
    hidden = quiet or not sys.stderr.isatty()  # rich would end a bar that nobody sees with an empty line
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as bar:
        task = bar.add_task(printable(what), total=None, name="")

        def step(name: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, name=printable(name))

        yield step


def bytes_text(count: int) -> str:
    """A byte count for people: ``1.72 MB`` (powers of 1000)."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.2f} {unit}"


def counted(count: int, thing: str) -> str:
    """``1 tensor``, ``2 tensors``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
