"""Fast decoders of the weight codecs. The reference that they equal, bit for bit, is :mod:`tersor.format_spec.codecs`."""

from __future__ import annotations

from ._registry import byte_array, decode, decoders

__all__ = ["byte_array", "decode", "decoders"]
