"""Mutated files and payloads: both decoders end alike, in a tensor or in a documented error, and in nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.codecs import codecs
from tersor.format_spec.container import Container
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.model_file import read_graph
from tersor.runtime.decode import decode

from .mutate import mutate, mutate_inside, take_apart
from .targets import fuzz_file, seeds, targets

GOLDEN = Path(__file__).parents[1] / "golden"
CORPUS = Path(__file__).parent / "corpus"
TARGETS = targets()
SEEDS = {name: seeds(name, GOLDEN) for name in TARGETS}
ALLOWED = {"decoded", "FormatError", "LimitError", "short"}


@settings(deadline=None, max_examples=400, derandomize=True)
@given(st.sampled_from(SEEDS["file"]), st.sampled_from(SEEDS["file"]), st.integers(0, 1 << 32))
def test_files(data: bytes, other: bytes, seed: int) -> None:
    where, _, what = fuzz_file(mutate_inside(data, Random(seed), other)).partition(": ")
    assert where in ("container", "manifest", "tensors")
    assert what in ALLOWED


@pytest.mark.parametrize("codec", codecs())
@settings(deadline=None, max_examples=250, derandomize=True)
@given(data=st.data(), seed=st.integers(0, 1 << 32))
def test_payloads(codec: int, data: st.DataObject, seed: int) -> None:
    name = f"codec-{codec}"
    first, second = (data.draw(st.sampled_from(SEEDS[name])) for _ in range(2))
    assert TARGETS[name](mutate(first, Random(seed), other=second)) in ALLOWED


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.binary(max_size=200))
def test_bytes_of_no_origin(data: bytes) -> None:
    for name, target in TARGETS.items():
        assert target(data).rpartition(": ")[2] in ALLOWED, name


def test_most_mutated_files_get_past_the_container_and_many_past_the_reader() -> None:
    random, counts = Random(0), Counter[str]()
    for _ in range(1000):
        data = mutate_inside(random.choice(SEEDS["file"]), random, random.choice(SEEDS["file"]))
        counts[fuzz_file(data).partition(":")[0]] += 1
    total = sum(counts.values())
    assert counts["container"] < 0.25 * total
    assert counts["tensors"] > 0.2 * total


@pytest.mark.parametrize("path", sorted((GOLDEN / "valid").glob("*.tersor")), ids=lambda path: path.stem)
def test_taking_apart_and_building_changes_nothing_that_is_read(path: Path) -> None:
    data = path.read_bytes()
    parts = take_apart(data)
    assert parts is not None
    names = [read_graph(Container(memoryview(d), DEFAULT_LIMITS), decode).name for d in (data, parts.build())]
    assert names[0] == names[1]


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_of_earlier_runs(name: str) -> None:
    for path in sorted((CORPUS / name).glob("*")):
        assert TARGETS[name](path.read_bytes()).rpartition(": ")[2] in ALLOWED, path
