"""The invalid goldens: each raises exactly its error, from the reference decoder and from the runtime's alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tersor.format_spec.container import open_container
from tersor.format_spec.graph import graphs
from tersor.format_spec.model_file import read_graph
from tersor.format_spec.reference import decode_file
from tersor.runtime.decode import decode

from .defects import defects
from .make import SUMS

FOLDER = Path(__file__).parent / "invalid"
DEFECTS = defects()


def by_runtime(path: Path) -> None:
    """Read everything, every section verified and every tensor decoded by the jitted twins."""
    with open_container(path) as container:
        for part in graphs(read_graph(container, decode)):
            for tensor in part.initializers.values():
                tensor.dense()


READERS: dict[str, Callable[[Path], object]] = {"reference": decode_file, "runtime": by_runtime}


def test_no_golden_has_changed() -> None:
    listed = dict(line.split("  ")[::-1] for line in (FOLDER / SUMS).read_text("utf-8").splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.tersor")}
    assert found == listed
    assert {Path(name).stem for name in found} == set(DEFECTS)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_raises_its_error(name: str, reader: str) -> None:
    defect = DEFECTS[name]
    with pytest.raises(defect.error) as raised:
        READERS[reader](FOLDER / f"{name}.tersor")
    assert raised.type is defect.error
    assert re.search(defect.message, str(raised.value)), raised.value
    assert str(raised.value).count("tensor 'w'") <= 1, raised.value
