"""Integer kernels for quantised operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._registry import lowering

if TYPE_CHECKING:
    from ..plan.step import Kernel, Site


@lowering("MatMulInteger", "QLinearMatMul")
def lower_products(site: Site) -> Kernel | None:
    """Multiply 8-bit matrices, sums in int32."""
    from ..kernels.integer_matmul import lower_matmul

    return lower_matmul(site)


@lowering("ConvInteger", "QLinearConv")
def lower_convolutions(site: Site) -> Kernel | None:
    """Convolve 8-bit images, sums in int32."""
    from ..kernels.integer_conv import lower_conv

    return lower_conv(site)


@lowering("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
def lower_conversions(site: Site) -> Kernel | None:
    """Convert element by element."""
    from ..kernels.quantize import lower_conversion

    return lower_conversion(site)
