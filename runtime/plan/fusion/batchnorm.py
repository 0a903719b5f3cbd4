"""Conv + BatchNormalization: a scale and a shift per channel; the stored weights stay as they are."""

from __future__ import annotations

import numpy as np

from ....format_spec.graph import Node
from ..facts import Facts
from ..step import Epilogue
from ._draft import Draft, channels, scaled


def absorb_batchnorm(draft: Draft, node: Node, value: str, facts: Facts) -> Epilogue | None:
    """Take in an inference-mode BatchNormalization whose statistics are constant."""
    if (
        node.op_type != "BatchNormalization"
        or node.attribute("training_mode", 0)
        or draft.epilogue.clips
        or draft.epilogue.residual
    ):
        return None
    _, axis, count = channels(draft, facts)
    statistics = [facts.array(name) for name in node.inputs[1:5]]
    if axis != 1 or node.inputs[0] != value or any(a is None for a in statistics):
        return None
    gamma, beta, mean, variance = (np.asarray(a, np.float64) for a in statistics)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = gamma / np.sqrt(variance + node.attribute("epsilon", 1e-5))
        shift = beta - mean * scale
    return scaled(draft, scale, shift, count, facts)
