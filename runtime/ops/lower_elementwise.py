"""Lowerings that a family of operators shares: numpy, writing straight into the output's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernels.elementwise import FILLS, lower_batchnorm, lower_elementwise, lower_slice
from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering(*FILLS.keys() - {"Clip", "Softmax"}, kernel="numpy in place")
def lower(site: Site) -> Kernel | None:
    """Fill the output in place."""
    return lower_elementwise(site)


@lowering("Softmax", kernel="row by row, or numpy in place")
def lower_exponentials(site: Site) -> Kernel | None:
    """Row by row where rows lie in memory one after another, else in place."""
    from ..kernels.rowwise import lower_softmax

    return lower_softmax(site) or lower_elementwise(site)


@lowering("Clip", kernel="element by element, or numpy in place")
def lower_bounds(site: Site) -> Kernel | None:
    """Element by element where bounds are known, else in place."""
    return lower_functions(site) or lower_elementwise(site)


@lowering(
    "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Selu", "Sigmoid", "Softplus", "Swish",
    kernel="element by element",
)  # fmt: skip
def lower_functions(site: Site) -> Kernel | None:
    """Element by element."""
    from ..kernels.activations import lower_activation

    return lower_activation(site)


@lowering("PRelu", kernel="element by element")
def lower_slopes(site: Site) -> Kernel | None:
    """Element by element, where slopes are those of channels."""
    from ..kernels.prelu import lower_prelu

    return lower_prelu(site)


@lowering("BatchNormalization", kernel="scale and shift in place")
def lower_normalization(site: Site) -> Kernel | None:
    """Scale and shift in place."""
    return lower_batchnorm(site)


@lowering("Slice", kernel="numpy in place", elements="all")
def lower_part(site: Site) -> Kernel | None:
    """Copy what lies within bounds that are known."""
    return lower_slice(site)
