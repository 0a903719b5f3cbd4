"""What the verbs share in talking to people and to programs."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..format_spec.errors import MissingExtra
from ..format_spec.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads to use  [default: the physical cores]"
)


def _use_cache(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        os.environ["TERSOR_CACHE_DIR"] = value


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


class ByteCount(click.ParamType):
    """A number of bytes: ``200000``, or ``8G`` with one of the suffixes k, M, G, T (powers of 1000)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; fails with click's usage error."""
        if isinstance(value, int):
            return value
        number, suffix = (value[:-1], value[-1:]) if value[-1:] in ("k", "M", "G", "T") else (value, "")
        if not number.isascii() or not number.isdecimal() or not int(number):
            self.fail(f"{value!r} is not a size such as 200000, 500M or 8G", param, ctx)
        return int(number) * 1000 ** ("kMGT".index(suffix) + 1 if suffix else 0)


def _limits(ctx: click.Context, param: click.Parameter, value: int | None) -> Limits:
    return DEFAULT_LIMITS if value is None else Limits(tensor_bytes=value, decoded_bytes=value, activation_bytes=value)


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


def console() -> Console:
    """Standard output, as wide as the terminal, or wide enough for any table when it is not one."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=160)


def table(title: str, *columns: str) -> Table:
    """An empty table; a column whose name starts with ``>`` is right-aligned."""
    from rich.table import Table

    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return made


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(value, indent=2))


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
    """Show a bar with the time left on standard error; yields ``step(name, done, total)``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.fields[name]}"))
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(what, total=None, name="")

        def step(name: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, name=name)

        yield step


def bytes_text(count: int) -> str:
    """A byte count for people: ``1.72 MB`` (powers of 1000)."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.2f} {unit}"
