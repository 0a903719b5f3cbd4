"""Integer kernels for quantised operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._registry import lowering

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@lowering("MatMulInteger", "QLinearMatMul", kernel="integer product", elements="int8, uint8")
def lower_products(site: Site) -> Kernel | None:
    """Multiply 8-bit matrices, sums in int32."""
    from ..kernels.quantized.matmul import lower_integer_matmul

    return lower_integer_matmul(site)


@lowering("ConvInteger", "QLinearConv", kernel="integer product of patches or planes", elements="int8, uint8")
def lower_convolutions(site: Site) -> Kernel | None:
    """Convolve 8-bit images, sums in int32."""
    from ..kernels.quantized.conv import lower_integer_conv

    return lower_integer_conv(site)


@lowering("QuantizeLinear", "DynamicQuantizeLinear", kernel="element by element")
@lowering("DequantizeLinear", kernel="element by element", elements="int8, int16, int32, uint8, uint16")
def lower_conversions(site: Site) -> Kernel | None:
    """Convert element by element."""
    from ..kernels.quantized.quantize import lower_conversion

    return lower_conversion(site)
