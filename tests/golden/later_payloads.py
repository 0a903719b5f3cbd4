"""Payloads of the context-mixed and grouped codecs, and linear codebooks, with one defect each: valid goldens, patched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tersor.format_spec import codecs
from tersor.format_spec.codebooks import read_codebook
from tersor.format_spec.coding import LINEAR_FLAG, MAX_LEVEL
from tersor.format_spec.records import TensorRecord

from .case import Case
from .cases import cases
from .payloads import WrongPayload, varints


def payload_of(case: Case) -> tuple[TensorRecord, bytes]:
    """The record and the payload of a valid golden."""
    tensor = case.tensor()
    record = TensorRecord("w", tensor.dtype, tensor.shape, case.row_axes, case.codec)
    return record, codecs.find_codec(case.codec).encode(tensor, **case.parameters)


def patched(payload: bytes, at: int, *values: int) -> bytes:
    """Bytes from ``at`` on replaced."""
    return payload[:at] + bytes(values) + payload[at + len(values) :]


def mixed_defects() -> Iterator[tuple[str, WrongPayload]]:
    """Codec 7: entries (1 byte), flags, kernel, width, low bits, mixed steps, majors of a block, codebook, entries, data."""
    record, good = payload_of(cases()["mixed-rows"])
    book = 7
    size = good[0]
    table = book + 4 * size

    def of(name: str, payload: bytes, message: str, kind: TensorRecord = record) -> tuple[str, WrongPayload]:
        return f"mixed-{name}", WrongPayload(kind, payload, message)

    yield of("codebook-empty", patched(good, 0, 0), "a codebook of 0 entries")
    yield of("flag-reserved", patched(good, 1, 128), "flag bits that are reserved")
    yield of("two-forms-of-codebook", patched(good, 1, 6), "flag bits that are reserved or exclude")
    yield of("kernel-of-nothing", patched(good, 2, 0), "kernels of 0 positions")
    yield of("kernel-longer-than-a-row", patched(good, 2, 46), "kernels of 46 positions")
    yield of("kernel-does-not-divide-the-columns", patched(good, 1, 1, 7), "kernels of 7 positions")
    yield of("line-of-nothing", patched(good, 3, 0), "a line of 0 positions")
    yield of("line-longer-than-the-kernel", patched(good, 3, 10), "a line of 10 positions")
    yield of("eleven-low-bits", patched(good, 4, 11), "11 low bits")
    yield of("too-many-mixed-steps", patched(good, 5, 65), "65 mixed steps")
    yield of("block-of-no-majors", patched(good, 6, 0), "a block of 0 majors")
    yield of("block-of-more-majors-than-there-are", patched(good, 6, 7), "a block of 7 majors")
    yield of("codebook-with-zero", patched(good, book, 0, 0, 0, 0), "has a zero")
    swapped = good[:book] + good[book + 4 : book + 8] + good[book : book + 4] + good[book + 8 :]
    yield of("codebook-descends", swapped, "do not ascend")
    yield of("bools-have-no-magnitude", good, "have no magnitudes", replace(record, dtype=np.dtype("bool")))
    yield of("data-missing", good[:-1], "the entry table promises")
    yield of("data-too-much", good + b"\0", "the entry table promises")
    longer = good[:table] + varints(len(good) - table - 2 + 1) + good[table + 2 :] + b"\0"
    yield of("block-too-long", longer, "exactly its decisions")
    wide = replace(record, shape=(6, 1 << 20), row_axes=(0,))
    yield of("block-too-short-for-its-decisions", good, "cannot hold", wide)


def grouped_defects() -> Iterator[tuple[str, WrongPayload]]:
    """Codec 8: entries (1 byte), flags, majors of a block, group, codebook, a model of masks, one of codes, entries, data."""
    record, good = payload_of(cases()["grouped-plain"])
    contexts = payload_of(cases()["grouped-contexts"])[1]
    model = 4 + 4 * good[0]

    def of(name: str, payload: bytes, message: str) -> tuple[str, WrongPayload]:
        return f"grouped-{name}", WrongPayload(record, payload, message)

    yield of("codebook-too-large", varints(257) + good[1:], "from 1 to 256")
    yield of("flag-reserved", patched(good, 1, 128), "reserved flag bits")
    yield of("block-of-no-majors", patched(good, 2, 0), "a block of 0 majors")
    yield of("groups-of-nothing", patched(good, 3, 0), "size of 0")
    yield of("groups-of-ten", patched(good, 3, 10), "size of 10")
    yield of("too-many-phrases", good[:model] + varints(256) + good[model + 1 :], "256 phrases")
    undefined = good[:model] + varints(1, 512, 0) + good[model + 1 :]
    yield of("phrase-of-a-later-symbol", undefined, "a phrase of a symbol that is not defined")
    long = good[:model] + varints(3, 0, 0, 512, 512, 513, 0) + good[model + 1 :]
    yield of("phrase-of-too-many-symbols", long, "of too many symbols")
    yield of("masks-with-position-classes", patched(good, model + 1, 8), "masks has position classes")
    yield of("class-of-nothing", patched(good, model + 1, 1, 0), "a class that begins at symbol 0")
    yield of("classes-descend", patched(contexts, model + 2, 40, 1), "a class that begins at symbol 1")
    missing = patched(contexts, model + 1, contexts[model + 1] - 16)  # three tables where the map names a fourth
    yield of("context-of-a-missing-table", missing, "names a missing table")
    yield of("data-missing", good[:-1], "promises")
    yield of("data-too-much", good + b"\0", "promises")
    entries = good.index(nonzeros_of_first_block(good), model)
    yield of("fewer-nonzeros-than-said", patched(good, entries, good[entries] + 1), "masks do not have")


def nonzeros_of_first_block(payload: bytes) -> bytes:
    """The first integer of the entry table of ``grouped-plain``: its first block's nonzeros, two bytes as stored."""
    array = cases()["grouped-plain"].array
    count = int(np.count_nonzero(array[:3]))
    stored = varints(count)
    assert payload.count(stored) == 1
    return stored


