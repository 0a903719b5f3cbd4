"""Lowerings of operators that move elements, combine those of one place, or convert them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering("Expand", "Slice", "Split", "Transpose", kernel="copy", elements="all")
def lower_part(site: Site) -> Kernel | None:
    """Copy what the output has of the input, where only that is no constant."""
    from ..kernels.strided.moves import lower_view

    return lower_view(site)


@lowering("Concat", kernel="copy", elements="all")
def lower_whole(site: Site) -> Kernel | None:
    """Copy the inputs to where they are in the output."""
    from ..kernels.strided.moves import lower_concat

    return lower_concat(site)


@lowering("DepthToSpace", "SpaceToDepth", kernel="copy", elements="all")
def lower_depth(site: Site) -> Kernel | None:
    """Copy blocks."""
    from ..kernels.strided.moves import lower_blocks
    from .depth_space import deep_blocks, shallow_blocks

    return lower_blocks(site, shallow_blocks if site.node.op_type == "DepthToSpace" else deep_blocks)


@lowering("Gather", kernel="copy", elements="all")
def lower_slices(site: Site) -> Kernel | None:
    """Copy slices by index."""
    from ..kernels.strided.gather import lower_gather

    return lower_gather(site)


@lowering("ScatterElements", kernel="element by element")
def lower_elements(site: Site) -> Kernel | None:
    """Write, or combine, elements by index."""
    from ..kernels.strided.scatter import lower_scatter

    return lower_scatter(site)


@lowering("Cast", "CastLike", kernel="element by element", elements="all")
def lower_types(site: Site) -> Kernel | None:
    """Convert element by element."""
    from ..kernels.strided.cast import lower_cast

    return lower_cast(site)
