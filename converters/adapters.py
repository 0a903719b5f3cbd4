"""Upgrades that ``onnx.version_converter`` lacks or gets wrong, each applied to a model at one exact opset.

Checked against onnx 1.23. What is wrong there:

* ``Add`` and its kin, and ``Gemm``, 6 → 7 refuse an ``axis`` that does not line the shapes up at their ends and any dimension
  that has a name instead of a size; ``And``, ``Less`` and their kin are not known. All that opset 7 changed is done here.
* ``PRelu`` 6 → 7 keeps a slope per channel, (C,), where a shape that broadcasts, (C, 1, ...), is now due.
* ``Resize`` 10 → 11 (and ``Upsample``, which becomes a ``Resize``) leaves the new attributes out, and their defaults
  (half_pixel, round_prefer_floor) are not what the old operators did.
* ``Clip`` and ``Pad`` 10 → 11 turn attributes into float32 constants whatever the type of the data, and leave ``value`` on a
  ``Pad`` of another mode, where the schema no longer has it.
* ``Hardmax`` 12 → 13 keeps the axis although its meaning changed (flatten to 2-D, then take the rows).
* ``GroupNormalization`` 20 → 21 keeps ``scale`` and ``bias`` per group where one per channel is now due.
* ``Scan`` 8 → 9 drops the batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from onnx import AttributeProto, NodeProto, helper

from ..format_spec.errors import UnsupportedOperator
from .nodes import walk
from .patch import Patch
from .skeleton import Skeleton

_BROADCASTING = ("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor")

_FORGETTING = ("BatchNormalization", "Dropout", "GRU", "Gemm", "LSTM", "RNN")

_OLD_FLOAT_TYPES = (np.dtype(np.float16), np.dtype(np.float64))


Adapter = Callable[[NodeProto, Patch], list[NodeProto]]
"""(node, patch) -> the nodes that take its place; the node itself is a copy and may be changed."""


def broadcast_6(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Give the second input the axes that follow those which ``axis`` lines it up with, and drop what said how to broadcast."""
    axis = _pop(node, "axis")
    _pop(node, "broadcast")
    if axis is None:
        return [node]
    a, b = patch.ranks.get(node.input[0]), patch.ranks.get(node.input[1])
    if a is None or b is None:
        message = f"{node.op_type} of opset 6 with an axis needs inputs of known rank; export at opset 7 or later"
        raise UnsupportedOperator(message, node=node.name)
    start = int(axis) % a
    if start + b < a:
        axes = list(range(b, a - start))
        node.input[1] = patch.node("Unsqueeze", [node.input[1]], f"{node.output[0]}_aligned", axes=axes)
    return [*patch.drain(), node]


