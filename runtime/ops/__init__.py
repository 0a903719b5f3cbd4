"""ONNX operators: one file each (or each true family), a numpy reference and, where it pays, a lowering to a Numba kernel.

What others ask of operators is here; modules that begin with an underscore are what operators share.
"""

from __future__ import annotations

from ._registry import Operator, Shaped, check_supported, find_lowering, find_operator, operators
from ._room import room_within
from ._shapes import Shape, given
from ._subgraph import Closure
from ._window import Window

__all__ = [
    "Closure",
    "Operator",
    "Shape",
    "Shaped",
    "Window",
    "check_supported",
    "find_lowering",
    "find_operator",
    "given",
    "operators",
    "room_within",
]
