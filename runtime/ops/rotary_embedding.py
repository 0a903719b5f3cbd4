"""Rotary position embedding."""

from __future__ import annotations

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import operator
from ._shapes import like_input


@operator("RotaryEmbedding", infer=like_input)
def rotary_embedding(
    X: np.ndarray,
    cos_cache: np.ndarray,
    sin_cache: np.ndarray,
    position_ids: np.ndarray | None = None,
    *,
    interleaved: int = 0,
    num_heads: int | None = None,
    rotary_embedding_dim: int = 0,
) -> np.ndarray:
    """Rotate pairs of each head of ``X`` (batch, heads, sequence, size), or (batch, sequence, heads * size).

    The caches hold cosines and sines (positions, d / 2), looked up by ``position_ids`` (batch, sequence), or (batch,
    sequence, d / 2). d is ``rotary_embedding_dim``, or the whole head; a pair is the first and second half of d, or
    with ``interleaved`` neighbours.
    """
    if X.ndim == 3 and not num_heads:
        raise PlanError("an input of rank 3 needs num_heads")
    count = num_heads or 1
    heads = X.swapaxes(1, 2) if X.ndim == 4 else X.reshape(*X.shape[:2], count, X.shape[2] // count)
    cos, sin = ((c if position_ids is None else c[position_ids])[:, :, None] for c in (cos_cache, sin_cache))
    size = rotary_embedding_dim or heads.shape[3]
    turned, kept = heads[..., :size], heads[..., size:]
    first, second = (turned[..., 0::2], turned[..., 1::2]) if interleaved else np.split(turned, 2, axis=-1)
    real, imaginary = cos * first - sin * second, sin * first + cos * second
    pairs = np.stack([real, imaginary], -1 if interleaved else -2).reshape(turned.shape)
    result = np.concatenate([pairs, kept], -1).astype(X.dtype)
    return result.swapaxes(1, 2) if X.ndim == 4 else result.reshape(X.shape)
