"""Kernels for recurrent layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering("LSTM", "GRU", "RNN", kernel="steps from packed weights")
def lower(site: Site) -> Kernel | None:
    """Step by step from packed weights where the layer is plain."""
    from ..kernels.recurrent.layer import lower_recurrent

    return lower_recurrent(site)
