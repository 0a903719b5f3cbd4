"""General matrix product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._dtypes import accumulator
from ._registry import Shaped, lowering, operator
from ._shapes import Types, Values, broadcast, check_rank, given, infers

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


def _types(types: Types, values: Values, *, transA: int, transB: int, **_: Any) -> Shaped:
    dtype, a = given(types, 0)
    b = given(types, 1)[1]
    check_rank("A", a, 2)
    check_rank("B", b, 2)
    (m, inner), (k, n) = a[::-1] if transA else a, b[::-1] if transB else b
    if inner != k:
        raise PlanError(f"A of shape {a} and B of shape {b} do not multiply (transA={transA}, transB={transB})")
    if len(types) > 2 and types[2] is not None and broadcast(types[2][1], (m, n)) != (m, n):
        raise PlanError(f"C of shape {types[2][1]} does not broadcast to {(m, n)}")
    return dtype, (m, n)


def _rows(node: Node, rank: int) -> tuple[int, ...]:
    return (0,) if node.attribute("transB", 0) else (1,)


@operator("Gemm", infer=infers(_types), weights={1: _rows})
def gemm(
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> np.ndarray:
    """``alpha * A @ B + beta * C`` for ``A`` (M, K) and ``B`` (K, N), either of them stored transposed: (M, N)."""
    wide = accumulator(A.dtype)
    left, right = A.T if transA else A, B.T if transB else B
    product = left.astype(wide, copy=False) @ right.astype(wide, copy=False)
    result = product if alpha == 1 else product * alpha
    if C is not None:
        result = result + (C if beta == 1 else C * beta)
    return result.astype(A.dtype, copy=False)


@lowering("Gemm", kernel="product with packed weights", elements="float16, float32")
def lower(site: Site) -> Kernel | None:
    """Multiply from codebook indices."""
    from ..kernels.half import lower_half
    from ..kernels.matrices.fully_connected import lower_gemm

    return lower_gemm(site) or lower_half(site, lower_gemm)
