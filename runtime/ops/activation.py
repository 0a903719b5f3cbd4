"""Activations: elementwise functions of one floating-point tensor; the element type is kept."""

from __future__ import annotations

import math

import numpy as np

from ._registry import operator
from ._shapes import like_input
from .unary import erf


@operator("Relu", infer=like_input)
def relu(X: np.ndarray) -> np.ndarray:
    """``max(X, 0)``."""
    return np.maximum(X, X.dtype.type(0))


@operator("LeakyRelu", infer=like_input)
def leaky_relu(X: np.ndarray, *, alpha: float = 0.01) -> np.ndarray:
    """``X`` where it is not negative, else ``alpha * X``."""
    return np.where(X < 0, X.dtype.type(alpha) * X, X)


@operator("ThresholdedRelu", infer=like_input)
def thresholded_relu(X: np.ndarray, *, alpha: float = 1.0) -> np.ndarray:
    """``X`` where it exceeds ``alpha``, else 0."""
    return np.where(np.greater(X, X.dtype.type(alpha)), X, X.dtype.type(0))


@operator("Elu", infer=like_input)
def elu(X: np.ndarray, *, alpha: float = 1.0) -> np.ndarray:
    """``X`` where it is not negative, else ``alpha * (exp(X) - 1)``."""
    return np.where(X < 0, X.dtype.type(alpha) * np.expm1(X), X)


@operator("Celu", infer=like_input)
def celu(X: np.ndarray, *, alpha: float = 1.0) -> np.ndarray:
    """``max(X, 0) + min(alpha * (exp(X / alpha) - 1), 0)``."""
    scale, zero = X.dtype.type(alpha), X.dtype.type(0)
    return np.maximum(X, zero) + np.minimum(scale * np.expm1(X / scale), zero)


@operator("Selu", infer=like_input)
def selu(X: np.ndarray, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> np.ndarray:
    """``gamma * X`` where it is positive, else ``gamma * alpha * (exp(X) - 1)``."""
    return X.dtype.type(gamma) * np.where(X > 0, X, X.dtype.type(alpha) * np.expm1(X))


@operator("Sigmoid", infer=like_input)
def sigmoid(X: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-X))``."""
    one = X.dtype.type(1)
    return one / (one + np.exp(-X))


@operator("HardSigmoid", infer=like_input)
def hard_sigmoid(X: np.ndarray, *, alpha: float = 0.2, beta: float = 0.5) -> np.ndarray:
    """``alpha * X + beta``, clipped to [0, 1]."""
    kind = X.dtype.type
    return np.clip(kind(alpha) * X + kind(beta), kind(0), kind(1))


@operator("HardSwish", infer=like_input)
def hard_swish(X: np.ndarray) -> np.ndarray:
    """``X`` times its hard sigmoid of slope 1/6."""
    kind = X.dtype.type
    return X * np.clip(kind(1 / 6) * X + kind(0.5), kind(0), kind(1))


@operator("Swish", infer=like_input)
def swish(X: np.ndarray, *, alpha: float = 1.0) -> np.ndarray:
    """``X * sigmoid(alpha * X)``."""
    return X * sigmoid.reference(X.dtype.type(alpha) * X)


@operator("Softplus", infer=like_input)
def softplus(X: np.ndarray) -> np.ndarray:
    """``log(1 + exp(X))``, without overflow."""
    return np.logaddexp(X.dtype.type(0), X)


@operator("Softsign", infer=like_input)
def softsign(X: np.ndarray) -> np.ndarray:
    """``X / (1 + |X|)``."""
    return X / (X.dtype.type(1) + np.abs(X))


@operator("Mish", infer=like_input)
def mish(X: np.ndarray) -> np.ndarray:
    """``X * tanh(softplus(X))``."""
    return X * np.tanh(softplus.reference(X))


@operator("Gelu", infer=like_input, allowed={"approximate": ("none", "tanh")})
def gelu(X: np.ndarray, *, approximate: str = "none") -> np.ndarray:
    """``X`` times the normal distribution function of ``X``, exact or through tanh."""
    kind = X.dtype.type
    if approximate == "tanh":
        inner = kind(math.sqrt(2 / math.pi)) * (X + kind(0.044715) * X * X * X)
        return kind(0.5) * X * (kind(1) + np.tanh(inner))
    return kind(0.5) * X * (kind(1) + erf.reference(X * kind(math.sqrt(0.5))))


@operator("Shrink", infer=like_input)
def shrink(X: np.ndarray, *, bias: float = 0.0, lambd: float = 0.5) -> np.ndarray:
    """``X`` moved towards zero by ``bias`` where its magnitude exceeds ``lambd``, else 0."""
    moved = np.where(np.greater(X, lambd), X - bias, np.where(np.less(X, -lambd), X + bias, 0))
    return moved.astype(X.dtype)
