"""Fold inference batch normalisation into the convolution or Gemm before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..format_spec.graph import Graph, Node, Tensor, graphs
from ..format_spec.tensors import DenseTensor
from ..runtime.ops.batch_normalization import scale_and_shift

_FLOATS = frozenset({"float16", "float32", "float64"})


def fold_batch_norm(graph: Graph) -> Graph:
    """``graph`` without the batch norms that can be folded; tensors are computed each time they are read.

    A BatchNormalization goes when it follows a Conv, ConvTranspose or Gemm whose output nothing else reads and whose weight
    and bias are dense float initializers that nothing else reads. ``y = s * (W x + b) + t`` becomes
    ``y = (s W) x + (s b + t)``, in float64, then rounded to the weight's type. The layer takes the batch norm's output name;
    weight and bias keep theirs, a bias that was missing is called ``<weight>_bias``. Subgraphs are left as they are,
    and so is a batch norm whose fold the weight's type does not hold: NaN, infinities, fp16 channels below the normal range.
    Each weight is read once to find that out.
    """
    reads = _count_reads(graph)
    tensors = dict(graph.initializers)
    nodes = dict(enumerate(graph.nodes))
    layers = {node.outputs[0]: index for index, node in nodes.items() if len(node.outputs) == 1}
    for index, norm in enumerate(graph.nodes):
        if norm.op_type != "BatchNormalization" or norm.inputs[0] not in layers:
            continue
        place = layers[norm.inputs[0]]
        site = _Site.of(nodes[place], norm, tensors, reads)
        if site is None or not site.is_held(tensors):
            continue
        nodes[place] = site.node
        del nodes[index]
        layers[norm.outputs[0]] = place
        tensors[site.weight], tensors[site.bias] = site.folded_weight(tensors), site.folded_bias(tensors)
        reads.subtract(norm.inputs)
        reads[site.bias] = 1
        for name in set(norm.inputs):
            if not reads[name]:
                tensors.pop(name, None)
    return replace(graph, nodes=tuple(nodes.values()), initializers=tensors)


def _count_reads(graph: Graph) -> Counter[str]:
    """How often each value is read, by nodes, as an output, or from outside (an initializer that a caller may replace)."""
    reads: Counter[str] = Counter()
    for part in graphs(graph):
        for node in part.nodes:
            reads.update(node.inputs)
        reads.update(value.name for value in (*part.inputs, *part.outputs))
    return reads


@dataclass(frozen=True)
class _Channels:
    """Where a weight's output channels are: ``view`` is a shape of the weight that a factor reshaped to ``factor`` scales."""

    count: int
    view: tuple[int, ...]
    factor: tuple[int, ...]

    @classmethod
    def of(cls, layer: Node, shape: tuple[int, ...]) -> _Channels | None:
        """The channels of ``layer``'s weight of shape ``shape``; ``None`` when its operator takes no fold."""
        if len(shape) < 2:
            return None
        ones = (1,) * (len(shape) - 2)
        if layer.op_type == "Conv":
            return cls(shape[0], shape, (shape[0], 1, *ones))
        if layer.op_type == "ConvTranspose":
            groups = layer.attribute("group", 1)
            if groups < 1 or shape[0] % groups:
                return None
            view = (groups, shape[0] // groups, *shape[1:])
            return cls(groups * shape[1], view, (groups, 1, shape[1], *ones))
        if layer.op_type == "Gemm":
            transposed = bool(layer.attribute("transB", 0))
            return cls(shape[0 if transposed else 1], shape, (-1, 1) if transposed else (1, -1))
        return None


@dataclass(frozen=True)
class _Site:
    """A layer and the batch norm after it that can be folded."""

    layer: Node
    norm: Node
    channels: _Channels
    bias: str

    @classmethod
    def of(cls, layer: Node, norm: Node, tensors: Mapping[str, Tensor], reads: Mapping[str, int]) -> _Site | None:
        """The fold of ``norm`` into ``layer``, or ``None`` when something else depends on what would change."""
        _, name, old_bias = (*layer.inputs, "", "", "")[:3]
        weight = tensors.get(name)
        if not isinstance(weight, DenseTensor) or weight.dtype.name not in _FLOATS:
            return None
        channels = _Channels.of(layer, weight.shape)
        if channels is None or reads[layer.outputs[0]] != 1 or reads[name] != 1 or not _plain(norm):
            return None
        statistics = [tensors.get(statistic) for statistic in norm.inputs[1:]]
        if any(tensor is None or tensor.shape != (channels.count,) for tensor in statistics):
            return None
        if not old_bias:
            return cls(layer, norm, channels, _fresh(f"{name}_bias", tensors, reads))
        bias = tensors.get(old_bias)
        if not isinstance(bias, DenseTensor) or reads[old_bias] != 1 or not _per_channel(bias.shape, channels.count):
            return None
        return cls(layer, norm, channels, old_bias)

    @property
    def weight(self) -> str:
        """Name of the weight."""
        return self.layer.inputs[1]

    @property
    def output(self) -> str:
        """Name of the output."""
        return self.norm.outputs[0]

    @property
    def node(self) -> Node:
        """The layer that does the batch norm's work too."""
        inputs = (*self.layer.inputs[:2], self.bias)
        attributes = {name: value for name, value in self.layer.attributes.items() if name != "beta"}
        return replace(self.layer, inputs=inputs, outputs=(self.output,), attributes=attributes)

    def is_held(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether the weight's type holds the folded weight and bias: all finite, fp16 with the precision it had.

        fp16 is coarse below its normal range: the largest weight of a channel may not fall there, unless it comes from there or
        is zero. Then a weight is rounded by at most 2^-11 of its channel's largest.
        """
        kind = np.finfo(tensors[self.weight].dtype)
        with np.errstate(all="ignore"):
            before = self._peaks(tensors[self.weight].dense())
            peaks = before * np.abs(_affine(self.norm, self._statistics(tensors))[0].reshape(self.channels.factor))
            bias = self.folded_bias(tensors).dense()
        coarse = np.minimum(before, kind.tiny) if kind.dtype == np.float16 else 0.0
        return bool(np.all((peaks <= kind.max) & ((peaks >= coarse) | (peaks == 0))) and np.isfinite(bias).all())

    def _peaks(self, weight: np.ndarray) -> np.ndarray:
        """Largest magnitude of each output channel of ``weight``, float64, of a shape that factors broadcast to."""
        view, across = weight.reshape(self.channels.view), tuple(np.flatnonzero(np.array(self.channels.factor) == 1).tolist())
        most, least = (extreme(view, axis=across, keepdims=True, initial=0) for extreme in (np.max, np.min))
        return np.maximum(most.astype(np.float64), -least.astype(np.float64))

    def folded_weight(self, tensors: Mapping[str, Tensor]) -> DenseTensor:
        """The weight times the batch norm's factor of each output channel."""
        weight, statistics = tensors[self.weight], self._statistics(tensors)

        def read() -> np.ndarray:
            factor = _affine(self.norm, statistics)[0].reshape(self.channels.factor)
            result = np.empty(weight.shape, weight.dtype)
            source, target = weight.dense().reshape(self.channels.view), result.reshape(self.channels.view)
            np.multiply(source, factor, out=target, dtype=np.float64, casting="same_kind")
            return result

        return DenseTensor(weight.dtype, weight.shape, read)

    def folded_bias(self, tensors: Mapping[str, Tensor]) -> DenseTensor:
        """The bias (channels,) after the batch norm, in the weight's type."""
        bias, statistics = tensors.get(self.bias), self._statistics(tensors)
        beta = float(self.layer.attribute("beta", 1.0))
        dtype = tensors[self.weight].dtype

        def read() -> np.ndarray:
            factor, shift = _affine(self.norm, statistics)
            before = 0.0 if bias is None else beta * bias.dense().reshape(-1).astype(np.float64)
            return (factor * before + shift).astype(dtype)

        return DenseTensor(dtype, (self.channels.count,), read)

    def _statistics(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return tuple(tensors[name] for name in self.norm.inputs[1:])


def _plain(norm: Node) -> bool:
    """Whether a batch norm is an inference one with a single output."""
    return not norm.attribute("training_mode", 0) and not any(norm.outputs[1:]) and len(norm.inputs) == 5


def _per_channel(shape: tuple[int, ...], channels: int) -> bool:
    """Whether a bias of ``shape`` adds one value, or one a channel, to rows of ``channels`` values."""
    return shape in ((), (1,), (channels,), (1, 1), (1, channels))


def _affine(norm: Node, statistics: tuple[Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Factor and shift (channels,) float64 of a batch norm with scale, bias, mean and variance ``statistics``."""
    return scale_and_shift(norm, (tensor.dense() for tensor in statistics))


def _fresh(name: str, tensors: Mapping[str, Tensor], reads: Mapping[str, int]) -> str:
    """``name``, lengthened until nothing else is called that."""
    while name in tensors or name in reads:
        name += "_"
    return name
