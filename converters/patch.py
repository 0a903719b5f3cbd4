"""What adapting a node may look at and add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, helper

from ..format_spec.tensors import DenseTensor
from .constants import DTYPES
from .nodes import walk
from .skeleton import Skeleton


@dataclass
class Patch:
    """What an adapter sees: element types and ranks of values, and the tensors, to which it may add."""

    dtypes: Mapping[str, np.dtype]
    ranks: Mapping[str, int]
    tensors: dict[str, DenseTensor]
    taken: set[str]
    made: list[NodeProto] = field(default_factory=list)

    @classmethod
    def of(cls, skeleton: Skeleton) -> Patch:
        """What is known of ``skeleton``'s values, those of subgraphs included."""
        graph = skeleton.infer().graph
        nodes = list(walk(graph.node))
        subgraphs = [a.g for node in nodes for a in node.attribute if a.type == AttributeProto.GRAPH]
        dtypes, ranks = {}, {}
        for value in (v for g in (graph, *subgraphs) for v in (*g.input, *g.value_info, *g.output)):
            tensor = value.type.tensor_type
            if tensor.elem_type in DTYPES:
                dtypes[value.name] = DTYPES[tensor.elem_type]
            if tensor.HasField("shape"):
                ranks[value.name] = len(tensor.shape.dim)
        for name, held in skeleton.tensors.items():
            dtypes[name], ranks[name] = held.dtype, len(held.shape)
        taken = {name for node in nodes for name in (*node.input, *node.output)} | set(dtypes) | set(ranks)
        return cls(dtypes, ranks, skeleton.tensors, taken)

    def constant(self, base: str, array: np.ndarray) -> str:
        """Add a tensor and return its name, which begins with ``base``."""
        name = self.fresh(base)
        self.tensors[name] = DenseTensor.of(array)
        return name

    def node(self, op_type: str, inputs: list[str], base: str, **attributes: Any) -> str:
        """Add a node with one output before the one being adapted and return the output's name."""
        output = self.fresh(base)
        self.made.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def fresh(self, base: str) -> str:
        """A name that no value has."""
        name, number = base, 1
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        return name

    def drain(self) -> list[NodeProto]:
        """The nodes added since the last call."""
        made, self.made = self.made, []
        return made
