"""Weight sharing: tensors as codes into small codebooks, found (lossless) or made by k-means."""

from __future__ import annotations

from ._registry import initialisations

__all__ = ["initialisations"]
