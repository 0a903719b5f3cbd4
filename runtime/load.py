"""``load``: from a file to a model that runs."""

from __future__ import annotations

from functools import partial
from typing import Literal, TypeAlias

from ..format_spec.container import Container, Source, map_source, release
from ..format_spec.errors import PlanError
from ..format_spec.graph import Tensor
from ..format_spec.limits import DEFAULT_LIMITS, Limits
from ..format_spec.model_file import read_graph
from ..format_spec.records import TensorRecord
from .decode.encoded import check_streamable, keep_encoded, least_encoded
from .model import Model
from .ops import check_supported

Memory: TypeAlias = Literal["expanded", "streamed"]
"""How weights are kept while the model runs.

``"expanded"``: in the executing layout, about 3 bytes a nonzero. ``"streamed"``: as they are in the file; each layer's are
decoded while it runs, which takes less memory and more time.
"""


def load(source: Source, *, threads: int | None = None, memory: Memory = "expanded", limits: Limits = DEFAULT_LIMITS) -> Model:
    """Open a packed file: a path (memory-mapped), its bytes, or a binary file object.

    Weights are decoded when a plan first needs them. ``threads=None`` takes the physical cores. ``limits`` holds for the file
    and for what its graph computes. Close the model, or use it as a context manager, to give the mapping back. Until then the
    file may be deleted, or replaced by a rename, as packing over it does, but not written into: the system ends a process that
    reads what has been cut off.

    Raises:
        FormatError: the bytes are not a sound Tersor file.
        LimitError: the file asks for more than ``limits`` allows.
        PlanError: the file holds tensors and no graph, it is to be streamed and is in the max profile, or there is no such
            ``memory`` or number of ``threads``.
        InputError: ``source`` is no path, bytes or binary file.
        UnsupportedOperator: this release cannot execute an operator of the graph.
        OSError: the path cannot be read.
    """
    if memory not in ("expanded", "streamed"):
        raise PlanError(f"memory={memory!r}: it is 'expanded' or 'streamed'")
    view = map_source(source)
    try:
        container = Container(view, limits)
        keep = partial(keep_encoded, least=least_encoded(container))
        graph = read_graph(container, keep if memory == "streamed" else decode_lazily)
        if not graph.outputs:
            raise PlanError("the file holds tensors and no graph to run: read them with tersor.runtime.load_tensors")
        check_supported(graph)
        if memory == "streamed":
            check_streamable(graph)
        return Model(graph, threads=threads, limits=limits, on_close=lambda: release(view))
    except BaseException:
        release(view)
        raise


def decode_lazily(record: TensorRecord, payload: memoryview, limits: Limits) -> Tensor:
    """Decode one payload; the jitted decoders are imported with the first tensor."""
    from .decode import decode

    return decode(record, payload, limits)
