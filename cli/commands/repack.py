"""``tersor repack``: the same model in another profile."""

from __future__ import annotations

from pathlib import Path

import click

from ...format_spec.limits import Limits
from .._output import echo, json_option, limits_option, print_json, progress, threads_option
from .._recipe import PROFILES, gap_settings, index_bits_option
from .._sources import naming
from .._types import FilePath


@click.command(name="repack")
@click.argument("file", type=FilePath())
@click.option("--profile", type=click.Choice(PROFILES), required=True, help="Codecs of the new file.")
@click.option("--output", "-o", type=FilePath(), metavar="FILE", help="[default: replace FILE]")
@index_bits_option
@threads_option
@click.option("--quiet", "-q", is_flag=True, help="No progress bar, no report.")
@limits_option
@json_option
def command(
    file: Path,
    profile: str,
    output: Path | None,
    index_bits: int | None,
    threads: int | None,
    quiet: bool,
    limits: Limits,
    as_json: bool,
) -> None:
    """Write FILE's model with the codecs of another profile; no weight changes by a bit.

    \b
    compact   Huffman codes: decodes at memory speed; for devices
    max       context-mixed arithmetic codes: smallest; for transport and archives
    paper     the scheme of Deep Compression (2016): for comparison

    The new file replaces the old one only when it is whole.
    """
    from ...packer.repack import repack

    gaps = gap_settings(index_bits, profile)
    target, before = output or file, file.stat().st_size
    with naming(file), progress(f"repacking {file.name}", quiet or as_json) as step:
        report = repack(file, target, profile, **gaps, threads=threads, progress=step, limits=limits)
    if as_json:
        print_json({"output": str(target), "before_bytes": before, **report.to_dict()})
    elif not quiet:
        echo(*str(report).splitlines())
        echo(f"wrote {target}: {report.file_bytes:,} bytes, {report.file_bytes / before:.1%} of {before:,}")
