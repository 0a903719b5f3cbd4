"""Fusions: what a kernel's epilogue can do instead of a step of its own. One rule, one file."""

from ._fuse import Draft, fuse

__all__ = ["Draft", "fuse"]
