"""The same shared tensor with its zeros left out, or with a code for zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...format_spec.coding import MAX_CODEBOOK
from ...format_spec.tensors import SharedTensor, zero_codes


def fixed(array: np.ndarray, dtype: type) -> np.ndarray:
    """A read-only, contiguous view (or copy) of ``array``: one array type, so that kernels compile once."""
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


def code_type(k: int) -> type:
    """The type of indices into ``k`` entries."""
    return np.uint8 if k <= 256 else np.uint16


def normalise(tensor: SharedTensor) -> SharedTensor:
    """The same tensor with the array types that the decoders give."""
    codes = fixed(tensor.codes, code_type(len(tensor.codebook)))
    if tensor.starts is None or tensor.minors is None:
        return replace(tensor, codes=codes)
    return replace(tensor, codes=codes, starts=fixed(tensor.starts, np.int64), minors=fixed(tensor.minors, np.uint32))


def leave_zeros_out(tensor: SharedTensor) -> SharedTensor:
    """The form with starts and minors, and no zero in the codebook."""
    if tensor.starts is not None:
        return tensor
    k, zeros = len(tensor.codebook), zero_codes(tensor.codebook)
    is_value = np.ones(k, bool)
    is_value[zeros] = False
    positions = np.flatnonzero(is_value[tensor.codes])
    starts = np.searchsorted(positions, np.arange(tensor.majors + 1, dtype=np.int64) * tensor.minor_length)
    renumbered = (np.cumsum(is_value) - 1)[tensor.codes[positions]]
    return normalise(
        replace(
            tensor,
            starts=starts,
            minors=positions % tensor.minor_length,
            codes=renumbered,
            codebook=tensor.codebook[is_value],
        )
    )


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
    majors = np.repeat(np.arange(tensor.majors, dtype=np.int64), np.diff(tensor.starts))
    codes[majors * tensor.minor_length + tensor.minors] = tensor.codes.astype(codes.dtype) + codes.dtype.type(1)
    codebook = np.concatenate([np.zeros(1, tensor.codebook.dtype), tensor.codebook])
    return normalise(replace(tensor, starts=None, minors=None, codes=codes, codebook=codebook))
