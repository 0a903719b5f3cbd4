"""Operators whose output size depends on the data."""

from __future__ import annotations

import numpy as np

from ._registry import operator


@operator("NonZero", shape_inputs=(0,))
def non_zero(X: np.ndarray) -> np.ndarray:
    """Coordinates of the elements that are not zero, int64 (rank, count), in C order."""
    return np.array(np.nonzero(X), np.int64) if X.ndim else np.zeros((0, np.count_nonzero(X)), np.int64)


@operator("Compress", shape_inputs=(1,))
def compress(X: np.ndarray, condition: np.ndarray, *, axis: int | None = None) -> np.ndarray:
    """The slices along ``axis`` (default: the flattened elements) where ``condition`` (boolean, may be shorter) holds."""
    return np.compress(condition, X, axis=axis)


@operator("Unique", shape_inputs=(0,))
def unique(X: np.ndarray, *, axis: int | None = None, sorted: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The distinct elements (or slices along ``axis``), ascending or in order of appearance.

    Returns them, the first index of each, the place of every input element among them, and their counts, int64.
    """
    values, first, inverse, counts = np.unique(X, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.reshape(-1)
    if not sorted:
        order = np.argsort(first)
        values = np.take(values, order, axis or 0)
        first, counts, inverse = first[order], counts[order], np.argsort(order)[inverse]
    return values, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)


@operator("NonMaxSuppression", shape_inputs=(0, 1, 2, 3, 4))
def non_max_suppression(
    boxes: np.ndarray,
    scores: np.ndarray,
    max_output_boxes_per_class: np.ndarray | None = None,
    iou_threshold: np.ndarray | None = None,
    score_threshold: np.ndarray | None = None,
    *,
    center_point_box: int = 0,
) -> np.ndarray:
    """Greedy choice of ``boxes`` (N, boxes, 4) by ``scores`` (N, classes, boxes): int64 (chosen, 3) of batch, class, box.

    Boxes are two opposite corners (y1, x1, y2, x2), or with ``center_point_box`` (x, y, width, height).
    """
    limit = 0 if max_output_boxes_per_class is None else int(max_output_boxes_per_class.reshape(()))
    overlap = 0.0 if iou_threshold is None else float(iou_threshold.reshape(()))
    least = -np.inf if score_threshold is None else float(score_threshold.reshape(()))
    chosen = []
    for batch in range(scores.shape[0]):
        corners = _corners(boxes[batch], bool(center_point_box))
        for label in range(scores.shape[1]):
            kept = _suppress(corners, scores[batch, label], limit, overlap, least)
            chosen += [(batch, label, box) for box in kept]
    return np.array(chosen, np.int64).reshape(-1, 3)


def _corners(boxes: np.ndarray, centred: bool) -> np.ndarray:
    """(boxes, 2, 2): the lower and the upper corner of each."""
    if centred:
        middle, half = boxes[:, :2], boxes[:, 2:] / 2
        return np.stack([middle - half, middle + half], 1)
    return np.sort(boxes.reshape(-1, 2, 2), axis=1)


def _suppress(corners: np.ndarray, scores: np.ndarray, limit: int, overlap: float, least: float) -> list[int]:
    areas = np.prod(corners[:, 1] - corners[:, 0], axis=1)
    kept: list[int] = []
    for box in np.argsort(-scores, kind="stable"):
        if len(kept) == limit or scores[box] <= least:
            break
        low = np.maximum(corners[box, 0], corners[kept, 0])
        high = np.minimum(corners[box, 1], corners[kept, 1])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        united = areas[box] + areas[kept] - shared
        if not np.any((shared > 0) & (shared > overlap * united)):
            kept.append(int(box))
    return kept
