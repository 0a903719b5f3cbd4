"""Lowerings of poolings and of local response normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering("MaxPool", "AveragePool", kernel="pooling by planes")
def lower_windows(site: Site) -> Kernel | None:
    """Pool plane by plane."""
    from ..kernels.pool import lower_pool

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


@lowering("ReduceMean", kernel="row by row, or across rows")
def lower_mean(site: Site) -> Kernel | None:
    """Average row by row, where rows lie in memory one after another, else across rows."""
    from ..kernels.rowwise import lower_mean
    from ..kernels.strided.reduce import lower_sum

    return lower_mean(site) or lower_sum(site)


@lowering("ReduceSum", kernel="row by row, or across rows")
def lower_sum(site: Site) -> Kernel | None:
    """Add up neighbours, or what lies across."""
    from ..kernels.strided.reduce import lower_sum

    return lower_sum(site)


@lowering("ReduceMax", "ReduceMin", kernel="element by element", elements="all")
def lower_extreme(site: Site) -> Kernel | None:
    """Take element after element."""
    from ..kernels.strided.reduce import lower_extreme

    return lower_extreme(site)


@lowering("LRN", kernel="runs of positions")
def lower_normalization(site: Site) -> Kernel | None:
    """Normalise a run of positions at a time."""
    from ..kernels.lrn import lower_lrn

    return lower_lrn(site)
