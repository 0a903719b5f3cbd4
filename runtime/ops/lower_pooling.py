"""Lowerings of pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering("MaxPool", "AveragePool", kernel="pooling by planes")
def lower_windows(site: Site) -> Kernel | None:
    """Pool plane by plane."""
    from ..kernels.pooling.pool import lower_pool

    return lower_pool(site)


@lowering("GlobalAveragePool", kernel="row by row")
def lower_global(site: Site) -> Kernel | None:
    """Average plane by plane."""
    from ..kernels.rowwise import lower_global_average

    return lower_global_average(site)


@lowering("GlobalMaxPool", kernel="row by row")
def lower_global_max_pool(site: Site) -> Kernel | None:
    """A kernel for maxima of planes."""
    from ..kernels.rowwise import lower_global_max

    return lower_global_max(site)
