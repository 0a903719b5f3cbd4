"""Which kernels a model needs for certain, as far as its graph and its file's codecs tell without decoding a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.graph import Graph, Node, graphs
from ...format_spec.model_file import StoredTensors
from ..decode.jitted.blocks import decode_blocks
from ..decode.jitted.masks import decode_grouped
from ..decode.jitted.planes import decode_planes
from ..decode.jitted.words import PLAIN
from ..jit.aside import Task
from ..jit.host import host_registers
from ..jit.jitted import Jitted, kind_of
from ..orders.team import carry_out, follow, make_team, none_joined
from .conv.pack import packer
from .conv.sparse.convolve import convolver
from .conv.winograd.transforms import TAPS
from .lrn import normaliser
from .pooling.pool import pooler_of
from .rowwise import averager, comparer, normaliser_of_rows

FEW_GROUPS = 8
"""Groups of a convolution that is not a depthwise one, mostly."""

Call: TypeAlias = "tuple[Jitted, tuple[Any, ...]]"
"""A kernel and arguments of the types that it will be called with."""

_users: dict[str, Callable[[Node], Iterator[Call]]] = {}


def likely(graph: Graph) -> list[Task]:
    """Kernels for ``graph`` that are not there yet, in the order in which another process should compile them.

    This process needs the decoder of the first tensor at once, and compiles that itself: it comes last.
    """
    decoders = [call for codec in dict.fromkeys(_codecs(graph)) for call in _decoder(codec)]
    nodes = (node for part in graphs(graph) for node in part.nodes if node.op_type in _users)
    steps = chain.from_iterable(_users[node.op_type](node) for node in nodes)
    tasks: dict[str, Task] = {}
    for kernel, arguments in (*decoders[1:], *steps, *decoders[:1]):
        kinds = tuple(map(kind_of, arguments))
        if not kernel.has(kinds):
            task = Task.of(kernel, kinds)
            tasks.setdefault(task.file, task)
    return list(tasks.values())


def _codecs(graph: Graph) -> Iterator[int]:
    for part in graphs(graph):
        if isinstance(part.initializers, StoredTensors):
            yield from (stored.record.codec for stored in part.initializers.stored.values())


def _of(*op_types: str) -> Callable[[Callable[[Node], Iterator[Call]]], None]:
    """Register what the decorated function yields for nodes of some types."""
    return lambda function: _users.update(dict.fromkeys(op_types, function))


def _array(dtype: Any, dimensions: int = 1) -> np.ndarray:
    return np.zeros((0,) * dimensions, dtype)


def _decoder(codec: int) -> Iterator[Call]:
    i, j, u = _array(np.int64), _array(np.int64, 2), _array(np.uint8)
    table, minors, data = _array(np.uint32, 2), _array(np.uint32), _array(np.uint8)
    data.flags.writeable = False
    if codec in (CodecId.SHARED, CodecId.SPARSE):
        yield decode_blocks, (data, i, i, j, table, i, *[0] * 8, u, i, minors, u, u)
    elif codec == CodecId.PLANES:  # of float32
        yield decode_planes, (data, i, i, j, table, i, *[0] * 4, i, i, 0, 0, u, _array(np.uint8, 2), minors, minors, u)
    elif codec == CodecId.GROUPED:
        models = _array(bool), table, i, minors, j, _array(np.uint64, 2)
        yield decode_grouped, (data, i, i, j, 0, 0, i, i, u, _array(np.uint64), *models, PLAIN, *[0] * 5, u, u, i, minors, u, u)


@_of("Conv")
def _conv(node: Node) -> Iterator[Call]:
    kernel, strides = node.attribute("kernel_shape", [TAPS]), node.attribute("strides", [1])
    groups = node.attribute("group", 1)
    winograd = {*kernel} == {TAPS} and {*strides} == {1} and groups == 1
    if not winograd and groups <= FEW_GROUPS:  # many are as many as channels, mostly
        yield convolver, (_lanes(),)
    if {*strides} != {1}:  # else rows may be read as they lie
        yield packer, (_lanes(),)
    yield carry_out, (make_team(), _array(np.int64, 2), 0)
    yield follow, (make_team(), none_joined(), 0, 0)


@_of("LRN")
def _lrn(node: Node) -> Iterator[Call]:
    yield normaliser, ((),)


@_of("MaxPool")
def _pool(node: Node) -> Iterator[Call]:
    columns = [node.attribute(name, [1]) for name in ("kernel_shape", "strides", "dilations")]
    if all(isinstance(axes, list | tuple) and axes and isinstance(axes[-1], int) and axes[-1] > 0 for axes in columns):
        pooler, *kinds = pooler_of(*(axes[-1] for axes in columns), average=False)
        yield pooler, tuple(kinds)  # else the node will be refused


@_of("GlobalAveragePool")
def _mean(node: Node) -> Iterator[Call]:
    yield averager, ((),)


@_of("GlobalMaxPool")
def _largest(node: Node) -> Iterator[Call]:
    yield comparer, (_lanes(),)


@_of("Softmax")
def _softmax(node: Node) -> Iterator[Call]:
    yield normaliser_of_rows, ((),)


def _lanes() -> tuple[tuple[()], ...]:
    return ((),) * host_registers()[1]