WRONG_STEPS = {"step-of-zero": 0.0, "step-negative": -0.25, "step-infinite": np.inf, "step-not-a-number": np.nan}


def linear_defects() -> Iterator[tuple[str, WrongPayload]]:
    """The linear form of a codebook: a step, then runs of levels."""
    record, good = payload_of(cases()["sparse-linear-codebook"])
    step = 4  # entries, flags, majors of a block, gap symbols

    def of(name: str, payload: bytes, message: str) -> tuple[str, WrongPayload]:
        return f"linear-codebook-{name}", WrongPayload(record, payload, message)

    for name, value in WRONG_STEPS.items():
        yield of(name, patched(good, step, *np.array(value, "<f4").tobytes()), "step of")
    yield of("run-empty", patched(good, step + 5, 0), "a run of levels")
    yield of("run-too-long", patched(good, step + 5, 127), "a run of levels")
    after = read_codebook(record, good, step, good[0], LINEAR_FLAG)[1]
    for name, level in {"level-above-the-largest": MAX_LEVEL + 1, "level-below-the-least": -MAX_LEVEL - 1}.items():
        zigzag = 2 * level if level >= 0 else -2 * level - 1
        levels = varints(zigzag, 1, 2, good[0] - 1)  # then 1, 2, ...
        yield of(name, good[: step + 4] + levels + good[after:], "too far from zero")
    yield of("beyond-float32", patched(good, step, *np.array(3e38, "<f4").tobytes()), "beyond float32")
    yield of("with-half-codebook", patched(good, 1, 6), "two forms of a codebook")


def later_defects() -> dict[str, WrongPayload]:
    """Every one of these defects, by name."""
    return dict([*mixed_defects(), *grouped_defects(), *linear_defects()])
