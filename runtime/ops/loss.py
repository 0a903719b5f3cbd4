"""Losses."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from .softmax import log_softmax

_REDUCTIONS = ("none", "mean", "sum")


@operator("NegativeLogLikelihoodLoss", allowed={"reduction": _REDUCTIONS})
def negative_log_likelihood_loss(
    X: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> np.ndarray:
    """``-weight[t] * X[n, t, ...]`` for log-probabilities ``X`` (N, C, ...) and classes t = ``target[n, ...]``.

    Where the class is ``ignore_index`` the loss and its weight are 0. "mean" divides by the sum of the weights.
    """
    counted = np.ones(target.shape, bool) if ignore_index is None else target != ignore_index
    classes = np.where(counted, target, 0)
    weights = np.ones(X.shape[1], X.dtype) if weight is None else weight
    factor = np.where(counted, weights[classes], X.dtype.type(0))
    loss = -factor * np.take_along_axis(X, np.expand_dims(classes, 1), 1).squeeze(1)
    if reduction == "none":
        return loss
    return loss.sum() / factor.sum() if reduction == "mean" else loss.sum()


@operator("SoftmaxCrossEntropyLoss", allowed={"reduction": _REDUCTIONS})
def softmax_cross_entropy_loss(
    scores: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> tuple[np.ndarray, np.ndarray]:
    """The negative log likelihood of the softmax of ``scores`` over axis 1, and the logarithm of that softmax."""
    logarithms = log_softmax.reference(scores, axis=1)
    loss = negative_log_likelihood_loss.reference(logarithms, labels, weights, ignore_index=ignore_index, reduction=reduction)
    return loss, logarithms
