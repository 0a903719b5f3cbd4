"""Elements moved and chosen, not changed."""

from __future__ import annotations

import numpy as np

from .builder import Builder, Rule


def movement(b: Builder) -> bool:
    """Elements moved, not changed."""
    x = b.floats()
    if x is None:
        return False
    shape, rank, name = x.array.shape, x.array.ndim, x.name
    axis = b.draw(rank) if rank else 0
    kind = b.pick(
        ("Transpose", "Reshape", "Flatten", "Unsqueeze", "Concat", "Slice", "Pad", "Tile", "Split", "Gather", "Expand")
    )
    if kind == "Transpose" and rank:
        return b.add(kind, [name], exact=True, perm=np.argsort([b.draw(100) for _ in range(rank)]).tolist())
    if kind == "Reshape":
        return b.add(
            kind, [name, b.weight(np.array([-1, b.pick([d for d in (1, 2, 3) if x.array.size % d == 0])]))], exact=True
        )
    if kind == "Flatten":
        return b.add(kind, [name], exact=True, axis=b.draw(rank + 1))
    if kind == "Unsqueeze":
        return rank < 4 and b.add(kind, [name, b.weight(np.array([b.draw(rank + 1)]))], exact=True)
    if not rank:
        return False
    if kind == "Concat":
        return b.add(kind, [name, b.normal(*shape), name], exact=True, axis=axis)
    if kind == "Slice":
        start, step = b.draw(shape[axis]), b.pick((1, 2, -1))
        ends = [np.iinfo(np.int64).min if step < 0 else shape[axis]]
        return b.add(kind, [name, *(b.weight(np.array(v)) for v in ([start], ends, [axis], [step]))], exact=True)
    if kind == "Pad":
        pads = [b.draw(2) for _ in range(2 * rank)]
        return b.add(kind, [name, b.weight(np.array(pads)), b.weight(np.array(0.5, np.float32))], exact=True)
    if kind == "Tile":
        return b.add(kind, [name, b.weight(np.array([1 + b.draw(2) for _ in shape]))], exact=True)
    if kind == "Split":
        return shape[axis] > 1 and b.add(
            kind, [name, b.weight(np.array([1, shape[axis] - 1]))], exact=True, outputs=2, axis=axis
        )
    if kind == "Gather":
        return b.add(kind, [name, b.weight(np.array([[b.draw(shape[axis]), -1]]))], exact=True, axis=axis)
    return b.add("Expand", [name, b.weight(np.array([2, *(1 for _ in shape)]))], exact=True)


def ordering(b: Builder) -> bool:
    """Largest elements of exact values, or running sums."""
    x = b.floats(1, 2, 3, exact=True)
    if x is None:
        return False
    axis = b.draw(x.array.ndim)
    if b.draw(2):
        return b.add("CumSum", [x.name, b.weight(np.array(axis))], reverse=b.draw(2), exclusive=b.draw(2))
    return b.add("TopK", [x.name, b.weight(np.array([1]))], exact=True, outputs=2, axis=axis)


def picking(b: Builder) -> bool:
    """Elements found by their positions, or by their size."""
    x = b.floats(1, 2, 3, 4, exact=True)
    if x is None:
        return False
    shape, axis, name = x.array.shape, b.draw(x.array.ndim), x.name
    op = b.pick(
        ("ArgMax", "ArgMin", "Compress", "GatherElements", "GatherND", "NonZero", "OneHot", "ScatterElements", "ScatterND")
    )
    if op in ("ArgMax", "ArgMin"):
        return b.add(op, [name], exact=True, axis=axis, keepdims=b.draw(2)) and b.cast(np.float32)
    if op == "Compress":
        return b.add(op, [name, b.weight(np.arange(shape[axis]) % 2 == 0)], exact=True, axis=axis)
    if op == "NonZero":
        return b.add(op, [name], exact=True) and b.cast(np.float32)
    if op == "OneHot":
        classes = b.weight(np.array([0, 2, -1, 1])), b.weight(np.array(3)), b.weight(np.array([0.5, 2], np.float32))
        return b.add(op, classes, exact=True, axis=-1)
    first = b.weight(np.array([[b.draw(size) for size in shape[: 1 + axis]]]))
    if op == "GatherND":
        return b.add(op, [name, first], exact=True)
    if op == "ScatterND":
        return b.add(op, [name, first, b.normal(1, *shape[1 + axis :])], exact=True)
    places = b.rng.permuted(np.broadcast_to(np.arange(shape[axis]), (*shape[:axis], *shape[axis + 1 :], shape[axis])), axis=-1)
    indices = b.weight(np.ascontiguousarray(np.moveaxis(places, -1, axis)))
    return b.add(op, [name, indices, *([b.normal(*shape)] if op == "ScatterElements" else [])], exact=True, axis=axis)


def blocks(b: Builder) -> bool:
    """Blocks of pixels, triangles, crops and reversed sequences."""
    x = b.floats(2, 3, 4)
    if x is None:
        return False
    shape, name = x.array.shape, x.name
    op = b.pick(("CenterCropPad", "DepthToSpace", "Einsum", "ReverseSequence", "SpaceToDepth", "Squeeze", "Trilu"))
    if op == "CenterCropPad":
        return b.add(op, [name, b.weight(np.array([1 + b.draw(5)]))], exact=True, axes=[len(shape) - 1])
    if op == "DepthToSpace":
        return b.add(op, [name], exact=True, blocksize=2, mode=b.pick(("DCR", "CRD")))
    if op == "SpaceToDepth":
        return b.add(op, [name], exact=True, blocksize=2)
    if op == "ReverseSequence":
        lengths = b.weight(np.array([1 + b.draw(shape[0]) for _ in range(shape[1])]))
        return b.add(op, [name, lengths], exact=True, time_axis=0, batch_axis=1)
    if op == "Squeeze":
        ones = [axis for axis, size in enumerate(shape) if size == 1]
        return bool(ones) and b.add(op, [name, b.weight(np.array(ones))], exact=True)
    if op == "Trilu":
        return b.add(op, [name, b.weight(np.array(b.draw(3) - 1))], exact=True, upper=b.draw(2))
    return b.add(op, [name, b.normal(shape[-1], 3)], equation="...i,ij->...j")


RULES: tuple[Rule, ...] = (*(movement,) * 4, *(blocks, ordering, picking) * 2)
