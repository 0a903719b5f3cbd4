"""Every error that Tersor raises on purpose, and the exit code that the command line gives it."""

from __future__ import annotations


class TersorError(Exception):
    """Base of every error raised on purpose."""

    exit_code = 1


class FormatError(TersorError):
    """The bytes are not a valid Tersor file.

    ``message`` says what is wrong, and ``tensor`` of which tensor. ``offset`` is where the defect was found: the position in
    the file; in the manifest's body, decompressed, when ``section`` is that; in the payload, until the reader of the file adds
    where it lies.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, offset: int | None = None, section: str | None = None, tensor: str | None = None
    ) -> None:
        self.message, self.offset, self.section, self.tensor = message, offset, section, tensor
        what = f"tensor {tensor!r}: {message}" if tensor is not None else message
        where = [f"in {section}"] if section else []
        where += [f"at byte {offset}"] if offset is not None else []
        super().__init__(f"{what} ({' '.join(where)})" if where else what)


class LimitError(TersorError):
    """The file is well formed so far but asks for more than a :class:`~tersor.format_spec.limits.Limits` field allows."""

    exit_code = 4


class ConversionError(TersorError):
    """A source model cannot be converted; ``node`` names the place."""

    exit_code = 5

    def __init__(self, message: str, *, node: str | None = None) -> None:
        self.node = node
        super().__init__(f"node {node!r}: {message}" if node else message)


class UnsupportedOperator(ConversionError):
    """The runtime has no operator of this name, opset or type."""


class RecipeError(TersorError):
    """A packing recipe is malformed or does not fit the model."""

    exit_code = 6


class PlanError(TersorError):
    """A valid file cannot be executed as asked."""

    exit_code = 7


class InputError(TersorError):
    """The arrays given to ``run`` are not what the model takes."""

    exit_code = 8


class SignatureError(TersorError):
    """A detached signature does not match the file."""

    exit_code = 9


class MissingExtra(TersorError):
    """An optional package is not installed; the message says which extra brings it."""

    exit_code = 10
