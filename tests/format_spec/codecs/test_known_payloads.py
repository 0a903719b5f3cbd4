"""Payloads written out by hand from SPEC.md: whoever changes one of these bytes has made another format."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.codecs import decode, find_codec, items
from tersor.format_spec.coding import HALF_FLAG, CodecId
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import SharedTensor
from tersor.format_spec.word_models import Model
from tersor.runtime.decode import decode as fast_decode

# The matrix, rows of 6, with the codebook (1.5, -2):
#   0    1.5  0  0    0  1.5
#   -2.0 0    0  0    0  0
#   1.5  0    0  1.5  0  0
DENSE = np.array([[0, 1.5, 0, 0, 0, 1.5], [-2, 0, 0, 0, 0, 0], [1.5, 0, 0, 1.5, 0, 0]], np.float32)
SPARSE = SharedTensor(
    np.dtype("f4"),
    (3, 6),
    (0,),
    "rows",
    np.array([0, 2, 3, 5]),
    np.array([1, 5, 0, 0, 3], np.uint32),
    np.array([0, 0, 1, 0, 0], np.uint8),
    np.array([1.5, -2], np.float32),
)
WHOLE = SharedTensor(
    np.dtype("f4"),
    (3, 6),
    (0,),
    "columns",
    None,
    None,
    np.array([0, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0], np.uint8),
    np.array([0, 1.5, -2], np.float32),
)


def bits(text: str) -> str:
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").hex()


CASES: dict[str, tuple[CodecId, SharedTensor, dict[str, Any], str]] = {}

CASES["sparse"] = (
    CodecId.SPARSE,
    SPARSE,
    {"block_majors": 2, "gap_symbols": 3, "form": HALF_FLAG},
    "02 02 02 03"  # k, flags (fp16), majors per block, gap symbols
    "003e 00c0"  # 1.5, -2
    + bits("001 01 1")  # gap lengths 1 2 2: previous is 2, then -1, +1, same
    + bits("1 1")  # code lengths 1 1: previous is 1, then same, same
    + "03 04 01 01  02 03 01 01"  # each block: nonzeros, gap symbols, bytes of gaps, bytes of codes
    + bits("10 11 10 0")  # gaps 1, 3 (escape and 1), 0
    + bits("0 0 1")  # codes
    + bits("0 11 0")  # gaps 0, 2 (escape and 0)
    + bits("0 0"),
)
CASES["paper"] = (
    CodecId.PAPER,
    SPARSE,
    {"block_majors": 3, "index_bits": 1},
    "02 00 03 01"  # k, flags, majors per block, bits of a gap
    "0000c03f 000000c0"
    + bits("1 1")  # gap lengths 1 1
    + bits("1 1 001")  # code lengths 2 2 1: two values, and the filler
    + "05 09 02 02"  # nonzeros, entries, bytes of gaps, bytes of codes
    + bits("1 11 0 111 10")  # gaps 1, 3, 0, 5, 2: each symbol covers at most 2 positions
    + bits("10 0 10 11 0 0 10 0 10"),
)
CASES["shared"] = (
    CodecId.SHARED,
    WHOLE,
    {"block_majors": 6},
    "03 01 06"  # k, flags (columns), majors per block
    "00000000 0000c03f 000000c0"
    + bits("001 01 1")  # code lengths 1 2 2
    + "03"  # bytes of codes
    + bits("0 11 10 10 0 0 0 0 0 0 0 10 0 0 0 10 0 0"),
)

MASKS = Model(8, (), (), False, (0,), (np.array([2, 2, 2, 2, -1, -1, -1, -1]),))
CODES = Model(2, ((0, 0),), (1,), False, (0, 1), (np.array([-1, 1, 1]), np.array([0, -1, -1])))
CASES["grouped"] = (
    CodecId.GROUPED,
    SPARSE,
    {"block_majors": 2, "group": 3, "masks": MASKS, "codes": CODES, "form": HALF_FLAG},
    "02 02 02 03"  # k, flags (fp16), majors per block, positions of a group
    "003e 00c0"
    + "00 00"  # masks: no phrases; one class, one table
    + bits("001 1 1 1")  # lengths 2 2 2 2: previous is 3, then -1, same, same, same
    + "01 00 00"  # codes: one phrase, a pair of symbols 0
    + "11 01"  # two classes, two tables; the second class begins at symbol 1
    + bits("0 1")  # the table after each class
    + bits("0001 0001 1")  # lengths none, 1, 1: previous is 2, then -1, same
    + bits("000001")  # length 0: previous is 2, then -2
    + "03 01 01  02 01 01"  # each block: nonzeros, bytes of masks, bytes of codes
    + bits("10 11 01 00")  # masks 010, 001, 100, 000 (first position first) are symbols 2, 3, 1, 0
    + bits("1 0")  # codes 0 0 (the phrase) and 1
    + bits("01 01")
    + bits("1"),
)


@pytest.mark.parametrize("name", CASES)
def test_payload(name: str) -> None:
    codec, tensor, parameters, expected = CASES[name]
    payload = bytes.fromhex(expected)
    record = TensorRecord("w", tensor.dtype, tensor.shape, tensor.row_axes, codec)
    assert find_codec(codec).encode(tensor, **parameters).hex(" ") == payload.hex(" ")
    assert sum(items(record, payload).values()) == len(payload)
    for decoder in (decode, fast_decode):
        found = decoder(record, payload, DEFAULT_LIMITS)
        assert np.array_equal(found.dense(), DENSE)
