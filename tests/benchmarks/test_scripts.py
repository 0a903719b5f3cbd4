"""Every benchmark is in the table of ``benchmarks/README.md``, and answers ``--help`` instead of measuring."""

from __future__ import annotations

import re
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
HELPERS = {"engine_worker.py", "pages.py"}
"""Files that no one starts by hand."""

SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in BENCHMARKS.glob("*.py") if path.name not in HELPERS}


def test_every_script_is_in_the_table():
    rows = re.findall(r"^\| `([\w/]+\.(?:py|sh))` \|", (BENCHMARKS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == sorted({*SCRIPTS, "devices/arm64.sh"})


def test_every_script_reads_its_arguments_first():
    for name, text in SCRIPTS.items():
        begin = re.search(r'\n(?:def main\(\) -> None:\n    """.*"""|if __name__ == "__main__":)\n(.*)', text)
        assert begin is not None, name
        assert begin[1].strip().startswith("parser = argparse.ArgumentParser("), name
