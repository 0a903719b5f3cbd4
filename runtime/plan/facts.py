"""What can be known of a graph's values once the inputs' shapes are: constants, then element types and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from operator import index
from types import TracebackType
from typing import Any

import numpy as np

from ...format_spec.errors import LimitError, PlanError
from ...format_spec.graph import Graph, Node, Tensor
from ...format_spec.limits import Limits
from ...format_spec.names import names_defined, renamed
from ...format_spec.tensors import DenseTensor
from ..ops import Closure, Operator, Shaped, find_operator, room_within
from ..orders.order import present

NUMPY_ERRORS = (ValueError, IndexError, TypeError, ArithmeticError, KeyError, AttributeError, np.linalg.LinAlgError)
"""What a reference raises when its inputs do not fit together, or an attribute is of another kind than ONNX says."""

SHAPE_READERS = frozenset({"Shape", "Size"})
"""Operators whose result depends on their input's shape alone."""


@dataclass
class Facts:
    """Everything known before a run.

    ``tensors``   the graph's initializers
    ``limits``    what a value may take
    ``constants`` values computed from them, and from the shapes of the inputs
    ``portable``  the names in ``constants`` that depend on initializers alone, so that they hold for inputs of any shape
    ``types``     element type and shape of every value of static type, constants included
    ``declared``  types of the initializers, kept from plan to plan so that they need not be decoded again
    ``nodes``     what is to be run, in order: of an If whose condition is known, the branch that it takes
    """

    tensors: Mapping[str, Tensor]
    limits: Limits
    declared: dict[str, Shaped] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    portable: set[str] = field(default_factory=set)
    types: dict[str, Shaped] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    _inner: dict[str, tuple[Mapping[str, Tensor], str]] = field(default_factory=dict)
    _decoded: dict[str, Tensor] = field(default_factory=dict)
    _names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._names = frozenset(self.tensors)  # looking a name up in the mapping itself would decode the tensor

    def constant(self, name: str) -> bool:
        """Whether the value called ``name`` is known."""
        return name in self.constants or name in self._names

    def array(self, name: str) -> np.ndarray | None:
        """The known value called ``name``, or ``None``."""
        if name in self.constants:
            return self.constants[name]
        tensor = self.tensor(name)
        return None if tensor is None else tensor.dense()

    def tensor(self, name: str) -> Tensor | None:
        """The known value called ``name`` as a tensor, or ``None``."""
        if name in self.constants:
            return DenseTensor.of(self.constants[name])
        if name not in self._decoded and name in self._names:
            tensors, own = self._inner.get(name, (self.tensors, name))
            self._decoded[name] = tensors[own]
        return self._decoded.get(name)

    def adopt(self, tensors: Mapping[str, Tensor], folded: Mapping[str, np.ndarray], names: Mapping[str, str]) -> None:
        """Know the tensors of another graph, and values computed from them alone, by other ``names``."""
        self._inner.update((names[name], (tensors, name)) for name in tensors)
        self.constants.update((names[name], value) for name, value in folded.items())
        self.types.update((names[name], (value.dtype, value.shape)) for name, value in folded.items())
        added = {names[name] for name in (*tensors, *folded)}
        self.portable |= added
        self._names |= {names[name] for name in tensors}

    def type(self, name: str) -> Shaped | None:
        """The static type of the value called ``name``, or ``None`` when it has none."""
        if name in self.types:
            return self.types[name]
        if name not in self.declared and (tensor := self.tensor(name)) is not None:
            self.declared[name] = (tensor.dtype, tensor.shape)
        return self.declared.get(name)

    def known_type(self, name: str) -> Shaped:
        """The static type of the value called ``name``, which has one."""
        return present(self.type(name))


def fold_constants(graph: Graph, limits: Limits) -> dict[str, np.ndarray]:
    """Compute the values that depend on initializers alone, whatever the inputs' shapes.

    Raises:
        LimitError: a value would take more than ``limits`` allows.
    """
    facts = Facts(graph.initializers, limits)
    for node in graph.nodes:
        if foldable(node, facts):
            found = find_operator(node)
            found.check_inputs(node)
            _evaluate(node, found, facts)
    return facts.constants


