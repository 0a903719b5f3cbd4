"""How much memory a reference may take on the way to its outputs, whose own size the plan looks at."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from math import prod

from ...format_spec.limits import DEFAULT_LIMITS, Limits

_limits: ContextVar[Limits] = ContextVar("limits of references", default=DEFAULT_LIMITS)


class room_within:  # noqa: N801  # read as a function; a generator takes several times as long to enter and leave
    """References that run in the block have the room that ``limits`` leave."""

    __slots__ = ("_limits", "_token")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __enter__(self) -> None:
        self._token = _limits.set(self._limits)

    def __exit__(self, *error: object) -> None:
        _limits.reset(self._token)


def check_room(shape: Sequence[int], itemsize: int = 8) -> None:
    """Raise :class:`LimitError` where an array of ``shape`` would take more than ``Limits.activation_bytes``.

    For arrays that numbers in the file make larger than the inputs and outputs together. An axis of length 0 counts as 1: what
    runs along another axis is made all the same.
    """
    _limits.get().check("activation_bytes", itemsize * prod(max(1, size) for size in shape))
