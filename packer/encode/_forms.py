"""The same shared tensor with its zeros left out, or with a code for zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...format_spec.coding import MAX_CODEBOOK
from ...format_spec.tensors import LONGEST_PATTERN, SharedTensor, bit_patterns, memory_order, zero_codes
from ...runtime.decode.reorder import reorder
from ._kernels import drop_zeros, histogram, place_codes


def fixed(array: np.ndarray, dtype: type) -> np.ndarray:
    """A read-only, contiguous view (or copy) of ``array``: one array type, so that kernels compile once."""
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


def code_type(k: int) -> type:
    """The type of indices into ``k`` entries."""
    return np.uint8 if k <= 256 else np.uint16


def normalise(tensor: SharedTensor) -> SharedTensor:
    """The same tensor with the array types that the decoders give, and a codebook as :func:`distinct` makes it; listed as it
    lies in memory where that is the other order, too, so that one tensor has one encoding."""
    tensor = distinct(tensor)
    if min(tensor.rows, tensor.columns) == 1:
        tensor = reorder(tensor, memory_order(len(tensor.shape), tensor.row_axes))
    codes = fixed(tensor.codes, code_type(len(tensor.codebook)))
    if tensor.starts is None or tensor.minors is None:
        return replace(tensor, codes=codes)
    return replace(tensor, codes=codes, starts=fixed(tensor.starts, np.int64), minors=fixed(tensor.minors, np.uint32))


def distinct(tensor: SharedTensor) -> SharedTensor:
    """The same tensor, its codebook's entries distinct and in use, by ascending bit pattern: encoders may store one twice, or
    one that no code stands for. Elements longer than integers are left as they are."""
    if tensor.dtype.itemsize > LONGEST_PATTERN:
        return tensor
    patterns, counts = bit_patterns(tensor.codebook), np.zeros(len(tensor.codebook), np.int64)
    histogram(fixed(tensor.codes, tensor.codes.dtype.type), counts)
    used = counts > 0
    if not used.any() or (used.all() and (patterns[1:] > patterns[:-1]).all()):
        return tensor
    kept, places = np.unique(patterns[used], return_inverse=True)
    numbers = np.zeros(len(patterns), code_type(len(kept)))
    numbers[used] = places
    return replace(tensor, codes=numbers[tensor.codes], codebook=kept.view(tensor.dtype))


def leave_zeros_out(tensor: SharedTensor) -> SharedTensor:
    """The form with starts and minors, and no zero in the codebook; ``tensor`` is normalised."""
    if tensor.starts is not None:
        return tensor
    k = len(tensor.codebook)
    is_value = np.ones(k, bool)
    is_value[zero_codes(tensor.codebook)] = False
    counts = np.zeros(k, np.int64)
    histogram(tensor.codes, counts)
    nonzeros = int(counts[is_value].sum())
    starts, minors = np.zeros(tensor.majors + 1, np.int64), np.empty(nonzeros, np.uint32)
    codes = np.empty(nonzeros, code_type(int(is_value.sum())))
    renumbered = np.where(is_value, np.cumsum(is_value) - 1, -1)
    drop_zeros(tensor.codes, renumbered, tensor.minor_length, starts, minors, codes)
    return normalise(replace(tensor, starts=starts, minors=minors, codes=codes, codebook=tensor.codebook[is_value]))


def keep_zeros(tensor: SharedTensor) -> SharedTensor | None:
    """The form without starts and minors, zero being the codebook's first entry; ``None`` when that makes it too large."""
    if tensor.starts is None or tensor.minors is None:
        return tensor
    if len(tensor.codes) == tensor.size:
        return replace(tensor, starts=None, minors=None)
    k = len(tensor.codebook) + 1
    if k > MAX_CODEBOOK:
        return None
    codes = np.zeros(tensor.size, code_type(k))
    place_codes(tensor.starts, tensor.minors, tensor.codes, tensor.minor_length, codes)
    codebook = np.concatenate([np.zeros(1, tensor.codebook.dtype), tensor.codebook])
    return normalise(replace(tensor, starts=None, minors=None, codes=codes, codebook=codebook))