def foldable(node: Node, facts: Facts) -> bool:
    """Whether every input of ``node`` is known."""
    return all(facts.constant(name) for name in node.inputs if name)


def analyse(
    graph: Graph,
    shapes: Mapping[str, tuple[int, ...]],
    folded: Mapping[str, np.ndarray],
    declared: dict[str, Shaped],
    limits: Limits,
) -> Facts:
    """Find every constant and every static type of ``graph`` for inputs of the given shapes.

    ``folded`` is from :func:`fold_constants`; ``declared`` collects the types of the initializers. A value whose
    shape depends on data that is not known is left without a type.

    Raises:
        PlanError: a node's inputs do not fit together.
        LimitError: a value would take more than ``limits`` allows.
        UnsupportedOperator: the runtime has no such operator.
    """
    facts = Facts(graph.initializers, limits, declared, dict(folded), set(folded) | set(graph.initializers))
    facts.types.update((name, (value.dtype, value.shape)) for name, value in folded.items())
    facts.types.update((value.name, (np.dtype(value.type.dtype), shapes[value.name])) for value in graph.inputs)
    _visit_all(graph.nodes, facts)
    return facts


def _visit_all(nodes: Iterable[Node], facts: Facts) -> None:
    for node in nodes:
        if not all(name in facts.constants for name in node.outputs if name):
            _visit(node, facts)


def _visit(node: Node, facts: Facts) -> None:
    find_operator(node).check_inputs(node)
    with misfits(node):
        branch = taken_branch(node, facts)
        opened = None if branch is None else _opened(node, branch, facts)
    if opened is None:
        facts.nodes.append(node)
        _learn(node, facts)
    else:
        _visit_all(opened, facts)


def taken_branch(node: Node, facts: Facts) -> Closure | None:
    """The branch that an If takes, where that is known before the run."""
    condition = facts.array(node.inputs[0]) if node.op_type == "If" and facts.constant(node.inputs[0]) else None
    if condition is None or condition.size != 1:
        return None
    branch: Any = node.attributes["then_branch" if condition.item() else "else_branch"]
    return branch


def _opened(node: Node, branch: Closure, facts: Facts) -> list[Node]:
    """The nodes of a branch in the place of the If that takes it; its tensors become known."""
    graph, label = branch.graph, next(filter(None, node.outputs), "")
    names = {name: f"{label}, branch: {name}" for name in (*names_defined(graph), *branch.folded())}
    names |= {value.name: name for value, name in zip(graph.inputs, node.inputs[1:], strict=True)}
    facts.adopt(graph.initializers, branch.folded(), names)
    ends = zip(graph.outputs, node.outputs, strict=False)
    return [
        *(renamed(inner, names) for inner in graph.nodes),
        *(Node("Identity", f"{node.label}, taken", (names[value.name],), (name,)) for value, name in ends if name),
    ]


def _learn(node: Node, facts: Facts) -> None:
    found = find_operator(node)
    present = [name for name in node.inputs if name]
    if foldable(node, facts):
        _evaluate(node, found, facts)
    elif any(facts.type(name) is None for name in present):
        return
    elif node.op_type in SHAPE_READERS:
        _evaluate(node, found, facts, [_placeholder(facts, name) for name in node.inputs])
    elif all(_given(node, index, facts) for index in found.shape_inputs):
        _infer(node, found, facts)


def _given(node: Node, index: int, facts: Facts) -> bool:
    name = node.inputs[index] if index < len(node.inputs) else ""
    return not name or facts.constant(name)


def _evaluate(node: Node, found: Operator, facts: Facts, inputs: Sequence[np.ndarray | None] | None = None) -> None:
    arrays = [facts.array(name) if name else None for name in node.inputs] if inputs is None else inputs
    for name, value in zip(node.outputs, apply_within(found, node, arrays, facts.limits), strict=False):
        if name:
            facts.constants[name] = value
            facts.types[name] = (value.dtype, value.shape)


