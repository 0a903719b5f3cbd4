"""Write the goldens: ``python -m tests.golden.make``, by hand, when a format's version or a case is new; tests never do.

A golden that exists already keeps its bytes unless it is named on the command line: a file once written must stay readable.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from tersor.packer import Recipe, pack

from .case import Case
from .cases import cases
from .copies import branches_file, copied, stored, with_copy
from .defects import defects
from .graphs import GRAPHS, PROFILES, network
from .writing import parts_of, raw_parts

HERE = Path(__file__).parent
SUMS = "SHA256SUMS"


def file_of(case: Case) -> bytes:
    """The file of a single-tensor golden, its payload written by the reference encoder."""
    return parts_of(case.graph(), [stored(case)]).build()


def packed(profile: str) -> bytes:
    """The small network as the packer writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.tersor"
        pack(network(), path, Recipe.lossless(profile))
        return path.read_bytes()


def valid() -> dict[str, bytes]:
    """Every valid golden, by name."""
    made = {name: file_of(case) for name, case in cases().items()}
    made |= {name: with_copy(case) for name, case in copied().items()} | {"same-in-branches": branches_file()}
    made |= {name: raw_parts(graph()).build() for name, graph in GRAPHS.items()}
    return made | {f"profile-{profile}": packed(profile) for profile in PROFILES}


def write(folder: Path, files: dict[str, bytes], renew: set[str]) -> None:
    """Write what is new or named in ``renew``, remove what is no case any more, and sum everything."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.tersor"):
        if path.stem not in files:
            path.unlink()
    for name, data in files.items():
        path = folder / f"{name}.tersor"
        if name in renew or not path.exists():
            path.write_bytes(data)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.glob("*.tersor"))]
    (folder / SUMS).write_text("".join(sums), "utf-8")


if __name__ == "__main__":
    write(HERE / "valid", valid(), set(sys.argv[1:]))
    write(HERE / "invalid", {name: defect.data for name, defect in defects().items()}, set(sys.argv[1:]))
