"""From a graph and the shapes of its inputs to a plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ...format_spec.graph import Graph, Node, Tensor
from ...format_spec.limits import Limits
from ..kernels.site import Kernel, Site
from ..ops import Shaped, find_lowering
from ..orders.order import present
from .arena import Lifetime, assign, assign_scratch
from .branches import branching_kernel
from .dead import drop_dead
from .facts import Facts, analyse, fold_constants, misfits
from .fusion import Draft, fuse, recognise
from .plan import Kind, Plan, Slot
from .rectified import rectified
from .reference import dynamic_kernel, reference_kernel
from .step import Step
from .storage import Storage, place
from .streamed import decoding_kernel

Prepare: TypeAlias = "Callable[[Hashable, Callable[[], Any]], Any]"


@dataclass(frozen=True, eq=False)
class Common:
    """What the plans of one model share.

    ``folded``   values of :func:`~tersor.runtime.plan.facts.fold_constants`
    ``declared`` types of the initializers, filled in by the first plan
    ``prepare``  keeps prepared weights, see :class:`~tersor.runtime.kernels.site.Site`
    ``threads``  over how many threads a kernel may split its work
    ``limits``   what a step, and what all share, may take
    """

    folded: Mapping[str, np.ndarray]
    prepare: Prepare
    threads: int
    limits: Limits
    declared: dict[str, Shaped] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, prepare: Prepare, threads: int, limits: Limits) -> Common:
        """What plans of ``graph`` share.

        Raises:
            LimitError: a value that they have in common would take more than ``limits`` allows.
        """
        return cls(fold_constants(graph, limits), prepare, threads, limits)


def build_plan(graph: Graph, shapes: Mapping[str, tuple[int, ...]], common: Common) -> Plan:
    """Plan ``graph`` for inputs of ``shapes``.

    Raises:
        PlanError: the shapes do not fit the graph.
        LimitError: a value, or all at a time, would take more than the limits allow.
        UnsupportedOperator: the runtime lacks an operator.
    """
    facts = analyse(graph, shapes, common.folded, common.declared, common.limits)
    graph, outputs = replace(graph, nodes=tuple(facts.nodes)), [value.name for value in graph.outputs]
    nodes = recognise(drop_dead(graph, facts), outputs, facts)
    drafts = fuse(nodes, outputs, facts)
    storage = place(drafts, outputs, facts)
    plan = _Builder(graph, facts, drafts, storage, common).plan()
    common.limits.check("activation_bytes", plan.arena_bytes)
    return plan


class _Builder:
    """Numbers the slots and binds the steps of one plan."""

    def __init__(self, graph: Graph, facts: Facts, drafts: Sequence[Draft], storage: Storage, common: Common) -> None:
        self.graph, self.facts, self.drafts, self.storage = graph, facts, drafts, storage
        self.prepare, self.threads = common.prepare, common.threads
        self.rectified = rectified(drafts)
        self.inputs = [value.name for value in graph.inputs]
        self.outputs = [value.name for value in graph.outputs]
        self.slots: dict[str, int] = {}
        self.names: list[str] = []

    def slot(self, name: str) -> int:
        """Number of the slot of ``name``, -1 for an absent value."""
        if not name:
            return -1
        if name not in self.slots:
            self.slots[name] = len(self.names)
            self.names.append(name)
            self.slot(self.storage.resolve(name)[0])
        return self.slots[name]

    def plan(self) -> Plan:
        """Bind everything."""
        inputs = {name: self.slot(name) for name in self.inputs}
        steps = list(self._steps())
        outputs = {name: self.slot(name) for name in self.outputs}
        kinds = self._kinds()
        offsets, scratch, size = self._allocate(steps, kinds)
        slots = tuple(self._make_slot(index, name, kinds, offsets) for index, name in enumerate(self.names))
        constants = {i: self._constant(slot.name) for i, slot in enumerate(slots) if slot.kind == "constant" and slot.root == i}
        steps = [Step(s.node, s.kernel, s.inputs, s.outputs, s.absorbed, at) for s, at in zip(steps, scratch, strict=True)]
        return Plan(slots, tuple(steps), inputs, outputs, constants, size)

    def _steps(self) -> Iterator[Step]:
        """The steps in order; a kernel that can do the only one too which reads its output takes that in."""
        done, readers = set(self.storage.vanished), defaultdict[str, list[int]](list)
        for position, draft in enumerate(self.drafts):
            for name in draft.inputs:
                readers[name].append(position)
        for position, draft in enumerate(self.drafts):
            if position in done:
                continue
            kernel, last, absorbed = self._kernel(draft), draft, draft.absorbed
            reads = [draft.node.inputs[i] for i in kernel.reads]
            reads += [draft.epilogue.residual] if draft.epilogue.residual else []
            reader = self._only_reader(draft, readers)
            if kernel.then is not None and reader is not None and (both := kernel.then(self._site(self.drafts[reader]))):
                kernel, last = both, self.drafts[reader]
                absorbed = (*absorbed, last.node, *last.absorbed)
                done.add(reader)
            yield Step(draft.node, kernel, tuple(map(self.slot, reads)), tuple(map(self.slot, last.outputs)), absorbed)

    def _only_reader(self, draft: Draft, readers: Mapping[str, Sequence[int]]) -> int | None:
        """The draft that alone reads the only output of this one, where that has memory of its own and the reader a step."""
        name = draft.outputs[0]
        if len(draft.outputs) != 1 or name in self.outputs or name in self.storage.places or len(readers[name]) != 1:
            return None
        reader = readers[name][0]
        typed = all(self.facts.type(output) for output in self.drafts[reader].outputs if output)
        return reader if typed and reader not in self.storage.vanished else None

    def _kernel(self, draft: Draft) -> Kernel:
        node = draft.node
        types = [self.facts.type(name) if name else None for name in draft.outputs]
        if any(t is None for t, name in zip(types, draft.outputs, strict=True) if name):
            return dynamic_kernel(node, self.facts.limits)
        lower = branching_kernel if node.op_type == "If" else find_lowering(node.op_type)
        with misfits(node):
            found = decoding_kernel(self._site(draft), lower) if lower else None
        return found or reference_kernel(node, draft.outputs, draft.epilogue, self.facts.limits)

    def _site(self, draft: Draft) -> Site:
        facts, node = self.facts, draft.node
        portable = all(name in facts.portable for name in node.inputs if name and facts.constant(name))
        return Site(
            node,
            tuple(facts.type(name) if name else None for name in node.inputs),
            tuple(shaped for name in draft.outputs if name and (shaped := facts.type(name)) is not None),
            _Constants(node, facts),
            draft.epilogue,
            self.threads,
            bool(node.inputs) and node.inputs[0] in self.rectified,
            self.prepare if portable else lambda key, build: build(),
        )

    def _kinds(self) -> dict[str, Kind]:
        """Whose memory each root is in."""
        owned = {self.storage.resolve(name)[0] for name in self.outputs}
        kinds: dict[str, Kind] = {}
        for name in self.names:
            root = self.storage.resolve(name)[0]
            if root in self.inputs:
                kinds[name] = "input"
            elif self.facts.constant(root):
                kinds[name] = "constant"
            elif self.facts.type(root) is None:
                kinds[name] = "fresh"
            else:
                kinds[name] = "output" if root in owned else "arena"
        return kinds

    def _allocate(self, steps: Sequence[Step], kinds: Mapping[str, Kind]) -> tuple[dict[str, int], list[int], int]:
        """Arena offsets of the roots and of the steps' scratch, and the arena's size."""
        spans: dict[str, tuple[int, int]] = {}
        for position, step in enumerate(steps):
            for index in (*step.inputs, *step.outputs):
                if index >= 0 and kinds[self.names[index]] == "arena":
                    root = self.storage.resolve(self.names[index])[0]
                    spans[root] = (spans.get(root, (position, 0))[0], position)
        lifetimes = [Lifetime(self._bytes(root), *span) for root, span in spans.items()]
        sizes = [step.kernel.scratch for step in steps]
        apart, room = assign_scratch(sizes, self.threads)
        among = [Lifetime(size, i, i) for i, (size, at) in enumerate(zip(sizes, apart, strict=True)) if at is None]
        offsets, size = assign([*lifetimes, *among])
        rest = iter(offsets[len(spans) :])
        scratch = [next(rest) if at is None else size + at for at in apart]
        return dict(zip(spans, offsets, strict=False)), scratch, size + room

    def _bytes(self, name: str) -> int:
        dtype, shape = self.facts.known_type(name)
        return prod(shape) * dtype.itemsize

    def _make_slot(self, index: int, name: str, kinds: Mapping[str, Kind], offsets: Mapping[str, int]) -> Slot:
        shaped = self.facts.type(name)
        root, start = self.storage.resolve(name)
        root_index = self.slots[root]
        offset = start if root_index != index else offsets.get(name, 0)
        dtype, shape = shaped if shaped is not None else (np.dtype(np.void), None)
        return Slot(name, dtype, shape, kinds[name], root_index, offset)

    def _constant(self, name: str) -> np.ndarray:
        def read() -> np.ndarray:
            return np.asarray(present(self.facts.array(name)), order="C")  # computed ones may be views

        return self.prepare(("constant", name), read) if name in self.facts.portable else read()


class _Constants(Mapping[int, Tensor]):
    """The known inputs of a node by index, decoded when looked up."""

    def __init__(self, node: Node, facts: Facts) -> None:
        self._names = {i: name for i, name in enumerate(node.inputs) if name and facts.constant(name)}
        self._facts = facts

    def __getitem__(self, index: int) -> Tensor:
        return present(self._facts.tensor(self._names[index]))

    def __iter__(self) -> Iterator[int]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
