"""Settings of every test: examples are the same in every run, a slow machine fails none, and the reference reads every file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tersor", deadline=None, derandomize=True)
settings.load_profile("tersor")


@pytest.fixture(autouse=True)
def reference_decodes_what_the_test_wrote(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every sound packed file that a test leaves in ``tmp_path`` is decoded by the plain reference, and to the same bits."""
    if "tmp_path" not in request.fixturenames:
        yield
        return
    folder: Path = request.getfixturevalue("tmp_path")
    yield
    from tersor.format_spec.container import MAGIC

    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size and path.read_bytes().startswith(MAGIC):
            _compare_decoders(path)


def _compare_decoders(path: Path) -> None:
    from tersor.format_spec.container import open_container
    from tersor.format_spec.errors import FormatError, LimitError
    from tersor.format_spec.manifest import graphs
    from tersor.format_spec.model_file import read_graph
    from tersor.format_spec.reference import decode_file
    from tersor.runtime.decode import decode

    try:
        plain = decode_file(path)
    except (FormatError, LimitError):
        return  # written damaged on purpose; tests of that hold both decoders to the same error
    with open_container(path) as container:
        for reference, fast in zip(graphs(plain), graphs(read_graph(container, decode)), strict=True):
            for name, tensor in reference.initializers.items():
                assert fast.initializers[name].dense().tobytes() == tensor.dense().tobytes(), f"{path.name}: {name}"
