"""Lowerings that a family of operators shares: numpy, writing straight into the output's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernels.elementwise import FILLS, lower_batchnorm, lower_elementwise
from ._registry import lowering

if TYPE_CHECKING:
    from ..plan.step import Kernel, Site


@lowering(*FILLS, kernel="numpy in place")
def lower(site: Site) -> Kernel | None:
    """Fill the output in place."""
    return lower_elementwise(site)


@lowering("BatchNormalization", kernel="scale and shift in place")
def lower_normalization(site: Site) -> Kernel | None:
    """Scale and shift in place."""
    return lower_batchnorm(site)
