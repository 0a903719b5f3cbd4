"""Conv + BatchNormalization: a scale and a shift per channel; the stored weights stay as they are."""

from __future__ import annotations

from ....format_spec.graph import Node
from ...kernels.site import Epilogue
from ...ops.batch_normalization import scale_and_shift
from ..facts import Facts
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
    statistics = [a for name in node.inputs[1:5] if (a := facts.array(name)) is not None]
    if axis != 1 or node.inputs[0] != value or len(statistics) < 4:
        return None
    return scaled(draft, *scale_and_shift(node, statistics), count, facts)
