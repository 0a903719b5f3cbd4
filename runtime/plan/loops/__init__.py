"""Loops and scans that do less in each step, made of those of a graph before anything of them is planned."""

from ._lighter import Loop, lighter
from ._names import Owners

__all__ = ["Loop", "Owners", "lighter"]
