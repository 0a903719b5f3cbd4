"""Coverage-guided fuzzing with atheris: ``python -m tests.fuzz.coverage_guided TARGET [libFuzzer options] [corpus folders]``.

``pip install atheris`` first (Linux; in an environment of its own when there is no wheel for yours). The targets are those of
:mod:`.targets`. Python's branches guide the search: of the readers, of the references, and of what prepares the jitted
decoders, which run in the same inputs. The target ``file`` is mutated inside its checksums.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

# By name: it is no dependency of the project, and type checkers know only parts of it.
atheris: Any = import_module("atheris")

INSTRUMENTED = ["tersor.format_spec", "tersor.runtime.decode"]
GOLDEN = Path(__file__).parents[1] / "golden"


def seed_folder(name: str, folder: Path) -> Path:
    """Write the golden seeds of a target where libFuzzer finds them."""
    from .targets import seeds

    target = folder / f"seeds-{name}"
    target.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(dict.fromkeys(seeds(name, GOLDEN))):
        (target / f"{index:04}").write_bytes(data)
    return target


def inside(data: bytes, most: int, seed: int) -> bytes:
    """libFuzzer's way to ask for a mutant of a file."""
    from .mutate import mutate_inside

    changed = mutate_inside(data, Random(seed), data)
    return changed if len(changed) <= most else atheris.Mutate(data, most)


def main() -> None:
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=INSTRUMENTED):
        from .targets import seeds, targets

        chosen = targets()
    target = chosen[name]
    for data in seeds(name, GOLDEN):
        target(data)  # compiles the kernels, which would look like a hang
    work = Path(os.environ.get("TMPDIR", "/tmp")) / "tersor-fuzz"
    arguments = [sys.argv[0], *options, str(seed_folder(name, work))]
    more: dict[str, Any] = {"custom_mutator": inside} if name == "file" else {}
    atheris.Setup(arguments, lambda data: void(target(data)), **more)
    atheris.Fuzz()


def void(_outcome: str) -> None:
    """libFuzzer wants no answer."""


if __name__ == "__main__":
    main()
