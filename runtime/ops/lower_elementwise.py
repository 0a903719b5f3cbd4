"""Lowerings that a family of operators shares: loops over elements, straight into the output's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernels.elementwise import ANY, FLOATS, lower_batchnorm, lower_elementwise
from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering(*FLOATS, kernel="element by element")
def lower(site: Site) -> Kernel | None:
    """Element by element."""
    return lower_elementwise(site)


@lowering(*ANY.keys() - {"Clip"}, kernel="element by element", elements="all")
def lower_any(site: Site) -> Kernel | None:
    """Element by element."""
    return lower_elementwise(site)


@lowering("Clip", kernel="element by element", elements="all")
def lower_bounds(site: Site) -> Kernel | None:
    """Element by element, in one pass where bounds are known."""
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


@lowering("BatchNormalization", kernel="scale and shift, element by element")
def lower_normalization(site: Site) -> Kernel | None:
    """Scale and shift in place."""
    return lower_batchnorm(site)


@lowering("Where", kernel="element by element", elements="all")
def lower_choice(site: Site) -> Kernel | None:
    """Copy one input, and what is chosen of the other."""
    from ..kernels.strided.where import lower_where

    return lower_where(site)
