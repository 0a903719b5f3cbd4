"""What is installed, and which folder may import what (the table of allowed arrows)."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Arrows:
    """What the modules of one folder may import; ``None`` for packages means any."""

    folders: frozenset[str]
    packages: frozenset[str] | None


def arrows(folders: str = "", packages: str = "") -> Arrows:
    return Arrows(frozenset(folders.split()), frozenset(packages.split()))


# The folder with the longest matching path decides.
ALLOWED = {
    "format_spec": arrows(packages="numpy zstandard bitarray cryptography"),
    "runtime": arrows("format_spec", "numpy numba llvmlite zstandard"),
    # google.protobuf comes with onnx, onnxscript with the torch extra.
    "converters": arrows("format_spec", "numpy onnx google onnxscript torch safetensors ml_dtypes"),
    "packer": arrows("format_spec runtime", "numpy numba bitarray zstandard tomli_w rich"),
    "packer/training": arrows("format_spec runtime converters", "numpy numba torch"),
    "cli": Arrows(frozenset({"format_spec", "runtime", "converters", "packer"}), None),
}
# Rooms of the runtime, and those that each may import; none imports what lies beside them. Operators pick kernels, whose site
# and attributes are the operators'.
ROOMS = {
    "jit": set(),
    "emit": {"jit"},
    "orders": {"jit", "emit"},
    "decode": {"jit", "emit", "orders"},
    "kernels": {"jit", "emit", "orders", "decode", "ops"},
    "ops": {"kernels"},
    "plan": {"orders", "decode", "kernels", "ops"},
}
FOLDERS = sorted({path.split("/")[0] for path in ALLOWED})
# The device's side never loads the codecs' slow references.
FORBIDDEN_MODULES = {"runtime": "tersor.format_spec.codecs"}
NOT_AT_IMPORT = {
    "tersor.format_spec": ("numba", "onnx", "torch", "tersor.runtime", "tersor.converters", "tersor.packer"),
    "tersor.runtime": ("onnx", "torch", "bitarray", "tersor.converters", "tersor.packer", "tersor.format_spec.codecs"),
    "tersor.converters": ("numba", "torch", "safetensors", "tersor.runtime", "tersor.packer"),
    "tersor.packer": ("onnx", "torch", "tersor.converters"),
    "tersor.cli": ("numba", "onnx", "torch"),
}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def package_of(path: Path) -> list[str]:
    """The package that relative imports in ``path`` start from."""
    return ["tersor", *path.relative_to(ROOT).parent.parts]


def resolve(name: str, level: int, package: list[str]) -> str:
    """The absolute form of the module ``name`` imported with ``level`` leading dots."""
    if level == 0:
        return name
    base = package[: len(package) - level + 1]
    return ".".join([*base, name] if name else base)


def called_import(node: ast.Call, package: list[str]) -> str | None:
    """The module that a call of ``import_module`` with a literal argument imports."""
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    literal = node.args[0] if node.args else None
    if (
        function not in ("import_module", "__import__")
        or not isinstance(literal, ast.Constant)
        or not isinstance(literal.value, str)
    ):
        return None
    name = literal.value.lstrip(".")
    return resolve(name, len(literal.value) - len(name), package)


def imports(path: Path, text: str | None = None) -> Iterator[tuple[int, str, int]]:
    """(line, absolute module, leading dots) of every import in a file, however deep: in functions and for types as well."""
    package = package_of(path)
    for node in ast.walk(ast.parse(path.read_text("utf-8") if text is None else text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve(node.module or "", node.level, package)
            yield from ((node.lineno, f"{module}.{alias.name}", node.level) for alias in node.names)
        elif isinstance(node, ast.Call) and (called := called_import(node, package)):
            yield node.lineno, called, 1


def starts_with(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def verdict(path: Path, module: str, level: int) -> str | None:
    """Why ``path`` must not import ``module``, or ``None``."""
    relative = path.relative_to(ROOT).as_posix()
    folder = relative.split("/")[0]
    allowed = ALLOWED[max((p for p in ALLOWED if relative.startswith(f"{p}/")), key=len)]
    root, *rest = module.split(".")
    if root != "tersor":
        known = allowed.packages is None or root in allowed.packages or root in sys.stdlib_module_names
        return None if known else f"{folder} must not depend on {root}"
    if level == 0:
        return "imports between folders are relative"
    if rest and rest[0] != folder and rest[0] not in allowed.folders:
        return f"{folder} must not import {rest[0]}"
    room = relative.split("/")[1]
    if folder == "runtime" and room in ROOMS and rest[0] == folder and rest[1] not in {room, *ROOMS[room]}:
        return f"{room} must not import {rest[1]}"
    forbidden = FORBIDDEN_MODULES.get(folder)
    return f"{folder} must not import {forbidden}" if forbidden and starts_with(module, forbidden) else None


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_follow_the_table(folder: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line}: {reason} ({module})"
        for path in sources(folder)
        for line, module, level in imports(path)
        if (reason := verdict(path, module, level))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("runtime/x.py", "import onnx"),
        ("runtime/ops/x.py", "def f():\n    import torch.nn"),
        ("runtime/ops/x.py", "from ...packer.recipe import Recipe"),
        ("runtime/kernels/conv/x.py", "from ...plan.step import Step"),
        ("runtime/jit/x.py", "from ..model import Model"),
        ("runtime/x.py", "from ..format_spec import codecs"),
        ("runtime/x.py", "from ..format_spec.codecs import raw"),
        ("runtime/x.py", "import importlib\nimportlib.import_module('onnx.helper')"),
        ("runtime/x.py", "from tersor.format_spec import errors"),
        ("format_spec/x.py", "from ..runtime import load"),
        ("format_spec/codecs/x.py", "from ... import packer"),
        ("converters/x.py", "if TYPE_CHECKING:\n    from ..packer import pack"),
        ("packer/x.py", "from ..converters import from_onnx"),
        ("packer/x.py", "import torch"),
    ],
)
def test_the_check_sees_forbidden_imports(path: str, text: str) -> None:
    place = ROOT / path
    assert any(verdict(place, module, level) for _, module, level in imports(place, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("runtime/ops/x.py", "from ...format_spec.graph import Graph"),
        ("runtime/x.py", "import os\nimport numba\nfrom . import plan"),
        ("runtime/kernels/conv/x.py", "from ..site import Site\nfrom ...orders.order import address_of"),
        ("format_spec/x.py", "from .codecs import raw"),
        ("packer/training/x.py", "import torch\nfrom ...converters import from_torch"),
        ("cli/x.py", "import rich\nfrom ..packer import pack"),
    ],
)
def test_the_check_lets_allowed_imports_pass(path: str, text: str) -> None:
    place = ROOT / path
    assert not any(verdict(place, module, level) for _, module, level in imports(place, text))


@pytest.mark.parametrize("package", NOT_AT_IMPORT)
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    code = f"import {package}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout.split()
    unwanted = [m for m in loaded if any(starts_with(m, heavy) for heavy in NOT_AT_IMPORT[package])]
    assert not unwanted


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_source_folder_is_a_package(folder: str) -> None:
    missing = {path.parent for path in sources(folder) if not path.with_name("__init__.py").is_file()}
    assert not missing


def test_only_tersor_is_installed() -> None:
    # Only an installation has a RECORD: the metadata that a build leaves in a checkout lists sources instead.
    installed = [d for d in importlib.metadata.distributions(name="tersor") if d.read_text("RECORD")]
    recorded = [path.parts[0] for distribution in installed for path in distribution.files or []]
    # ".." leads to the console script; an editable install adds its own finder.
    own = {name for name in recorded if name not in ("..", "__pycache__") and not name.startswith("__editable__")}
    assert {name for name in own if not name.endswith(".dist-info")} <= {"tersor"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_types_ship(folder: str) -> None:
    assert files(f"tersor.{folder}").joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    ("package", "name"),
    [("tersor.format_spec", "SPEC.md"), ("tersor.cli", "demo/lenet5.onnx"), ("tersor.cli", "demo/mnist_test_1000.npz")],
)
def test_data_ships(package: str, name: str) -> None:
    assert files(package).joinpath(*name.split("/")).is_file()
