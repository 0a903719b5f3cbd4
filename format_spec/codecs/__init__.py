"""The weight codecs' plain reference: slow, obvious, and what ``SPEC.md`` says, section by section."""

from __future__ import annotations

from ._registry import Codec, codecs, decode, find_codec, items

__all__ = ["Codec", "codecs", "decode", "find_codec", "items"]
