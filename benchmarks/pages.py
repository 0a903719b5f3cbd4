"""Writing measured tables into pages, between ``<!-- NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

import re
from pathlib import Path


def write_block(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of the block ``name``."""
    before = page.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
    after, found = pattern.subn(lambda match: match[1] + text.rstrip("\n") + "\n" + match[3], before)
    if found != 1:
        raise SystemExit(f"{page} has {found} blocks called {name}")
    page.write_text(after, encoding="utf-8")
