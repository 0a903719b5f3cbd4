"""A pack report as text: the columns of the paper's tables, then real bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from ..format_spec.printable import printable
from .accounting import AccountTotal, LayerAccount
from .error import TensorError

if TYPE_CHECKING:
    from .report import PackReport, TensorReport

_PAPER_COLUMNS = (
    ("weights", ""),
    ("density", ""),
    ("weight\nbits", "P+Q"),
    ("weight\nbits", "P+Q+H"),
    ("index\nbits", "P+Q"),
    ("index\nbits", "P+Q+H"),
    ("rate", "P+Q"),
    ("rate", "P+Q+H"),
)

_REAL_COLUMNS = (("file", "bytes"), ("file", "rate"), ("error", "L2"))

_UNBOUNDED = 10_000
"""Console width that no table reaches: the text does not depend on the terminal."""


def render(report: PackReport) -> str:
    """The table and a summary, lines ended by newlines but the last."""
    return "\n".join([*_table(report), "", *_summary(report)])


def _table(report: PackReport) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column("tensor", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for name, unit in (*_PAPER_COLUMNS, *_REAL_COLUMNS):
        table.add_column(f"{name}\n{unit}", justify="right", no_wrap=True)
    for row in _rows(report):
        table.add_row(*row)
    text = StringIO()
    Console(file=text, width=_UNBOUNDED, color_system=None, markup=False, emoji=False, highlight=False).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]


def _rows(report: PackReport) -> Iterator[tuple[str, ...]]:
    others = [tensor for tensor in report.tensors if tensor.account is None]
    for tensor in report.tensors:
        if tensor.account is not None:
            cells = (*_paper_cells(tensor.account), *_real_cells([tensor]), _error_cell(tensor.error))
            yield (printable(tensor.name), tensor.kind, *cells)
    if others:
        blank = ("",) * (len(_PAPER_COLUMNS) - 1)
        yield (f"{len(others)} other tensors", "", f"{sum(t.size for t in others):,}", *blank, *_real_cells(others), "")
    yield ("total", "", *_total_cells(report.paper), *_real_cells(report.tensors), "")


def _paper_cells(account: LayerAccount) -> tuple[str, ...]:
    return (
        f"{account.weights:,}",
        _percent(account.density, 1),
        str(account.weight_bits),
        f"{account.huffman_weight_bits:.1f}",
        str(account.index_bits),
        f"{account.huffman_index_bits:.1f}",
        _percent(account.pq_rate, 2),
        _percent(account.pqh_rate, 2),
    )


def _total_cells(total: AccountTotal) -> tuple[str, ...]:
    rates = (_percent(total.pq_rate, 2), _percent(total.pqh_rate, 2))
    return (f"{total.weights:,}", _percent(total.density, 1), "", "", "", "", *rates)


def _real_cells(tensors: Sequence[TensorReport]) -> tuple[str, ...]:
    packed, dense = sum(tensor.packed_bytes for tensor in tensors), sum(tensor.dense_bytes for tensor in tensors)
    return (f"{packed:,}", _percent(packed / dense, 2) if dense else "")


def _error_cell(error: TensorError | None) -> str:
    if error is None:
        return ""
    return _percent(error.relative, 2) if error.largest else "exact"


def _summary(report: PackReport) -> list[str]:
    paper = report.paper
    lines = [
        f"file: {report.file_bytes:,} bytes ({report.profile} profile), {report.ratio:.2f} times smaller than its tensors' "
        f"{report.dense_bytes:,} bytes",
        "of these: " + ", ".join(f"{name} {count:,}" for name, count in report.items.items() if count),
    ]
    if paper.pqh_bits:
        rate = f"{paper.original_bits / paper.pqh_bits:.2f}"
        lines.append(f"by the paper's formula (weights alone): {round(paper.pqh_bits / 8):,} bytes, {rate} times smaller")
    return lines


def _percent(fraction: float, digits: int) -> str:
    return f"{100 * fraction:.{digits}f}%"
