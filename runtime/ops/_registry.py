"""How an operator joins the runtime: one decorated function, found by walking this folder.

A list (:mod:`._modules`) says where most are: importing all of them takes longer than a small network's first run.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...format_spec.discovery import import_modules
from ...format_spec.errors import PlanError, UnsupportedOperator
from ...format_spec.graph import Graph, Node, graphs
from ._modules import MODULES

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site

Shaped: TypeAlias = "tuple[np.dtype, tuple[int, ...]]"
"""Element type and static shape of a value."""

RowAxes: TypeAlias = Callable[[Node, int], tuple[int, ...]]
"""(node, rank of the weight) -> the weight's row axes, see :mod:`tersor.format_spec.tensors`."""

Infer: TypeAlias = Callable[[Node, Sequence["Shaped | None"], Sequence["np.ndarray | None"]], "list[Any]"]
"""(node, input types, values of the inputs that are constant) -> output types, each a :data:`Shaped`; ``None`` stands for an
absent input, and for an output whose type is known only when it has been computed."""

Settle: TypeAlias = "Callable[[Node, Sequence[Shaped | None], Sequence[Shaped]], Sequence[np.ndarray | None]]"
"""(node, input types, output types) -> values of the outputs that these decide, ``None`` for others."""

Lower: TypeAlias = "Callable[[Site], Kernel | None]"
"""Picks a kernel for one node of a plan, or declines."""


