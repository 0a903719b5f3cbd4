"""``tersor warmup``: compile ahead of time what models need, so that their first run finds it."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ...format_spec.errors import InputError
from .._output import bytes_text, cache_option, echo, json_option, print_json, threads_option


@click.command(name="warmup")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Size of every symbolic dimension.")
@threads_option
@cache_option
@json_option
def command(files: tuple[Path, ...], batch: int, threads: int | None, as_json: bool) -> None:
    """Compile the kernels that FILES need and keep them in the cache folder; without FILES, say where it is.

    \b
    tersor warmup net.tersor --cache /var/cache/tersor     at build time, as whoever may write there
    TERSOR_CACHE_DIR=/var/cache/tersor python app.py       later, as anyone who may read it

    Kept code is for this processor, this Python and this version of Tersor and Numba; any other makes its own.
    """
    from ...runtime import load
    from ...runtime.kernels._cache import cache_folder
    from .._inputs import random_inputs

    folder = cache_folder()
    if files and folder is None:
        raise InputError("there is no home directory to keep kernels in: say where, with --cache DIR")
    times = {}
    for file in files:
        begin = time.perf_counter()
        with load(file, threads=threads) as model:
            symbols = {d: batch for v in model.inputs for d in v.type.shape or () if isinstance(d, str)}
            model.run(random_inputs(model.inputs, 0, symbols))
        times[str(file)] = time.perf_counter() - begin
    kept = [path.stat().st_size for path in folder.rglob("*") if path.is_file()] if folder is not None else []
    if as_json:
        print_json({"folder": str(folder) if folder else None, "kernels": len(kept), "bytes": sum(kept), "seconds": times})
        return
    for name, seconds in times.items():
        echo(f"{name}: ready in {seconds:.1f} s")
    echo(f"{folder or 'no cache folder'}: {len(kept)} kernels, {bytes_text(sum(kept))}")
