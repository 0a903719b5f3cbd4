"""Matrix product of stacks of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._dtypes import accumulator
from ._registry import Shaped, lowering, operator
from ._shapes import Shape, Types, Values, broadcast, check_rank, given, infers

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


def matmul_shape(a: Shape, b: Shape) -> Shape:
    """The shape of a product of stacks of matrices, by numpy's rules.

    Raises:
        PlanError: the shapes do not multiply.
    """
    check_rank("A", a, 1, at_least=True)
    check_rank("B", b, 1, at_least=True)
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if left[-1] != right[-2]:
        raise PlanError(f"A of shape {a} and B of shape {b} do not multiply")
    rows, columns = left[-2:-1] if len(a) > 1 else (), right[-1:] if len(b) > 1 else ()
    return (*broadcast(left[:-2], right[:-2]), *rows, *columns)


def _types(types: Types, values: Values, **_: Any) -> Shaped:
    return given(types, 0)[0], matmul_shape(given(types, 0)[1], given(types, 1)[1])


def matmul_rows(node: Node, rank: int) -> tuple[int, ...]:
    """Row axes of the right operand: all but the one that is summed over."""
    return tuple(axis for axis in range(rank) if axis != max(0, rank - 2))


@operator("MatMul", infer=infers(_types), weights={1: matmul_rows})
def matmul(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A`` (..., M, K) @ ``B`` (..., K, N): (..., M, N); rank 1 operands are a row and a column."""
    wide = accumulator(A.dtype)
    return np.matmul(A.astype(wide, copy=False), B.astype(wide, copy=False)).astype(A.dtype, copy=False)


@lowering("MatMul", kernel="product with packed weights, or of packed stacks", elements="float16, float32")
def lower(site: Site) -> Kernel | None:
    """Multiply from codebook indices, or both inputs as they come."""
    from ..kernels.half import lower_half
    from ..kernels.matrices.fully_connected import lower_matmul

    return lower_matmul(site) or lower_half(site, lower_matmul)
