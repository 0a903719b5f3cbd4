"""Scaled dot product attention, with key and value caches, grouped heads, masks and windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import accumulator, onnx_dtype
from ._padding import pad_axes
from ._registry import Shaped, lowering, operator
from ._shapes import Shape, Types, Values, given, infers

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


def head_shape(shape: Shape, heads: int | None) -> Shape:
    """(batch, heads, sequence, size) of an input of that shape, or of (batch, sequence, heads * size).

    Raises:
        PlanError: it is of neither form.
    """
    if len(shape) == 4:
        return shape
    if heads is None or len(shape) != 3:
        raise PlanError(f"an input of shape {shape} needs 4 axes, or 3 and its number of heads")
    if heads < 1 or shape[2] % heads:
        raise PlanError(f"{shape[2]} elements do not divide into {heads} heads")
    return shape[0], heads, shape[1], shape[2] // heads


def split_heads(x: np.ndarray, heads: int | None) -> np.ndarray:
    """``x`` as :func:`head_shape` says."""
    batch, count, sequence, size = head_shape(x.shape, heads)
    return x if x.ndim == 4 else x.reshape(batch, sequence, count, size).swapaxes(1, 2)


def _bias(mask: np.ndarray | None, total: int, dtype: np.dtype) -> np.ndarray:
    """What a mask adds to the scores: itself, or 0 and -inf for a boolean one; short ones are padded with -inf."""
    if mask is None:
        return np.zeros((1, 1, 1, total), dtype)
    values = np.where(mask, dtype.type(0), dtype.type(-np.inf)) if mask.dtype == np.bool_ else mask
    missing = total - values.shape[-1]
    return pad_axes(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)], constant_values=-np.inf)


def visible_keys(
    queries: int, keys: int, offset: np.ndarray, lengths: np.ndarray | None, *, causal: bool, left: int, right: int
) -> np.ndarray:
    """Which keys each query may see, boolean (batch or 1, 1, queries, keys).

    ``offset`` (batch or 1,) is the number of keys before the first query; ``lengths`` (batch,) the number of valid keys.
    """
    key, place = np.arange(keys), np.arange(queries)[:, None] + offset.reshape(-1, 1, 1, 1)
    allowed = np.ones((len(place), 1, queries, keys), bool)
    if causal:
        allowed &= key <= place
    if left >= 0:
        allowed &= key >= place - left
    if right >= 0:
        allowed &= key <= place + right
    return allowed if lengths is None else allowed & (key < lengths.reshape(-1, 1, 1, 1))


def _softmax(scores: np.ndarray) -> np.ndarray:
    top = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isneginf(top), scores.dtype.type(0), top))
    return powers / powers.sum(axis=-1, keepdims=True)


def _types(types: Types, values: Values, *, q_num_heads: int | None, kv_num_heads: int | None, **_: Any) -> list[Shaped]:
    dtype, q = given(types, 0)
    queries = head_shape(q, q_num_heads)
    keys, results = (head_shape(given(types, i)[1], kv_num_heads) for i in (1, 2))
    past = types[4] if len(types) > 4 else None
    total = keys[2] + (past[1][2] if past else 0)
    output = (*queries[:3], results[3])
    return [
        (dtype, output if len(q) == 4 else (*q[:2], output[1] * output[3])),
        (given(types, 1)[0], (*keys[:2], total, keys[3])),
        (given(types, 2)[0], (*results[:2], total, results[3])),
        (dtype, (*queries[:3], total)),
    ]


@operator("Attention", infer=infers(_types), allowed={"softmax_precision": (1, 10, 11)})
def attention(
    Q: np.ndarray,
    K: np.ndarray,
    V: np.ndarray,
    attn_mask: np.ndarray | None = None,
    past_key: np.ndarray | None = None,
    past_value: np.ndarray | None = None,
    nonpad_kv_seqlen: np.ndarray | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = -1,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``softmax(scale * Q K^T + mask) V`` for (batch, heads, sequence, size), or (batch, sequence, heads * size).

    The caches come before the keys and values. Returns the result in the layout of ``Q``; the caches grown; and the scores:
    raw, capped, masked or after the softmax, by ``qk_matmul_output_mode``. A query that sees no key gives zeros.
    """
    queries = split_heads(Q, q_num_heads)
    keys, values = split_heads(K, kv_num_heads), split_heads(V, kv_num_heads)
    offset = np.zeros(1, np.int64)
    if past_key is not None and past_value is not None:
        keys, values = np.concatenate([past_key, keys], 2), np.concatenate([past_value, values], 2)
        offset = np.full(1, past_key.shape[2])
    elif nonpad_kv_seqlen is not None:
        offset = nonpad_kv_seqlen.reshape(-1) - queries.shape[2]
    wide, repeats = accumulator(Q.dtype), queries.shape[1] // keys.shape[1]
    root = Q.dtype.type(math.sqrt(1 / math.sqrt(queries.shape[3]) if scale is None else scale))
    left, right = (queries * root).astype(wide), (np.repeat(keys, repeats, 1) * root).astype(wide)
    raw = (left @ right.swapaxes(2, 3)).astype(Q.dtype)
    capped = Q.dtype.type(softcap) * np.tanh(raw / Q.dtype.type(softcap)) if softcap else raw
    visible = visible_keys(
        raw.shape[2],
        raw.shape[3],
        offset,
        nonpad_kv_seqlen,
        causal=bool(is_causal),
        left=left_window_size,
        right=right_window_size,
    )
    bias = np.where(visible, _bias(attn_mask, raw.shape[3], Q.dtype), Q.dtype.type(-np.inf))
    masked = capped + bias
    weights = _softmax(masked if softmax_precision is None else masked.astype(onnx_dtype(softmax_precision)))
    blind = np.isneginf(bias.max(axis=-1, keepdims=True))
    weights = np.where(blind, weights.dtype.type(0), weights).astype(Q.dtype)
    result = (weights.astype(wide) @ np.repeat(values, repeats, 1).astype(wide)).astype(Q.dtype)
    if Q.ndim == 3:
        result = result.swapaxes(1, 2).reshape(*Q.shape[:2], result.shape[1] * result.shape[3])
    return result, keys, values, (raw, capped, masked, weights)[qk_matmul_output_mode]


@lowering("Attention", kernel="head by head")
def lower(site: Site) -> Kernel | None:
    """Head by head."""
    from ..kernels.attention.lower import lower_attention, lower_written

    return lower_written(site) if "stack" in site.node.attributes else lower_attention(site)
