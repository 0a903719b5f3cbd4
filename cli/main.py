"""Entry point: verbs are loaded when they are used, and a user's mistake ends in a message, not in a traceback."""

from __future__ import annotations

import errno
import importlib
import io
import pkgutil
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from ..format_spec.errors import LimitError, TersorError
from . import commands
from ._output import BYTE_LIMITS, echo

EXIT_CODES = """\
Exit codes: 0 done; 1 could not read or write; 2 wrong usage; 3 damaged or foreign file; 4 over a limit;
5 model not convertible; 6 recipe; 7 cannot be executed; 8 wrong input; 9 signature; 10 an extra is missing;
11 the check failed; 129 hung up; 130 interrupted; 143 terminated."""

INTERRUPTED = 130
TRACEBACK = "--traceback"

MISTAKES = (click.ClickException, click.Abort, TersorError, OSError, MemoryError)
"""What a user can cause. Anything else is a defect of Tersor, and shows where."""


class Verbs(click.Group):
    """A group whose commands are the modules of :mod:`tersor.cli.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all verbs, sorted."""
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb called ``cmd_name``, its module imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"{commands.__name__}.{cmd_name}").command

    def main(self, args: Sequence[str] | None = None, *more: Any, standalone_mode: bool = True, **settings: Any) -> Any:
        """Parse and run; turn the errors that a user can cause into one line on standard error and an exit code.

        All of it happens here, not in the verbs: to print a help text can fail as well.
        """
        if not standalone_mode:
            return super().main(args, *more, standalone_mode=False, **settings)
        given = sys.argv[1:] if args is None else list(args)
        _replace_what_cannot_be_shown()
        try:
            code = super().main(args, *more, standalone_mode=False, **settings)
        except MISTAKES as error:
            if TRACEBACK in given and not isinstance(error, (click.ClickException, click.Abort)):
                raise
            code = _explain(error)
        sys.exit(code)


def _replace_what_cannot_be_shown() -> None:
    """Have question marks stand for the letters that a terminal, or a pipe, has no code for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _explain(error: Exception) -> int:
    """Say on standard error what went wrong; returns the exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.Abort):
        echo("tersor: interrupted", err=True)
        return INTERRUPTED
    echo(f"tersor: {_message(error)}", err=True)
    if isinstance(error, MemoryError):
        return LimitError.exit_code
    return error.exit_code if isinstance(error, TersorError) else 1


def _message(error: Exception) -> str:
    """One line that says what, where and what to do."""
    if isinstance(error, MemoryError):
        return f"not enough memory, ask for smaller sizes or use a larger machine ({error or 'nothing more is known'})"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"standard output, or a temporary file: {error.strerror}"  # other files are named
    text = " ".join(str(error).splitlines())
    if (
        isinstance(error, TersorError)
        and error.exit_code == LimitError.exit_code
        and any(f"(Limits.{field})" in text for field in BYTE_LIMITS)
    ):
        return f"{text}; --max-decoded-bytes allows more"
    return text


@click.group(cls=Verbs, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tersor", message="tersor %(version)s")
@click.option(TRACEBACK, is_flag=True, expose_value=False, help="Show the Python traceback of an error.")
def cli() -> None:
    """Pack trained networks 4-50x smaller, and run them from the packed file.

    \b
    tersor demo                                  see it work on a LeNet-5
    tersor pack model.onnx --conv-bits 8 --fc-bits 5 --density 0.3
    tersor inspect model.tersor                  what is in the file, byte by byte
    tersor run model.tersor image.jpg            run it, without onnx or torch
    """


def _terminate(number: int, frame: object) -> NoReturn:
    """End as an interrupted program does, and leave no unfinished files."""
    sys.exit(128 + number)


def main() -> None:
    """Run the command line."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has one of them
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores the other
            signal.signal(number, _terminate)
    cli()
