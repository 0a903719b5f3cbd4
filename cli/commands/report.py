"""``tersor report``: the paper's compression table beside the real bytes of a file."""

from __future__ import annotations

from pathlib import Path

import click

from ...format_spec.limits import Limits
from .._output import echo, json_option, limits_option, print_json
from .._sources import naming
from .._types import FilePath


@click.command(name="report")
@click.argument("file", type=FilePath())
@click.option(
    "--index-bits",
    type=click.IntRange(1, 8),
    default=5,
    show_default=True,
    metavar="N",
    help="Bits of a gap in the paper's rate, but for tensors that are stored with such gaps (--profile paper).",
)
@limits_option
@json_option
def command(file: Path, index_bits: int, limits: Limits, as_json: bool) -> None:
    """Show, for each weight tensor of FILE, the columns of Deep Compression's tables, and what the file really spends.

    The paper's rate counts codes, gaps and a codebook of 2^bits fp32 values, and leaves out biases, Huffman tables and the
    graph; the file rate is the file's bytes over those of the dense weights. They are different things, and are labelled so.
    P+Q is after pruning and quantisation (weight sharing), P+Q+H after Huffman coding as well (Han, Mao, Dally, 2016). The
    error, which only pack and repack know, is the norm of what they changed over that of the tensor.
    """
    from ...packer.report import report_file

    with naming(file):
        report = report_file(file, index_bits=index_bits, limits=limits)
    if as_json:
        print_json(report.to_dict())
    else:
        echo(*str(report).splitlines())