@dataclass(frozen=True)
class Operator:
    """An ONNX operator: its plain numpy reference and what the plan must know of it.

    ``reference(*inputs, **attributes)`` takes inputs by position (``None`` when absent) and attributes by keyword with ONNX's
    defaults; it returns one array or a tuple of arrays. ``shape_inputs`` are the inputs whose *values* decide the outputs'
    shapes. ``weights`` says which inputs are weight matrices and which of their axes are rows. Without ``infer`` the
    plan learns output types by running the reference on zeros; ``settle`` gives outputs that follow from types. ``allowed``
    lists, for an attribute that ONNX defines more widely than the reference, the values that it knows. ``family`` is a
    dataclass of attributes that several operators have in common, each with its default: their references take them as
    ``**family`` and make one of it.
    """

    op_type: str
    reference: Callable[..., Any]
    shape_inputs: tuple[int, ...] = ()
    weights: Mapping[int, RowAxes] = field(default_factory=dict)
    infer: Infer | None = None
    settle: Settle | None = None
    allowed: Mapping[str, Collection[Any]] = field(default_factory=dict)
    family: Any = None

    @cached_property
    def attribute_names(self) -> frozenset[str]:
        """The attributes that the reference understands."""
        parameters = inspect.signature(self.reference).parameters.values()
        return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY) | self.defaults.keys()

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The default of each attribute that may be left out."""
        shared = {f.name: f.default for f in fields(self.family)} if self.family else {}
        return {**(getattr(self.reference, "__kwdefaults__", None) or {}), **shared}

    @cached_property
    def arity(self) -> tuple[int, float]:
        """How many inputs there must be, the first ones, and how many there may be."""
        endless = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(self.reference).parameters.values())
        return sum(p.default is p.empty for p in self._placed), inf if endless else len(self._placed)

    @cached_property
    def _placed(self) -> list[inspect.Parameter]:
        """The inputs that have a place of their own, before those of a list, if there is one."""
        parameters = inspect.signature(self.reference).parameters.values()
        return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    def check_inputs(self, node: Node) -> None:
        """Raise :class:`PlanError` unless ``node`` has the inputs that the operator needs, all of those that it takes as a
        list, and no more than it takes."""
        least, most = self.arity
        if len(node.inputs) > most:
            raise PlanError(f"node {node.label!r}: {self.op_type} takes {most} inputs, not {len(node.inputs)}")
        for index in (*range(least), *range(len(self._placed), len(node.inputs))):
            if index >= len(node.inputs) or not node.inputs[index]:
                raise PlanError(f"node {node.label!r}: input {index} of {self.op_type} is missing")

    def __call__(self, *inputs: np.ndarray | None, **attributes: Any) -> tuple[np.ndarray, ...]:
        """Run the reference: a tuple of arrays (rank 0 included), which may be views of the inputs.

        Overflow, division by zero and invalid values give what IEEE 754 says, silently.
        """
        with np.errstate(all="ignore"):
            result = self.reference(*inputs, **attributes)
        return tuple(np.asarray(r) for r in result) if isinstance(result, tuple) else (np.asarray(result),)


@dataclass(frozen=True)
class Lowering:
    """What picks a kernel for an operator, and in words what the kernel is and which elements it serves."""

    lower: Lower
    kernel: str
    elements: str

    def __call__(self, site: Site) -> Kernel | None:
        """A kernel for ``site``, or ``None``: its reference runs."""
        return self.lower(site)


_operators: dict[str, Operator] = {}
_lowerings: dict[str, Lowering] = {}


def operator(op_type: str, **facts: Any) -> Callable[[Callable[..., Any]], Operator]:
    """Register the decorated reference as ``op_type``; ``facts`` are the other fields of :class:`Operator`."""

    def register(reference: Callable[..., Any]) -> Operator:
        if op_type in _operators:
            raise RuntimeError(f"operator {op_type} is registered twice: {reference.__module__}")
        _operators[op_type] = Operator(op_type, reference, **facts)
        return _operators[op_type]

    return register


def lowering(*op_types: str, kernel: str, elements: str = "float32") -> Callable[[Lower], Lower]:
    """Register the decorated function as what picks a kernel for each of ``op_types``.

    ``kernel`` says in a few words what runs, ``elements`` for which types of the main input: the page of operators prints both.
    """

    def register(lower: Lower) -> Lower:
        for op_type in op_types:
            if op_type in _lowerings:
                raise RuntimeError(f"operator {op_type} has two lowerings: {lower.__module__}")
            _lowerings[op_type] = Lowering(lower, kernel, elements)
        return lower

    return register


@cache
def operators() -> Mapping[str, Operator]:
    """Every operator of the runtime, by ONNX name."""
    import_modules(__package__)
    return dict(sorted(_operators.items()))


@cache
def _import_listed(op_type: str) -> None:
    for name in MODULES[op_type]:
        importlib.import_module(f"{__package__}.{name}")


def _known(op_type: str) -> bool:
    """Whether there is an operator ``op_type``, of those that are listed with its modules alone imported, else with all."""
    if op_type in MODULES:  # what a file names is not kept
        _import_listed(op_type)
    return op_type in _operators or op_type in operators()


def find_operator(node: Node) -> Operator:
    """The operator that runs ``node``.

    Raises:
        UnsupportedOperator: no such operator, or an attribute (or a value of one) that its reference does not know.
    """
    if not _known(node.op_type):
        raise UnsupportedOperator(f"the runtime has no operator {node.op_type}", node=node.label)
    found = _operators[node.op_type]
    unknown = sorted(set(node.attributes) - found.attribute_names)
    if unknown:
        raise UnsupportedOperator(f"{node.op_type}: attribute {unknown[0]!r} is not supported", node=node.label)
    for name, values in found.allowed.items():
        if name in node.attributes and not _is_among(node.attributes[name], values):
            raise UnsupportedOperator(f"{node.op_type}: {name}={node.attributes[name]} is not supported", node=node.label)
    return found


def _is_among(value: Any, values: Collection[Any]) -> bool:
    """Whether an attribute is one of some numbers or texts; a tensor is none."""
    return not isinstance(value, np.ndarray) and value in values


def find_lowering(op_type: str) -> Lowering | None:
    """What picks a kernel for ``op_type``, if anything does."""
    return _lowerings.get(op_type) if _known(op_type) else None


def check_supported(graph: Graph) -> None:
    """Raise :class:`UnsupportedOperator` for the first node, subgraphs included, that the runtime cannot execute."""
    for part in graphs(graph):
        for node in part.nodes:
            find_operator(node)
