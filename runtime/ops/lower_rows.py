"""Lowerings of what goes over rows: exponentials, means, sums and extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering("Softmax", kernel="row by row, or across rows")
def lower_exponentials(site: Site) -> Kernel | None:
    """Row by row where rows lie in memory one after another, else across rows."""
    from ..kernels.rowwise import lower_softmax
    from ..kernels.strided.reduce import lower_softmax_across

    return lower_softmax(site) or lower_softmax_across(site)


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
