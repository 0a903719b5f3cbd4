"""Encoders: from a tensor to the payload that the decoders in :mod:`tersor.runtime.decode` read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from ...format_spec.codebooks import codebook_bytes, codebook_form
from ...format_spec.coding import MAX_ALPHABET, MAX_BLOCK_POSITIONS, MAX_CODEBOOK
from ...format_spec.tensors import LONGEST_PATTERN, DenseTensor, SharedTensor, bit_patterns
from ._assemble import Encoded
from ._forms import distinct
from .dense import encode_dense

if TYPE_CHECKING:
    from ...format_spec.graph import Tensor

__all__ = ["INDEX_BITS", "Encoded", "Profile", "encode"]

Profile: TypeAlias = Literal["compact", "paper", "max"]
"""Which codecs a file may use."""

INDEX_BITS = 5
"""Bits of a gap in the paper profile when nothing else is asked for: the paper's choice for fully connected layers."""


def encode(tensor: Tensor, profile: str = "compact", *, index_bits: int = INDEX_BITS) -> Encoded:
    """Encode ``tensor``: the smallest of what ``profile`` offers by estimate, and never larger than raw.

    The payload decodes to the same elements, bit for bit; a shared tensor may come back in another scan order, with its zeros
    left out or kept. The result depends on the arguments alone. ``index_bits`` (1 to 8) is the paper profile's.

    Raises:
        ValueError: no such profile, or ``index_bits`` is out of range.
    """
    if profile not in ("compact", "paper", "max") or not 1 <= index_bits <= 8:
        raise ValueError(f"profile {profile!r} with {index_bits} index bits: choose compact, paper or max, and 1 to 8 bits")
    if isinstance(tensor, DenseTensor) or _is_better_dense(tensor):
        return encode_dense(tensor)
    dense = encode_dense(tensor) if _may_repeat(tensor) else None
    if dense and _codebook_size(tensor) >= len(dense.payload):
        return dense
    from .compact import encode_compact
    from .paper import encode_paper

    is_paper = profile == "paper" and len(tensor.codebook) < MAX_CODEBOOK  # a filler takes one code
    found = encode_paper(tensor, index_bits) if is_paper else encode_compact(tensor)
    if profile == "max":
        from .mixed import encode_mixed

        found = min(found, encode_mixed(tensor) or found, key=lambda encoded: len(encoded.payload))
    if dense is None and len(found.payload) < tensor.size * tensor.dtype.itemsize:
        return found
    return min(found, dense or encode_dense(tensor), key=lambda encoded: len(encoded.payload))


def _codebook_size(tensor: SharedTensor) -> int:
    """Bytes of the tensor's codebook alone, but for entries that are twice in it or not in use."""
    codebook = distinct(tensor).codebook
    return len(codebook_bytes(codebook, codebook_form(codebook)))


def _may_repeat(tensor: SharedTensor) -> bool:
    """Whether elements may follow one another in patterns, or have few upper bytes, which codes know nothing of: those of a
    table that is no weight, and numbers of a narrow type, or of one inside of a wider."""
    return not tensor.row_axes or tensor.dtype.itemsize == 1 or len(tensor.codebook) > MAX_ALPHABET


def _is_better_dense(tensor: SharedTensor) -> bool:
    """Whether the tensor is empty or one value throughout, or an axis is too long for a block, or elements for integers."""
    if tensor.dtype.itemsize > LONGEST_PATTERN:
        return True
    if not len(tensor.codes) or max(tensor.rows, tensor.columns) > MAX_BLOCK_POSITIONS:
        return True
    if len(tensor.codes) < tensor.size:
        return False
    patterns = bit_patterns(tensor.codebook)
    same = patterns == patterns[tensor.codes[0]]
    return bool(same[tensor.codes[-1]]) and bool(same[tensor.codes].all())