def _infer(node: Node, found: Operator, facts: Facts) -> None:
    if found.infer is None:
        inputs = [facts.array(name) if facts.constant(name) else _placeholder(facts, name) for name in node.inputs]
        types = [(value.dtype, value.shape) for value in apply(found, node, inputs, facts.limits)]
    else:
        values = [
            facts.array(node.inputs[i]) if i in _read_values(node, found, facts) else None for i in range(len(node.inputs))
        ]
        with misfits(node):
            types = found.infer(node, [facts.type(name) if name else None for name in node.inputs], values)
    with misfits(node):  # attributes of floats make sizes of floats
        whole = [None if shaped is None else (np.dtype(shaped[0]), tuple(map(index, shaped[1]))) for shaped in types]
    check_bytes(whole, facts.limits)
    facts.types.update((name, shaped) for name, shaped in zip(node.outputs, whole, strict=False) if name and shaped is not None)
    if found.settle is not None and None not in whole:
        given = [facts.type(name) if name else None for name in node.inputs]
        settled = zip(node.outputs, found.settle(node, given, [present(shaped) for shaped in whole]), strict=False)
        facts.constants.update((name, value) for name, value in settled if name and value is not None)


def _read_values(node: Node, found: Operator, facts: Facts) -> set[int]:
    """Inputs whose values inference may ask for: all constants but the weights, which stay compressed."""
    constant = {i for i, name in enumerate(node.inputs) if name and facts.constant(name)}
    return constant - set(found.weights)


def _placeholder(facts: Facts, name: str) -> np.ndarray | None:
    shaped = facts.type(name) if name else None
    return None if shaped is None else np.broadcast_to(np.zeros((), shaped[0]), shaped[1])


def check_bytes(types: Iterable[Shaped | None], limits: Limits) -> None:
    """Raise :class:`LimitError` when values of these types, as far as they are known, would take more than is allowed."""
    known = [shaped for shaped in types if shaped is not None]
    limits.check("activation_bytes", sum(np.dtype(dtype).itemsize * prod(n or 1 for n in shape) for dtype, shape in known))


def apply_within(found: Operator, node: Node, inputs: Sequence[np.ndarray | None], limits: Limits) -> tuple[np.ndarray, ...]:
    """:func:`apply`, after the size of what it will make has been held to ``limits``.

    Raises:
        PlanError: the inputs do not fit together.
        LimitError: the outputs would take more than ``limits`` allows.
    """
    is_call = any(isinstance(value, Closure) for value in node.attributes.values())  # its own plan looks at its steps
    if found.infer is not None and not is_call:
        types = [None if array is None else (array.dtype, array.shape) for array in inputs]
        with suppress(PlanError), misfits(node):  # the reference says it better
            check_bytes(found.infer(node, types, inputs), limits)
    return apply(found, node, inputs, limits)


def apply(found: Operator, node: Node, inputs: Sequence[np.ndarray | None], limits: Limits) -> tuple[np.ndarray, ...]:
    """Run the reference of ``node``.

    Raises:
        PlanError: the inputs do not fit together, or one of them was never made.
        LimitError: it would take more than ``limits`` allows, or the system has not so much memory.
    """
    for name, array in zip(node.inputs, inputs, strict=False):
        if name and array is None:
            raise PlanError(f"node {node.label!r} ({node.op_type}) reads {name!r}, which nothing makes")
    try:
        with misfits(node), room_within(limits):
            return found(*inputs, **node.attributes)
    except MemoryError as error:
        raise LimitError(f"node {node.label!r} ({node.op_type}) asks for more memory than there is") from error


class misfits:  # noqa: N801  # read as a function; a generator takes several times as long to enter and leave
    """Say of ``node`` what goes wrong in the block.

    Raises:
        PlanError: its inputs, or its attributes, do not fit together.
    """

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it."""
        node = self._node
        if isinstance(error, PlanError) and not str(error).startswith("node "):
            raise PlanError(f"node {node.label!r} ({node.op_type}): {error}") from error
        if isinstance(error, NUMPY_ERRORS):
            raise PlanError(f"node {node.label!r} ({node.op_type}) cannot run: {error}") from error
