"""The tables of SPEC.md that the code also knows: ``python -m tersor.format_spec.spec_tables SPEC.md`` rewrites them there.

A block starts with ``<!-- table: NAME -->`` and ends with ``<!-- end -->``; a test compares every block with this module.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

from . import coding, container
from .coding import CodecId
from .graph import OPSET
from .limits import DEFAULT_LIMITS, Limits
from .manifest._kinds import AttributeKind
from .mixing import KNOTS
from .records import DTYPE_IDS
from .vocabulary import WELL_KNOWN

BLOCK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def constants() -> str:
    """Figures that several sections use."""
    return table(
        ("name", "value"),
        [
            ("magic", " ".join(f"{b:02x}" for b in container.MAGIC)),
            ("version", container.VERSION),
            ("opset", OPSET),
            ("header bytes, checksum included", container.HEADER_BYTES),
            ("table entry bytes", container.ENTRY.size),
            ("alignment", container.ALIGNMENT),
            ("aligned from (section length)", container.ALIGNED_FROM),
        ],
    )


def section_kinds() -> str:
    """Numbers of the kinds of section."""
    return table(("kind", "name"), container.KIND_NAMES.items())


def element_types() -> str:
    """Numbers of the element types."""
    return table(("id", "element type"), ((number, name) for name, number in DTYPE_IDS.items()))


def attribute_kinds() -> str:
    """Numbers of the kinds of attribute value."""
    return table(("kind", "name"), ((kind.value, kind.name) for kind in AttributeKind))


CODEC_MEANINGS = {
    CodecId.RAW: "the elements (5.1)",
    CodecId.SHUFFLED_ZSTD: "byte planes in a zstd frame (5.2)",
    CodecId.FILL: "one element, repeated (5.3)",
    CodecId.PAPER: "codebook indices, gaps of a fixed number of bits, fillers (5.10)",
    CodecId.SHARED: "codebook indices of every position (5.8)",
    CodecId.SPARSE: "codebook indices of the nonzeros, gaps with an escape (5.9)",
    CodecId.MIXED: "codebook indices by context-mixed binary decisions (5.12)",
    CodecId.GROUPED: "masks of groups of positions, codebook indices of the nonzeros, contexts, phrases (5.11)",
    CodecId.PLAIN_ZSTD: "the elements in a zstd frame (5.2)",
    CodecId.PLANES: "byte planes of floating-point elements, gaps of the nonzeros (5.14)",
}


def codec_ids() -> str:
    """Numbers of the codecs."""
    rows = [(int(codec), codec.name, CODEC_MEANINGS[codec]) for codec in CodecId]
    rows.append((coding.SAME, "SAME", "codec and payload of an earlier tensor (5.13)"))
    return table(("id", "codec", "meaning"), sorted(rows))


def codec_constants() -> str:
    """Figures of the codecs."""
    return table(
        ("name", "value"),
        [
            ("largest codebook", coding.MAX_CODEBOOK),
            ("largest alphabet of a byte sequence", coding.MAX_ALPHABET),
            ("longest Huffman code, bits", coding.MAX_CODE_LENGTH),
            ("substreams of a long sequence", coding.SUBSTREAMS),
            ("long: symbols from", coding.SPLIT_FROM),
            ("most positions in a block", coding.MAX_BLOCK_POSITIONS),
            ("most positions in a block of planes", coding.MAX_PLANES_BLOCK),
        ],
    )


def mixing_knots() -> str:
    """The logistic function's knots, eleven a row."""
    rows = range(0, len(KNOTS), 11)
    return table(("from", "knots"), ((first, " ".join(map(str, KNOTS[first : first + 11]))) for first in rows))


def limits() -> str:
    """Default limits of a reader."""
    return table(("limit", "default"), ((f.name, f"{getattr(DEFAULT_LIMITS, f.name):,}") for f in fields(Limits)))


def vocabulary() -> str:
    """The well-known strings, ten a row."""
    rows = range(0, len(WELL_KNOWN), 10)
    return table(("from", "strings"), ((first, " ".join(f"`{w}`" for w in WELL_KNOWN[first : first + 10])) for first in rows))


TABLES: dict[str, Callable[[], str]] = {
    f.__name__: f
    for f in (
        constants,
        section_kinds,
        element_types,
        attribute_kinds,
        codec_ids,
        codec_constants,
        mixing_knots,
        limits,
        vocabulary,
    )
}


def fill(text: str) -> str:
    """``text`` with every block rewritten."""
    return BLOCK.sub(lambda m: m[1] + TABLES[m[2]]() + m[4], text)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(fill(path.read_text(encoding="utf-8")), encoding="utf-8")