def forget_6(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Drop what opset 7 does without: it broadcasts what fits, and has the mode of inference only."""
    for name in ("broadcast", "is_test", "output_sequence"):
        _pop(node, name)
    return [node]


def prelu_6(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Give a slope per channel, (C,), the axes that follow the channels: (C, 1, ...)."""
    rank, slope = patch.ranks.get(node.input[0]), patch.ranks.get(node.input[1])
    if slope == 1 and rank != 2:
        if rank is None:
            raise UnsupportedOperator(
                "PRelu of opset 6 needs an input of known rank; export at opset 7 or later", node=node.name
            )
        column = patch.constant(f"{node.output[0]}_column", np.array([-1, *[1] * (rank - 2)], np.int64))
        node.input[1] = patch.node("Reshape", [node.input[1], column], f"{node.output[0]}_slope")
    return [*patch.drain(), node]


def upsample_6(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Put the scales of an image's rows and columns into the list of all axes; what was called bilinear is linear now."""
    rows, columns = _pop(node, "height_scale"), _pop(node, "width_scale")
    if rows is not None and columns is not None:
        node.attribute.append(helper.make_attribute("scales", [1.0, 1.0, rows, columns]))
    for attribute in node.attribute:
        if attribute.name == "mode" and attribute.s == b"bilinear":
            attribute.s = b"linear"
    return [node]


def resize_10(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """State what ``Resize`` 10 meant: coordinates divided by the scale; nearest rounds down, along axes that shrink up.

    ONNX left the rounding open; this is ONNX Runtime's. Later opsets round all axes alike: where some grow and others shrink,
    or may, one ``Resize`` lets grow and another shrinks.
    """
    node.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
    held, y = patch.tensors.get(node.input[1]), node.output[0]
    scales = None if held is None else held.dense()
    shrinks = scales is not None and bool((scales <= 1).all())
    if not (_is_nearest(node) and (scales is None or (not shrinks and (scales < 1).any()))):
        node.attribute.append(helper.make_attribute("nearest_mode", "ceil" if shrinks else "floor"))
        return [node]
    if scales is None:
        one = patch.constant(f"{y}_one", np.ones(1, np.float32))
        up, down = (patch.node(op, [node.input[1], one], f"{y}_{op.lower()}") for op in ("Max", "Min"))
    else:
        up, down = (patch.constant(f"{y}_scales", of(scales, np.float32(1))) for of in (np.maximum, np.minimum))
    kept = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    node.input[0] = patch.node("Resize", [node.input[0], up], f"{y}_grown", **kept, nearest_mode="floor")
    node.input[1] = down
    node.attribute.append(helper.make_attribute("nearest_mode", "ceil"))
    return [*patch.drain(), node]


def _is_nearest(node: NodeProto) -> bool:
    return all(attribute.s == b"nearest" for attribute in node.attribute if attribute.name == "mode")


def clip_10(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Turn ``min`` and ``max`` into inputs of the data's type; float32 is left to the library."""
    dtype = patch.dtypes.get(node.input[0])
    if dtype not in _OLD_FLOAT_TYPES:
        return [node]
    for bound in ("min", "max"):
        value = _pop(node, bound)
        name = "" if value is None else patch.constant(f"{node.output[0]}_{bound}", np.array(value, dtype))
        node.input.append(name)
    return [node]


def pad_10(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Drop ``value`` where the mode does not read it."""
    mode = next((a.s for a in node.attribute if a.name == "mode"), b"constant")
    if mode != b"constant":
        _pop(node, "value")
    return [node]


def pad_11(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Give the library's float32 fill value the type of the data."""
    dtype = patch.dtypes.get(node.input[0])
    value = node.input[2] if len(node.input) > 2 else ""
    if dtype not in _OLD_FLOAT_TYPES or patch.dtypes.get(value) != np.float32:
        return [node]
    element = helper.np_dtype_to_tensor_dtype(dtype)
    node.input[2] = patch.node("Cast", [value], f"{node.output[0]}_value", to=element)
    return [*patch.drain(), node]


def hardmax_12(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Flatten to 2-D at ``axis`` first, as the operator did itself."""
    given = _pop(node, "axis")
    axis = 1 if given is None else int(given)
    x, y = node.input[0], node.output[0]
    rank = patch.ranks.get(x)
    if axis == -1 or (rank is not None and axis == rank - 1):
        node.attribute.append(helper.make_attribute("axis", -1))
        return [node]
    shape = patch.node("Shape", [x], f"{y}_shape")
    flat = patch.node("Flatten", [x], f"{y}_flat", axis=axis)
    node.input[0], node.output[0] = flat, patch.fresh(f"{y}_rows")
    node.attribute.append(helper.make_attribute("axis", 1))
    return [*patch.drain(), node, helper.make_node("Reshape", [node.output[0], shape], [y], name=f"{node.name}_reshape")]


def group_normalization_20(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Repeat ``scale`` and ``bias`` over the channels of each group: (G,) → (G, C / G) → (C,)."""
    groups = int(next(a.i for a in node.attribute if a.name == "num_groups"))
    y = node.output[0]
    channels = patch.node("Shape", [node.input[0]], f"{y}_channels", start=1, end=2)
    count = patch.constant(f"{y}_groups", np.array([groups], np.int64))
    repeat = patch.node("Div", [channels, count], f"{y}_repeat")
    ones = patch.constant(f"{y}_one", np.array([1], np.int64))
    expanded = patch.node("Concat", [ones, repeat], f"{y}_expanded", axis=0)
    column = patch.constant(f"{y}_column", np.array([-1, 1], np.int64))
    flat = patch.constant(f"{y}_flat", np.array([-1], np.int64))
    for index, what in ((1, "scale"), (2, "bias")):
        as_column = patch.node("Reshape", [node.input[index], column], f"{y}_{what}_column")
        repeated = patch.node("Expand", [as_column, expanded], f"{y}_{what}_repeated")
        node.input[index] = patch.node("Reshape", [repeated, flat], f"{y}_{what}")
    return [*patch.drain(), node]


def scan_8(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Refuse: the operator lost its batch axis at opset 9."""
    raise UnsupportedOperator(
        "Scan of opset 8 has a batch axis that later opsets lack; export at opset 9 or later", node=node.name
    )


def batch_normalization_8(node: NodeProto, patch: Patch) -> list[NodeProto]:
    """Refuse the mode that opset 9 removed; the library does too, without a name."""
    if any(a.name == "spatial" and a.i != 1 for a in node.attribute):
        raise UnsupportedOperator(
            "BatchNormalization with spatial=0 does not exist since opset 9", node=node.name or node.output[0]
        )
    return [node]


ADAPTERS: tuple[tuple[int, str, Adapter], ...] = (
    *((6, name, broadcast_6) for name in _BROADCASTING),
    *((6, name, forget_6) for name in _FORGETTING),
    (6, "PRelu", prelu_6),
    (6, "Upsample", upsample_6),
    (8, "Scan", scan_8),
    (8, "BatchNormalization", batch_normalization_8),
    (10, "Resize", resize_10),
    (10, "Clip", clip_10),
    (10, "Pad", pad_10),
    (11, "Pad", pad_11),
    (12, "Hardmax", hardmax_12),
    (20, "GroupNormalization", group_normalization_20),
)
"""(opset, operator, what to do when the model stands at that opset), in order of opset."""

_COMES_FROM = {"Resize": "Upsample"}


def stops(skeleton: Skeleton) -> list[int]:
    """The opsets, ascending, at which ``skeleton`` must stand once on its way up because an adapter concerns it."""
    present = {node.op_type for node in walk(skeleton.nodes)}
    wanted = {at for at, op, _ in ADAPTERS if op in present or _COMES_FROM.get(op) in present}
    return sorted(at for at in wanted if at >= skeleton.opset)


def adapt(skeleton: Skeleton) -> None:
    """Apply every adapter of the skeleton's opset to its nodes; those of opset 6 take it to 7: they are all that changed."""
    chosen = {op: change for at, op, change in ADAPTERS if at == skeleton.opset}
    if chosen:
        skeleton.nodes = _adapted(skeleton.nodes, chosen, Patch.of(skeleton))
    if skeleton.opset == 6:
        skeleton.opset = 7


def _adapted(nodes: Iterable[NodeProto], chosen: Mapping[str, Adapter], patch: Patch) -> list[NodeProto]:
    result: list[NodeProto] = []
    for original in nodes:
        node = NodeProto()
        node.CopyFrom(original)
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                inner = _adapted(attribute.g.node, chosen, patch)
                del attribute.g.node[:]
                attribute.g.node.extend(inner)
        change = chosen.get(node.op_type)
        result += change(node, patch) if change else [node]
    return result


def _pop(node: NodeProto, name: str) -> float | int | None:
    for index, attribute in enumerate(node.attribute):
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            del node.attribute[index]
            return value
    return None
