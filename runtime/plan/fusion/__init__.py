"""Fusions: what a kernel's epilogue can do instead of a step of its own, and several nodes read as one. One rule, one file."""

from ._fuse import Draft, fuse
from ._recognise import recognise

__all__ = ["Draft", "fuse", "recognise"]
