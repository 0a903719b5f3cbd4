"""Goldens of one tensor in the codecs with models: grouped and mixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tersor.format_spec.coding import COLUMNS_FLAG, HALF_FLAG, LINEAR_FLAG
from tersor.format_spec.huffman import code_lengths
from tersor.format_spec.mixed_head import MixedHead
from tersor.format_spec.mixing import KERNEL_ZEROS_FLAG, REFERENCES_FLAG
from tersor.format_spec.word_models import Model

from .arrays import elements_of, every_level, special, weights
from .case import GROUPED, MIXED, Case


def model(base: int, *, phrases: int = 0, cuts: tuple[int, ...] = (), positional: bool = False, tables: int = 1) -> Model:
    """A model in which every symbol has a code in every table, and low symbols short ones."""
    pairs = tuple((i % base, (i + 1) % base) for i in range(phrases))
    contexts = (len(cuts) + 1) * (4 if positional else 1)
    counts = 1000 // (np.arange(base + phrases) + 1) + 1
    lengths = tuple(code_lengths(np.roll(counts, table)) for table in range(tables))
    return Model(base, pairs, cuts, positional, tuple(i % tables for i in range(contexts)), lengths)


def grouped(case: Case, group: int, masks: Mapping[str, Any], codes: Mapping[str, Any], **more: Any) -> Case:
    """The grouped codec's version of a case."""
    k = len(case.tensor().codebook)  # pyright: ignore[reportAttributeAccessIssue]
    models = {"masks": model(1 << group, **masks), "codes": model(k, **codes)}
    return replace(case, parameters={**case.parameters, "group": group, **models, **more})


def grouped_cases() -> Iterator[Case]:
    """Codec 8."""
    kernels = weights((8, 6, 3, 3), 12, 500, step=-0.1)
    plans: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
        "plain": (9, {}, {}),
        "phrases": (9, {"phrases": 20}, {"phrases": 9}),
        "contexts": (9, {"cuts": (1, 40, 200), "tables": 4}, {"cuts": (3, 7), "tables": 3}),
        "positions": (9, {}, {"cuts": (6,), "positional": True, "tables": 5}),
        "everything": (
            9,
            {"phrases": 200, "cuts": (1, 90), "tables": 2},
            {"phrases": 30, "cuts": (4,), "positional": True, "tables": 8},
        ),
        "groups-of-one": (1, {}, {}),
        "groups-of-four": (4, {"phrases": 3}, {"cuts": (5,), "tables": 2}),
        "groups-across-rows": (8, {"phrases": 5}, {"positional": True, "tables": 4}),
    }
    for name, (group, masks, codes) in plans.items():
        case = Case(f"grouped-{name}", GROUPED, kernels, (0,), "rows", {"block_majors": 3})
        yield grouped(case, group, masks, codes)
        if name in ("plain", "everything"):
            yield grouped(replace(case, name=f"grouped-{name}-columns-major", order="columns"), group, masks, codes)
    copied = Case("grouped-codebook-with-copies", GROUPED, kernels, (0,), "rows", {"block_majors": 3}, copied=True)
    yield grouped(copied, 9, {}, {"phrases": 12, "cuts": (12,), "tables": 2})
    edges = {
        "scalar": np.array(0.1, np.float32),
        "one-element": np.array([0.1], np.float32),
        "one-value": np.full((5, 7), 0.1, np.float32),
        "two-values": every_level((5, 7), 2),
        "no-zero": weights((9, 11), 30),
        "all-zero": np.zeros((4, 6), np.float32),
        "256-values": every_level((8, 64), 256),
        "four-substreams": weights((30, 40, 3, 3), 30, 400),
        "half-codebook": weights((20, 20), 16, 500, step=0.25),
        "linear-codebook": weights((20, 20), 16, 500, step=0.25),
        "int8": elements_of("int8"),
    }
    forms = {"half-codebook": {"form": HALF_FLAG}, "linear-codebook": {"form": LINEAR_FLAG}}
    for name, array in edges.items():
        row_axes = (0,) if array.ndim else ()
        case = Case(
            f"grouped-{name}", GROUPED, array, row_axes, "rows", {"block_majors": max(1, array.shape[0] if array.ndim else 1)}
        )
        yield grouped(case, 5, {}, {}, **forms.get(name, {}))


def mixed_cases() -> Iterator[Case]:
    """Codec 7."""
    kernels = weights((6, 5, 3, 3), 9, 500, step=-0.1)
    kernels[::2] *= -1
    heads = {
        "rows": MixedHead(0, 9, 3, 0, 20, 6),
        "kernel-zeros": MixedHead(KERNEL_ZEROS_FLAG, 9, 3, 0, 20, 6),
        "columns-major": MixedHead(COLUMNS_FLAG, 9, 3, 0, 20, 5),
        "columns-major-kernel-zeros": MixedHead(COLUMNS_FLAG | KERNEL_ZEROS_FLAG, 9, 3, 0, 20, 2),
        "blocks": MixedHead(0, 9, 3, 0, 20, 4),
        "kernel-of-one": MixedHead(0, 1, 1, 0, 20, 6),
        "few-mixed-steps": MixedHead(0, 9, 3, 0, 2, 6),
        "low-bits": MixedHead(0, 9, 3, 2, 20, 6),
        "half-codebook": MixedHead(HALF_FLAG, 9, 3, 0, 20, 6),
    }
    for name, head in heads.items():
        array = (
            np.where(kernels, np.sign(kernels) * np.rint(np.abs(kernels) * 10) / 4, 0).astype("f4")
            if "half" in name
            else kernels
        )
        yield Case(f"mixed-{name}", MIXED, array, (0,), "rows", {"head": head})
    named = [[(0, 1), (0, 1)], [(1, -1), (0, 1)], [(2, 1), (1, -1)], [(3, -1), (1, 1)], [(0, 1), (0, 1)], [(5, -1), (2, 1)]]
    head = MixedHead(REFERENCES_FLAG, 9, 3, 0, 20, 6)
    yield Case("mixed-references", MIXED, kernels, (0,), "rows", {"head": head, "named": named})
    edges = {
        "scalar": np.array(-0.1, np.float32),
        "one-element": np.array([0.1], np.float32),
        "one-value": np.full((5, 7), 0.1, np.float32),
        "two-values": every_level((5, 7), 2),
        "no-zero": weights((9, 11), 30),
        "256-values": every_level((8, 64), 256),
        "700-values": every_level((8, 100), 700),
        "all-negative": weights((9, 11), 30, 400, step=-0.1),
        "int8": elements_of("int8") - np.int8(40),
        "int64": elements_of("int64") - 40,
        "float16": elements_of("float16") - np.float16(40),
        "minus-zero-and-not-a-number": np.tile(special(), (3, 2)),
    }
    for name, array in edges.items():
        low = {"256-values": 3, "700-values": 5}.get(name, 0)
        head = MixedHead(0, 1, 1, low, 20, array.shape[0] if array.ndim else 1)
        yield Case(f"mixed-{name}", MIXED, array, (0,) if array.ndim else (), "rows", {"head": head})
