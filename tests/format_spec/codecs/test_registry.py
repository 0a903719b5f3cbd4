from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from tersor.format_spec.codecs import codecs, find_codec
from tersor.format_spec.coding import SAME, CodecId
from tersor.format_spec.errors import FormatError

registry = importlib.import_module("tersor.format_spec.codecs._registry")
fast_registry = importlib.import_module("tersor.runtime.decode._registry")


def test_ids_never_change_meaning() -> None:
    names = ("RAW", "SHUFFLED_ZSTD", "FILL", "PAPER", "SHARED", "SPARSE", "MIXED", "GROUPED", "PLAIN_ZSTD")
    assert {c.name: int(c) for c in CodecId} == {name: index for index, name in enumerate(names, 1)} | {"PLANES": SAME + 1}


def test_every_codec_has_a_reference_and_a_decoder() -> None:
    assert list(codecs()) == list(fast_registry.decoders()) == sorted(CodecId)


def test_duplicates_are_errors() -> None:
    find_codec(CodecId.RAW)
    twin = SimpleNamespace(__module__="twin", encode=None, decode=None, items=None)
    with pytest.raises(RuntimeError, match="registered twice: twin"):
        registry.codec(CodecId.RAW)(twin)
    fast_registry.decoders()
    with pytest.raises(RuntimeError, match="two decoders"):
        fast_registry.decoder(CodecId.RAW)(lambda *_: np.zeros(0))


def test_unknown_codecs_are_format_errors() -> None:
    with pytest.raises(FormatError, match="codec 99 is unknown"):
        find_codec(99)
