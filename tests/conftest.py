"""Settings of every test: examples are the same in every run, a slow machine fails none, and the reference reads every file.

``pytest --without PASS`` runs the tests with one graph pass switched off: those of models must give the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("tersor", deadline=None, derandomize=True)
settings.load_profile("tersor")


def _without_rule(name: str) -> Callable[[Any], Any]:
    return lambda rules: tuple(rule for rule in rules if rule.__name__ != name)


PASSES: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "convert-constants": ("tersor.converters.onnx_reader", "fold", lambda _: lambda skeleton: skeleton.infer().graph),
    "convert-dead": ("tersor.converters.onnx_reader", "drop_dead", lambda _: lambda graph, sources: graph),
    "convert-identities": ("tersor.converters.onnx_reader", "drop_identities", lambda _: lambda graph: graph),
    "plan-constants": ("tersor.runtime.plan.facts", "foldable", lambda _: lambda node, facts: False),
    "plan-dead": ("tersor.runtime.plan.build", "drop_dead", lambda _: _computed),
    "plan-branches": ("tersor.runtime.plan.facts", "taken_branch", lambda _: lambda node, facts: None),
    "plan-loops": ("tersor.runtime.plan.subgraph", "lighter", lambda _: _as_it_is),
    "plan-identities": ("tersor.runtime.plan.storage", "VIEWS", lambda _: frozenset()),
    **{
        f"fuse-{name}": ("tersor.runtime.plan.fusion._fuse", "RULES", _without_rule(f"absorb_{name}"))
        for name in ("activation", "affine", "batchnorm", "residual")
    },
    **{
        f"read-{name}": ("tersor.runtime.plan.fusion._recognise", "READINGS", _without_rule(f"read_{name}"))
        for name in ("attention", "gelu", "hard", "layer", "swish")
    },
}
"""Graph passes: where each is looked up, and what takes its place when it is switched off."""


def _computed(graph: Any, facts: Any) -> list[Any]:
    """Every node but those whose results are constants."""
    return [node for node in graph.nodes if not all(facts.constant(name) for name in node.outputs if name)]


def _as_it_is(node: Any, *_: Any) -> Any:
    from tersor.runtime.plan.loops import Loop

    return Loop(node)


def switch_off(patch: pytest.MonkeyPatch, name: str) -> None:
    """Do without a pass for as long as ``patch`` holds."""
    module, attribute, replace = PASSES[name]
    target = import_module(module)
    patch.setattr(target, attribute, replace(getattr(target, attribute)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", choices=sorted(PASSES), help="switch a graph pass off")


@pytest.fixture(scope="session", autouse=True)
def passes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing, or one graph pass less."""
    name = request.config.getoption("--without")
    with pytest.MonkeyPatch.context() as patch:
        if name:
            switch_off(patch, name)
        yield


@pytest.fixture(params=sorted(PASSES))
def without(request: pytest.FixtureRequest) -> Callable[[pytest.MonkeyPatch], None]:
    """Switches one graph pass off, each in turn."""
    return lambda patch: switch_off(patch, request.param)


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
    from tersor.format_spec.graph import graphs
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
