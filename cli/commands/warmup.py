"""``tersor warmup``: compile ahead of time what models need, so that their first run finds it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...format_spec.errors import InputError
from .._output import (
    batch_option,
    bytes_text,
    cache_option,
    counted,
    echo,
    json_option,
    limits_option,
    memory_option,
    print_json,
    size_option,
    threads_option,
)
from .._sources import loaded
from .._types import FilePath

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...runtime.load import Memory
    from .._types import Sizes


@click.command(name="warmup")
@click.argument("files", nargs=-1, type=FilePath())
@batch_option
@size_option
@threads_option
@memory_option
@cache_option
@limits_option
@json_option
def command(
    files: tuple[Path, ...], batch: int, sizes: Sizes, threads: int | None, memory: Memory, limits: Limits, as_json: bool
) -> None:
    """Compile the kernels that FILES need and keep them in the cache folder; without FILES, say where it is.

    \b
    tersor warmup net.tersor --cache /var/cache/tersor     at build time, as whoever may write there
    TERSOR_CACHE_DIR=/var/cache/tersor python app.py       later, as anyone who may read it

    Kept code is for this processor, this Python and this version of Tersor and Numba; any other makes its own. Models that run
    with other sizes, numbers of threads or --memory may need kernels besides: warm up once for each. Fails when a kernel cannot
    be kept.
    """
    from ...runtime.jit.cache import cache_folder, environments, lost

    folder = cache_folder()
    if files and folder is None:
        raise InputError("there is no home directory to keep kernels in: say where, with --cache DIR")
    times = {str(file): _warm(file, batch, sizes, threads, memory, limits) for file in files}
    if failures := lost():
        first = next(iter(failures.values()))
        raise OSError(first.errno, f"kernels cannot be kept there: {first.strerror or first}", str(folder))
    places = environments(folder) if folder is not None else []
    kept = [path.stat().st_size for place in places for path in place.iterdir() if path.is_file()]
    if as_json:
        print_json({"folder": str(folder) if folder else None, "kernels": len(kept), "bytes": sum(kept), "seconds": times})
        return
    for name, seconds in times.items():
        echo(f"{name}: ready in {seconds:.1f} s")
    echo(f"{folder or 'no cache folder'}: {counted(len(kept), 'kernel')}, {bytes_text(sum(kept))}")


def _warm(file: Path, batch: int, given: Sizes, threads: int | None, memory: Memory, limits: Limits) -> float:
    """Run the model once; the seconds that this took."""
    from .._inputs import chosen_sizes, naming_sizes, random_inputs

    begin = time.perf_counter()
    with loaded(file, threads=threads, memory=memory, limits=limits) as model:
        sizes = chosen_sizes(file, model.inputs, given, batch)
        inputs = random_inputs(model.inputs, 0, sizes, limits)
        with naming_sizes(sizes):
            model.run(inputs)
    return time.perf_counter() - begin
