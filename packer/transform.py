"""One tensor through the recipe: pruned, shared, or left as it is."""

from __future__ import annotations

import numpy as np

from ..format_spec.graph import Tensor
from ..format_spec.tensors import DenseTensor, SharedTensor
from .encode.dense import is_fill
from .prune import prune
from .quantize.find_shared import find_shared
from .quantize.share import share
from .recipe import Layer


def transform(name: str, tensor: Tensor, row_axes: tuple[int, ...], layer: Layer, *, filler: bool = False) -> Tensor:
    """What the file will hold of ``tensor``.

    A :class:`SharedTensor` passes untouched: that is how trained models arrive. A tensor that ``layer`` keeps comes back bit
    for bit, as codes where few values repeat. ``row_axes`` is the matrix view, ``()`` for a tensor that is not a weight.
    ``filler``: see :func:`~.quantize.share.share`.

    Raises:
        RecipeError: pruning or sharing would have to change NaN or infinity.
    """
    if isinstance(tensor, SharedTensor):
        return tensor
    dense = tensor.dense()
    if is_fill(dense) and layer.pruning is None:
        return tensor  # its one value is a codebook already
    if layer.keeps:
        return find_shared(dense, row_axes) or tensor
    mask = None
    if layer.pruning is not None:
        mask = prune(name, dense, layer.pruning)
        if layer.bits is None:
            pruned = np.where(mask, dense, dense.dtype.type(0))
            return find_shared(pruned, row_axes) or DenseTensor.of(pruned)
    assert layer.bits is not None, "a layer that neither prunes nor shares keeps"
    return share(
        name,
        dense,
        mask,
        row_axes,
        layer.bits,
        init=layer.init,
        seed=layer.seed,
        iterations=layer.iterations,
        feedback=layer.feedback,
        filler=filler,
    )
