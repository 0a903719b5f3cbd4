"""What a kernel is asked for and what it is: the site that one is chosen for, what its epilogue does, and the kernel."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...format_spec.graph import Node, Tensor

if TYPE_CHECKING:
    from ..ops import Shape, Shaped
    from ..orders.order import Arrays, Orders
    from ..orders.workers import Workers

Run: TypeAlias = "Callable[[Arrays, Arrays, np.ndarray, Workers], Sequence[np.ndarray] | None]"
"""(inputs, outputs to fill, scratch bytes, workers). Arrays of static type are C-contiguous; only a kernel whose output
types are unknown to the plan gets ``None`` for outputs, and returns the arrays."""


@dataclass(frozen=True, eq=False)
class Epilogue:
    """What a producing kernel does to each result before it stores it: ``clip(r * scale + shift + residual, low, high)``, or
    instead of ``clip`` what a ``gate`` does.

    ``scale`` and ``shift`` are float64 ``(channels,)`` or absent; a kernel rounds them once. ``residual`` names a value of
    the output's own shape. A gate, (slope, offset, added), makes ``v * clip(v * slope + offset, low, high) + added`` of a
    result ``v``.
    """

    scale: np.ndarray | None = None
    shift: np.ndarray | None = None
    residual: str = ""
    low: float = -inf
    high: float = inf
    gate: tuple[float, float, float] | tuple[()] = ()

    @property
    def clips(self) -> bool:
        """Whether results are bounded, by a gate, too."""
        return self.low > -inf or self.high < inf

    @property
    def bounds(self) -> np.ndarray:
        """(low, high) and the numbers of the gate, float32."""
        return np.array([self.low, self.high, *self.gate], np.float32)

    @property
    def empty(self) -> bool:
        """Whether results are stored as they are."""
        return self.scale is None and self.shift is None and not self.residual and not self.clips

    def affine(self, channels: int, bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """(scale, shift), float32 (channels,), with the operator's own bias taken in."""
        scale = np.ones(channels) if self.scale is None else self.scale
        shift = np.zeros(channels) if self.shift is None else self.shift
        if bias is not None:
            shift = shift + scale * bias
        return scale.astype(np.float32), shift.astype(np.float32)


PLAIN = Epilogue()

CHANNEL_AXIS: Mapping[str, int] = {"Conv": 1, "ConvTranspose": 1, "Gemm": -1, "MatMul": -1}
"""The operators whose kernels take an epilogue, and the output axis that its channels run along."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A way to execute one site.

    ``reads``    indices of the node's inputs that ``run`` gets, in order; the epilogue's residual follows them
    ``macs``     multiplications that the dense operator would do
    ``density``  fraction of those that are executed
    ``weight_bytes`` bytes of prepared weights that a run reads
    ``scratch``  bytes of uninitialised, 64-byte aligned memory that ``run`` needs while it runs
    ``streams``  whether ``run`` decodes the weights; ``weight_bytes`` are then encoded ones, and what is kept beside them
    ``orders``   what ``run`` has carried out, where that is all it does
    ``refusal``  given the inputs that ``run`` gets, raises what is wrong with them where code cannot go on for that
    ``then``     given the site of the only step that reads the output, a kernel that does both, or ``None``
    """

    name: str
    run: Run
    reads: tuple[int, ...] = ()
    macs: int = 0
    density: float = 1.0
    weight_bytes: int = 0
    scratch: int = 0
    streams: bool = False
    orders: Orders | None = None
    refusal: Callable[..., object] | None = None
    then: Callable[[Site], Kernel | None] | None = None

    @classmethod
    def of_orders(cls, name: str, orders: Orders, *, refusal: Callable[..., object] | None = None, **facts: Any) -> Kernel:
        """A kernel that is machine code alone; ``facts`` are other fields."""

        def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
            try:
                workers.carry_out(orders(inputs, outputs, scratch))
            except MemoryError:
                if refusal is not None:
                    refusal(*inputs)
                raise

        return cls(name, run, orders=orders, refusal=refusal, **facts)


@dataclass(frozen=True, eq=False)
class Site:
    """One node of a plan, its surroundings fixed, for which a kernel is wanted.

    ``inputs`` and ``outputs`` are the types (``None`` for an absent input); ``constants`` the inputs that are known, decoded
    when they are looked up. ``rectified`` says that input 0 comes from a rectifier, so that many of its elements are zero.
    ``prepare(key, build)`` returns ``build()``, made once per model for one ``key``: plans of other shapes share it.
    ``passing`` says that what is prepared serves a single run, so that preparing it must be quick; ``keep(key, build)`` is then
    for what is small beside the weights, and made once per model all the same.
    """

    node: Node
    inputs: tuple[Shaped | None, ...]
    outputs: tuple[Shaped, ...]
    constants: Mapping[int, Tensor] = field(default_factory=dict)
    epilogue: Epilogue = PLAIN
    threads: int = 1
    rectified: bool = False
    prepare: Callable[[Hashable, Callable[[], Any]], Any] = field(default=lambda key, build: build())
    passing: bool = False
    keep: Callable[[Hashable, Callable[[], Any]], Any] = field(default=lambda key, build: build())

    def type(self, index: int) -> Shaped | None:
        """Type of input ``index``, or ``None`` when the node has no such input."""
        return self.inputs[index] if index < len(self.inputs) else None

    def floats(self, index: int) -> Shape | None:
        """Shape of input ``index``, where it is float32 and has elements; else ``None``."""
        shaped = self.type(index)
        return shaped[1] if shaped is not None and shaped[0] == np.float32 and 0 not in shaped[1] else None

    def array(self, index: int) -> np.ndarray | None:
        """Value of constant input ``index`` as an array, or ``None`` when it is absent or not constant."""
        tensor = self.constants.get(index)
        return None if tensor is None else tensor.dense()

    @property
    def all_float32(self) -> bool:
        """Whether every input and output is float32."""
        present = [t for t in (*self.inputs, *self.outputs) if t is not None]
        return all(dtype == np.float32 for dtype, _ in present)
