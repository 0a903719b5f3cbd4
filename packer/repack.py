"""``repack``: the same model in another profile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..format_spec.container import open_container
from ..format_spec.limits import DEFAULT_LIMITS, Limits
from ..format_spec.model_file import read_graph
from .packing import Progress, pack
from .recipe import Recipe

if TYPE_CHECKING:
    from .report import PackReport


def repack(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    profile: str,
    *,
    index_bits: int = 5,
    limits: Limits = DEFAULT_LIMITS,
    threads: int | None = None,
    progress: Progress | None = None,
) -> PackReport:
    """Write the packed file ``source`` to ``path`` with the codecs of ``profile``: the same graph, and tensors bit for bit.

    ``path`` may be ``source``: the file is replaced when the new one is whole. ``index_bits`` (1 to 8) is the paper profile's;
    the other arguments are those of :func:`~tersor.packer.pack`.

    Raises:
        RecipeError: no such profile; nothing is written.
        FormatError: ``source`` is damaged; what was at ``path`` stays.
        LimitError: it asks for more than ``limits`` allow.
        UnsupportedOperator: the runtime does not know an operator of its graph.
        OSError: a file cannot be read or written.
    """
    from ..runtime.decode import decode

    recipe = Recipe.lossless(profile, index_bits=index_bits)
    with open_container(source, limits) as container:
        return pack(read_graph(container, decode), path, recipe, limits=limits, threads=threads, progress=progress)
