"""LSTM, GRU and RNN layers: the kernel for a site, and its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....format_spec.graph import Node, Tensor
from ...jit.host import host_registers
from ...orders.made_once import made_once
from ...orders.order import Arrays, Ordered, Y, address_of, whole_lines
from ...orders.shared import order_of_pieces, sharing
from ...orders.workers import Workers
from ..site import Kernel, Site
from . import cells
from .gates import GRU, GRU_LINEAR, LSTM, RNN, RNN_RELU
from .pack import CACHED, Packed, pack_matrices, padded
from .row_panels import FEWEST, best_across, panel_kinds
from .together import layer_sharer, team_bytes

X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES = range(8)

GATES = {LSTM: 4, GRU: 3, GRU_LINEAR: 3, RNN: 1, RNN_RELU: 1}

ACTIVATIONS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
"""Of one direction, as the kernel has them; an RNN may have relu too."""

KNOWN = frozenset({"activations", "direction", "hidden_size", "layout", "linear_before_reset"})
"""Attributes that the kernel follows; it leaves layers with others to the reference."""

MACS_A_CYCLE = 8
"""Multiplications, about, where a step waits for the one before."""

WORTH_WAITING, CYCLES_A_LOOK = 10_000, 100
"""Cycles of a step's products from which on threads that share them take less, though they wait for one another; those, about,
of a look for what another thread has done."""

MOST_TURNS = 1 << 22
"""Turns that are numbered, at most, see :func:`~tersor.runtime.orders.team.take_part`."""


@dataclass(frozen=True, eq=False)
class RecurrentLayer(Ordered):
    """A layer of cells of one ``kind`` over ``shape`` (time, batch, inputs), from ``packs`` of what is multiplied by inputs, by
    states, and by reset states. ``bias`` (directions, 2, rows) is as :func:`_join_bias` has it, ``across`` the vectors of a
    panel of what is multiplied by states; ``reverse`` says that the first direction is backwards. ``parts`` threads take a
    direction each, or share every product where they work ``together``."""

    kind: int
    shape: tuple[int, int, int]
    hidden: int
    packs: Sequence[Packed]
    bias: np.ndarray
    across: int
    reverse: bool
    parts: int
    together: bool

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory of all directions, and of threads that work together."""
        shared = team_bytes(self.parts, self._bytes[1]) if self.together else 0
        return len(self.bias) * sum(self._bytes) + shared

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        kinds = panel_kinds(FEWEST), panel_kinds(self.across), ((),) * self.kind, ((),) * self._width
        code = layer_sharer(*kinds) if self.together else cells.layer_runner(*kinds)
        pieces = self.parts if self.together else len(self.bias)
        return order_of_pieces(code, pieces, self.parts, self._facts, self._facts)

    def order_for(self, given: dict[int, np.ndarray], results: Arrays, scratch: np.ndarray) -> np.ndarray:
        """(1, ORDER) int64 for inputs by number, and for Y and the last states."""
        y, *lasts = results
        order = self.order(given[X], y if y is not None else given[X], given.get(INITIAL_H), scratch)
        order[Y] = address_of(y)
        order[cells.CELL], order[cells.LENGTHS] = (address_of(given.get(index)) for index in (INITIAL_C, LENGTHS))
        for place, last in zip((cells.LAST_HIDDEN, cells.LAST_CELL), lasts, strict=False):
            order[place] = address_of(last)
        return order[None]

    @made_once
    def _packs(self) -> list[Packed]:
        return [pack.widened(self._width) for pack in self.packs]

    @made_once
    def _width(self) -> int:
        return max(pack.width for pack in self.packs)

    @made_once
    def _steps(self) -> int:
        """Steps whose inputs are multiplied at once."""
        time, batch, _ = self.shape
        return max(1, min(time, cells.TOGETHER // max(1, batch)))

    @made_once
    def _bytes(self) -> tuple[int, ...]:
        """Bytes of what inputs give the gates, of gates, and of states, whole cache lines."""
        (_, batch, _), rows = self.shape, self.bias.shape[2]
        counts = self._steps * batch * rows, batch * rows, 2 * batch * padded(self.hidden)
        return tuple(whole_lines(4 * count) for count in counts)

    @made_once
    def _facts(self) -> np.ndarray:
        rows, ends = self.bias.shape[2], np.cumsum(self._bytes)
        sizes = *self.shape, self.hidden, len(self.bias), -1 if self.reverse else 0, self._steps, padded(self.hidden), rows
        packs = [fact for pack in self._packs for fact in pack.facts]
        cycles = self.shape[1] * max(pack.size for pack in self._packs[1:]) / MACS_A_CYCLE / len(self.bias) / self.parts
        return np.array([*sizes, self.bias.ctypes.data, *ends, self.parts, int(cycles / CYCLES_A_LOOK), *packs], np.int64)


def lower_recurrent(site: Site) -> Kernel | None:
    """A kernel for a float32 layer with constant weights and bias, and with the activations that ONNX gives it by default.

    Peepholes, clipping, coupled gates and other activations are left to the reference.
    """
    node, x, kind = site.node, site.type(X), _kind(site.node)
    w, r, bias = site.constants.get(W), site.constants.get(R), site.array(B)
    floats = [site.type(index) for index in (X, W, R, B, INITIAL_H, INITIAL_C) if site.type(index) is not None]
    if any(shaped is not None and shaped[0] != np.float32 for shaped in floats) or site.type(PEEPHOLES) is not None:
        return None
    lengths = site.type(LENGTHS)
    if lengths is not None and lengths[0] != np.int32:
        return None
    if kind is None or x is None or w is None or r is None or (bias is None) != (site.type(B) is None):
        return None
    time, batch, inputs = x[1] if not node.attribute("layout", 0) else (x[1][1], x[1][0], x[1][2])
    layer = _layer(site, kind, (time, batch, inputs), w, r, bias)
    reads = tuple(index for index in (X, LENGTHS, INITIAL_H, INITIAL_C) if site.type(index) is not None)
    name, weights = f"{node.op_type.lower()} from {layer.packs[1].form}", [pack for pack in layer.packs if pack.size]
    facts = {
        "reads": reads,
        "macs": time * batch * (w.size + r.size),
        "density": sum(pack.listed for pack in weights) / max(1, w.size + r.size),
        "weight_bytes": sum(pack.bytes for pack in weights),
        "scratch": layer.scratch,
    }

    def orders(arrays: Arrays, results: Arrays, scratch: np.ndarray) -> np.ndarray:
        return layer.order_for({i: a for i, a in zip(reads, arrays, strict=False) if a is not None}, results, scratch)

    if not node.attribute("layout", 0):
        return Kernel.of_orders(name, orders, **facts)

    def run(arrays: Arrays, results: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        given = {i: a for i, a in zip(reads, arrays, strict=False) if a is not None}
        _run_turned(layer, given, results, scratch, workers)

    return Kernel(name, run, **facts)


def _run_turned(
    layer: RecurrentLayer, given: dict[int, np.ndarray], results: Arrays, scratch: np.ndarray, workers: Workers
) -> None:
    """Run a layer whose arrays have the batch first."""
    given = {i: a if i == LENGTHS else np.ascontiguousarray(a.swapaxes(0, 1)) for i, a in given.items()}
    axes = [(1, 2, 0, 3), (1, 0, 2), (1, 0, 2)]
    wanted = [a if a is None else a.transpose(order) for a, order in zip(results, axes, strict=False)]
    made = [a if a is None else np.empty(a.shape, np.float32) for a in wanted]
    workers.carry_out(layer.order_for(given, made, scratch))
    for result, value in zip(wanted, made, strict=True):
        if result is not None and value is not None:
            np.copyto(result, value)


def _layer(site: Site, kind: int, shape: tuple[int, int, int], w: Tensor, r: Tensor, bias: np.ndarray | None) -> RecurrentLayer:
    """The layer with its weights prepared."""
    node, gates, (directions, _, hidden) = site.node, GATES[kind], r.shape
    first = 2 if kind == GRU else gates
    vectors = padded(hidden) // host_registers()[1]
    across = best_across([count * vectors for count in (first, gates - first) if count], shape[1])

    def pack(index: int, tensor: Tensor, some: range, across: int) -> Packed:
        name, key = node.inputs[index], ("recurrent", node.inputs[index], some.start, some.stop, across)
        return site.prepare(key, lambda: pack_matrices(tensor, name, some, hidden, across))

    packs = pack(W, w, range(gates), FEWEST), pack(R, r, range(first), across), pack(R, r, range(first, gates), across)
    ends = [(gates * vectors, FEWEST, 0), (first * vectors, across, 0), ((gates - first) * vectors, across, first * vectors)]
    rows = max(before + -(-count // size) * size for count, size, before in ends) * host_registers()[1]
    parts = sharing(site.threads, _cycles(shape, w, r))
    together = _together(parts, shape, r, packs)
    joined, reverse = _join_bias(kind, bias, directions, hidden, rows), node.attribute("direction", "forward") == "reverse"
    return RecurrentLayer(kind, shape, hidden, packs, joined, across, reverse, parts, together)


def _cycles(shape: tuple[int, int, int], *weights: Tensor) -> float:
    """Estimated cycles of a layer's products on one thread."""
    return shape[0] * shape[1] * sum(tensor.size for tensor in weights) / MACS_A_CYCLE


def _together(threads: int, shape: tuple[int, int, int], r: Tensor, packs: Sequence[Packed]) -> bool:
    """Whether threads share each product: there are more of them than directions, or caches hold what is multiplied by the
    states of one direction in parts only, and a step takes long enough."""
    directions, (time, batch, _) = r.shape[0], shape
    size, turns = 4 * r.size / max(1, directions), 3 * time * directions
    pays = threads > directions or CACHED < size <= threads * CACHED
    waits = threads > 1 and size / 4 * batch / MACS_A_CYCLE >= WORTH_WAITING
    return pays and waits and all(pack.width == 0 for pack in packs) and turns < MOST_TURNS


def _kind(node: Node) -> int | None:
    """The kind of cell, or ``None`` when the kernel has no such."""
    names = [name.lower() for name in node.attribute("activations", None) or ()]
    expected = ACTIVATIONS[node.op_type]
    relu = node.op_type == "RNN" and names in (["relu"], ["relu"] * 2)
    if not relu and names != expected * (len(names) // len(expected)):
        return None
    if any(value for name, value in node.attributes.items() if name not in KNOWN):
        return None
    if node.op_type == "GRU":
        return GRU_LINEAR if node.attribute("linear_before_reset", 0) else GRU
    return LSTM if node.op_type == "LSTM" else RNN_RELU if relu else RNN


def _join_bias(kind: int, bias: np.ndarray | None, directions: int, hidden: int, rows: int) -> np.ndarray:
    """(directions, 2, ``rows``), each gate in whole vectors: both biases of the gates added up; of a GRU's candidate, the
    recurrent one is behind, in its place, or first of all where the state is reset before the product."""
    joined, gates, width = np.zeros((directions, 2, rows), np.float32), GATES[kind], padded(hidden)
    parts = np.zeros((directions, 2, gates, hidden), np.float32) if bias is None else bias.reshape(directions, 2, gates, hidden)
    for gate in range(gates):
        place = joined[:, :, gate * width : gate * width + hidden]
        place[:, 0] = parts[:, 0, gate]
        if gate == 2 and kind == GRU:
            joined[:, 1, :hidden] = parts[:, 1, gate]
        elif gate == 2 and kind == GRU_LINEAR:
            place[:, 1] = parts[:, 1, gate]
        else:
            place[:, 0] += parts[:, 1, gate]
    return joined
