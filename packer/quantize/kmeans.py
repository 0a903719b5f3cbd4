"""K-means of one-dimensional values: exact Lloyd steps, each no more than ``k`` binary searches.

Rules: a value midway between two centroids belongs to the lower; a cluster that runs empty takes the value (with its repeats)
that is farthest from its centroid; values that are distinct in at most ``k`` ways are their own centroids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._registry import initialisations

_NEGLIGIBLE, _BEARABLE = 2.0**-20, 0.01
"""Squared error that rounding may add, of the values' scatter and of the error that sharing makes."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """``values`` ascending (n,) float32, their ``centroids`` ascending (at most k,) float64, and the Lloyd steps taken."""

    values: np.ndarray
    centroids: np.ndarray
    steps: int
    exact: bool = False

    def rounded(self, dtype: np.dtype) -> np.ndarray:
        """The centroids as numbers of ``dtype``, ascending, distinct, +0.0 for either zero, each nearest to some value.

        Inexact float32 centroids are rounded to fp16, which halves the bytes of a codebook, where all are zero or in its normal
        range and that costs far less than sharing does; values that crowd around one other than zero need float32.
        """
        centroids = self.centroids.astype(dtype)
        short = _short(centroids)
        codebook = np.unique((short if not self.exact and self._bears(short) else centroids) + dtype.type(0))
        while len(codebook):
            used = self._count(codebook.astype(np.float64)) > 0
            if used.all():
                break
            codebook = codebook[used]
        return codebook

    def _bears(self, rounded: np.ndarray) -> bool:
        """Whether centroids ``rounded`` (k,) add less to the squared error than 2^-20 of the values' scatter, or 1 %.

        By Huygens' theorem a cluster's error grows by its count times its mean's shift squared, and its scatter is its error
        and its count times its mean's distance squared: the values need not be read unless that does not decide.
        """
        counts = self._count(self.centroids)
        added = float(counts @ (rounded - self.centroids) ** 2)
        mean = counts @ self.centroids / max(len(self.values), 1)
        if added <= _NEGLIGIBLE * float(counts @ (self.centroids - mean) ** 2):
            return True
        parts = np.split(self.values, np.cumsum(counts)[:-1])
        errors = [np.sum((part - centroid) ** 2) for part, centroid in zip(parts, self.centroids, strict=True)]
        return added <= _BEARABLE * float(np.sum(errors))

    def _count(self, centroids: np.ndarray) -> np.ndarray:
        """How many values are nearest to each of the ascending ``centroids`` (k,) float64: (k,) int64."""
        from ._lloyd import count_clusters

        counts = np.empty(len(centroids), np.int64)
        count_clusters(self.values, centroids, counts)
        return counts


def kmeans(values: np.ndarray, k: int, init: str = "linear", seed: int = 0, iterations: int = 300) -> Clusters:
    """Cluster finite float32 ``values`` (n,) around at most ``k`` centroids; ``values`` is not modified.

    ``init`` names one of :func:`initialisations`; ``seed`` feeds it; at most ``iterations`` Lloyd steps are taken.
    """
    from ._lloyd import count_distinct, lloyd, sort_patterns

    keys = np.array(values, np.float32).view(np.uint32)
    patterns = np.empty_like(keys)
    sort_patterns(keys, patterns)
    ordered = patterns.view(np.float32)
    if count_distinct(ordered, k + 1) <= k:
        return Clusters(ordered, np.unique(ordered).astype(np.float64), 0, exact=True)
    centroids = np.ascontiguousarray(initialisations()[init](ordered, k, seed), np.float64)
    steps = lloyd(ordered, centroids, iterations)
    return Clusters(ordered, centroids, int(steps))


def _short(centroids: np.ndarray) -> np.ndarray:
    """float32 ``centroids`` (k,) rounded to values of fp16, when more than one of them is there and fp16 can hold them."""
    sizes = np.abs(centroids[centroids != 0])
    half = np.finfo(np.float16)
    if centroids.dtype != np.float32 or not len(sizes) or sizes.min() < half.tiny or sizes.max() > half.max:
        return centroids
    return centroids.astype(np.float16).astype(np.float32)
