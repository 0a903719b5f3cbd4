"""``load_tensors``: a file's tensors by name, for those who keep their own model code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType

import numpy as np

from ..format_spec.container import Container, Source, map_source, release
from ..format_spec.errors import PlanError
from ..format_spec.graph import Tensor, graphs
from ..format_spec.limits import DEFAULT_LIMITS, Limits
from ..format_spec.model_file import read_graph
from .load import decode_lazily


class StoredArrays(Mapping[str, np.ndarray]):
    """The tensors of an open file. Each look-up decodes one tensor, and nothing else, into a fresh, writable array.

    Close it, or use it as a context manager, to give the file's mapping back.
    """

    def __init__(self, view: memoryview, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        self._view: memoryview | None = view
        self._tensors = tensors
        self.metadata = metadata
        """The source's free-form properties."""

    def __getitem__(self, name: str) -> np.ndarray:
        if self._view is None:
            raise PlanError("the file has been closed")
        array = self._tensors[name].dense()
        return array if array.flags.writeable and array.flags.owndata else array.copy(order="C")

    def __repr__(self) -> str:
        return f"StoredArrays(tensors={len(self)})"

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def close(self) -> None:
        """Give the mapping back; nothing can be looked up afterwards."""
        view, self._view = self._view, None
        self._tensors = {}
        if view is not None:
            release(view)

    def __enter__(self) -> StoredArrays:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def load_tensors(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> StoredArrays:
    """The tensors of a packed file (a path, its bytes, or a binary file object), with or without a graph, by name.

    With torch, from the file to a module: ``module.load_state_dict({k: torch.from_numpy(v) for k, v in
    load_tensors("weights.tersor").items()})``.

    Raises:
        FormatError: the bytes are not a sound Tersor file.
        PlanError: two tensors, in different subgraphs, have one name.
        LimitError: the file asks for more than ``limits`` allows.
        InputError: ``source`` is no path, bytes or binary file.
        OSError: the path cannot be read.
    """
    view = map_source(source)
    try:
        graph = read_graph(Container(view, limits), decode_lazily)
        return StoredArrays(view, _by_name([part.initializers for part in graphs(graph)]), graph.metadata)
    except BaseException:
        release(view)
        raise


def _by_name(parts: list[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    if len(parts) == 1:
        return parts[0]
    return _Joined(parts)


class _Joined(Mapping[str, Tensor]):
    """Several mappings without a name in common, as one."""

    def __init__(self, parts: list[Mapping[str, Tensor]]) -> None:
        self._owners: dict[str, Mapping[str, Tensor]] = {}
        for part in parts:
            for name in part:
                if name in self._owners:
                    raise PlanError(
                        f"two tensors are called {name!r}, in different subgraphs: they cannot be told apart by name"
                    )
                self._owners[name] = part

    def __getitem__(self, name: str) -> Tensor:
        return self._owners[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._owners)

    def __len__(self) -> int:
        return len(self._owners)
