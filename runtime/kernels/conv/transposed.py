"""Transposed convolutions as ordinary ones, whose outputs are then put where they belong.

A transposed convolution of stride ``s`` scatters input ``i`` through tap ``k`` to place ``i * s + k`` of its full result.
Places ``q * s + p`` of a phase ``p`` meet the taps ``p``, ``p + s``, ... alone: they are the outputs ``q`` of a convolution of
stride 1 by those, backwards. All phases are output channels of one convolution, whose planes are then interleaved; Shi et al.,
"Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ....format_spec.graph import Node, Tensor
from ....format_spec.tensors import DenseTensor, SharedTensor, from_scan
from ...decode.encoded import EncodedTensor
from ...ops import Window, given
from ...orders.order import Arrays, Orders, operands, whole_lines
from ..matrices.matrix import check_shared
from ..site import Epilogue, Kernel, Site
from .interleave import Interleaved
from .lower import lower_conv

F32 = np.dtype(np.float32)


@dataclass(frozen=True)
class Phases:
    """The ordinary convolution; every field has one number a spatial axis.

    ``taps`` of the kernel of each phase, ``dilations`` apart; ``size`` of the outputs of a phase; ``pads`` as a Conv has them;
    ``cut`` places, of all phases, before the first that is kept.
    """

    strides: tuple[int, ...]
    taps: tuple[int, ...]
    dilations: tuple[int, ...]
    size: tuple[int, ...]
    pads: tuple[int, ...]
    cut: tuple[int, ...]

    @classmethod
    def of(cls, spatial: Sequence[int], seen: Window) -> Phases | None:
        """The phases of a transposed convolution of inputs of size ``spatial``.

        ``None`` where most of them would be empty, or the taps of one not evenly far apart: strides beyond the kernel, or
        beside a dilation.
        """
        axes = list(zip(seen.kernel, seen.strides, seen.dilations, strict=True))
        if any(s > 1 and (d > 1 or s > k) for k, s, d in axes):
            return None
        taps = tuple(-(-k // s) for k, s, _ in axes)
        reach = [(j - 1) * d for j, d in zip(taps, seen.dilations, strict=True)]
        first = [min(b // s, r) for b, s, r in zip(seen.begin, seen.strides, reach, strict=True)]
        last = [max((b + o - 1) // s, n - 1) for b, o, s, n in zip(seen.begin, seen.output, seen.strides, spatial, strict=True)]
        begin = [r - f for r, f in zip(reach, first, strict=True)]
        end = [z - n + 1 for z, n in zip(last, spatial, strict=True)]
        size = tuple(z - f + 1 for z, f in zip(last, first, strict=True))
        cut = tuple(b - f * s for b, f, s in zip(seen.begin, first, seen.strides, strict=True))
        return cls(seen.strides, taps, seen.dilations, size, (*begin, *end), cut)

    @property
    def count(self) -> int:
        """Phases of all axes."""
        return prod(self.strides)

    def places(self, output: Sequence[int]) -> bool:
        """Whether the outputs of the only phase are the result, of size ``output``, as they are."""
        return self.count == 1 and self.size == tuple(output) and not any(self.cut)


def lower_transposed(site: Site, seen: Window) -> Kernel | None:
    """A kernel for a float32 ConvTranspose with constant weights in one or two dimensions, whose geometry was ``seen``."""
    x, w, y = site.type(0), site.type(1), site.outputs[0]
    if x is None or w is None or len(x[1]) not in (3, 4) or 0 in (*x[1], *w[1], *y[1]):
        return None
    phases = Phases.of(x[1][2:], seen)
    if phases is None or 1 not in site.constants or not site.all_float32:
        return None
    placed = phases.places(seen.output)
    kernel = lower_conv(_as_conv(site, phases, site.epilogue if placed else _before(site.epilogue, phases.count)))
    orders = None if kernel is None else kernel.orders
    if kernel is None or orders is None:
        return None
    macs = prod(x[1]) * prod(w[1][1:])
    density = min(1.0, kernel.density * kernel.macs / macs)
    kernel = replace(kernel, name=f"transposed {kernel.name}", macs=macs, density=density)
    if placed:
        return kernel
    planes = y[1][0] * y[1][1]
    spread = Interleaved.of(planes, phases.size, y[1][2:], phases.strides, phases.cut, site.epilogue.bounds, site.threads)
    sums = (y[1][0], y[1][1] * phases.count, *phases.size)
    facts = {"reads": (0,), "macs": macs, "density": density, "weight_bytes": kernel.weight_bytes}
    at = whole_lines(kernel.scratch)
    return Kernel.of_orders(kernel.name, _both(orders, spread, sums, at), scratch=at + 4 * prod(sums), **facts)


def _both(orders: Orders, spread: Interleaved, sums: tuple[int, ...], at: int) -> Orders:
    """The orders of a convolution whose outputs, of shape ``sums``, go ``at`` bytes into scratch memory, and from there where
    they belong."""

    def both(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        between = scratch[at : at + 4 * prod(sums)].view(np.float32).reshape(sums)
        _, y, residual = operands(inputs, outputs)
        return np.concatenate([orders(inputs[:1], (between,), scratch), spread.order(between, y, residual, scratch)[None]])

    return both


def _before(epilogue: Epilogue, count: int) -> Epilogue:
    """What is done to the outputs of each of ``count`` phases: all of ``epilogue``, or what comes before a residual."""
    scale, shift = (None if a is None else np.repeat(a, count) for a in (epilogue.scale, epilogue.shift))
    before = replace(epilogue, scale=scale, shift=shift)
    return replace(before, residual="", low=-np.inf, high=np.inf, gate=()) if epilogue.residual else before


def _as_conv(site: Site, phases: Phases, epilogue: Epilogue) -> Site:
    """The site of the ordinary convolution."""
    (_, x), (_, w), groups = given(site.inputs, 0), given(site.inputs, 1), site.node.attribute("group", 1)
    outputs, name = w[1] * groups * phases.count, site.node.inputs[1]
    attributes = {"group": groups, "dilations": phases.dilations, "pads": phases.pads}
    node = Node("Conv", site.node.name, site.node.inputs, site.node.outputs, attributes)
    weights = F32, (outputs, w[0] // groups, *phases.taps)
    key = ("transposed", phases.strides, groups)
    return replace(
        site,
        node=node,
        inputs=(site.inputs[0], weights, *site.inputs[2:]),
        outputs=((F32, (x[0], outputs, *phases.size)),),
        constants=_Constants(site.constants, lambda tensor: weights_of_phases(tensor, phases, groups, name), phases.count),
        epilogue=epilogue,
        prepare=lambda of, build: site.prepare((*key, of), build),
        keep=lambda of, build: site.keep((*key, of), build),
    )


@dataclass(frozen=True, eq=False)
class _Constants(Mapping[int, Tensor]):
    """The constants of a site but for its weights and its bias, which are those of ``count`` phases."""

    given: Mapping[int, Tensor]
    weights: Callable[[Tensor], Tensor]
    count: int

    def __getitem__(self, index: int) -> Tensor:
        tensor = self.given[index]
        if index == 1:
            return self.weights(tensor)
        return DenseTensor.of(np.repeat(tensor.dense(), self.count)) if index == 2 else tensor

    def __iter__(self) -> Iterator[int]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


def weights_of_phases(tensor: Tensor, phases: Phases, groups: int, name: str) -> Tensor:
    """The weights (C, M / groups, \\*kernel) called ``name`` as those of the ordinary convolution: (M * phases, C / groups,
    \\*taps). Codes stay codes.

    Raises:
        FormatError: the tensor's parts contradict one another.
    """
    tensor = tensor.decoded() if isinstance(tensor, EncodedTensor) else tensor
    if not isinstance(tensor, SharedTensor):
        return DenseTensor.of(_in_phases(tensor.dense(), phases, groups, 0))
    check_shared(tensor, name)
    absent = len(tensor.codebook)
    grid = _in_phases(_codes(tensor, absent), phases, groups, absent)
    rows = grid.reshape(len(grid), -1)
    present, shared = rows != absent, replace(tensor, shape=grid.shape, row_axes=(0,), order="rows")
    if present.all():
        return replace(shared, starts=None, minors=None, codes=rows.reshape(-1).astype(tensor.codes.dtype))
    starts = np.append(0, np.cumsum(np.count_nonzero(present, axis=1)))
    minors = np.nonzero(present)[1].astype(np.uint32)
    return replace(shared, starts=starts, minors=minors, codes=rows[present].astype(tensor.codes.dtype))


def _codes(tensor: SharedTensor, absent: int) -> np.ndarray:
    """The code of each element, ``absent`` for those that are left out."""
    kind = np.min_scalar_type(absent)
    if tensor.starts is None or tensor.minors is None:
        flat = tensor.codes.astype(kind)
    else:
        flat = np.full(tensor.size, absent, kind)
        major = np.repeat(np.arange(tensor.majors, dtype=np.int64), np.diff(tensor.starts))
        flat[major * tensor.minor_length + tensor.minors] = tensor.codes
    return from_scan(flat, tensor.shape, tensor.row_axes, tensor.order)


def _in_phases(array: np.ndarray, phases: Phases, groups: int, absent: int) -> np.ndarray:
    """Elements (C, M / groups, \\*kernel) as (M * phases, C / groups, \\*taps), ``absent`` where a phase has a tap less."""
    rank, (inputs, outputs) = len(phases.taps), array.shape[:2]
    missing = [(0, j * s - int(k)) for j, s, k in zip(phases.taps, phases.strides, array.shape[2:], strict=True)]
    whole = np.pad(array, np.array([(0, 0), (0, 0), *missing]), constant_values=absent)
    pairs = [n for pair in zip(phases.taps, phases.strides, strict=True) for n in pair]
    split = whole.reshape(groups, inputs // groups, outputs, *pairs)
    axes = (0, 2, *range(4, 4 + 2 * rank, 2), 1, *range(3, 3 + 2 * rank, 2))
    backwards = np.flip(np.transpose(split, axes), tuple(range(-rank, 0)))
    return np.ascontiguousarray(backwards).reshape(groups * outputs * phases.count, inputs // groups, *phases.taps)
