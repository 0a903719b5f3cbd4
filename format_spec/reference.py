"""The plain decoder: SPEC.md in order, in numpy and plain Python, with no jitted code.

It is slow and obvious. The runtime's decoders are tested against it, bit for bit.
"""

from __future__ import annotations

from dataclasses import replace

from . import codecs
from .container import Container, Source, map_source
from .graph import Graph, graphs
from .limits import DEFAULT_LIMITS, Limits
from .manifest import with_tensors
from .model_file import read_graph


def decode_file(source: Source, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Decode a whole file: container (section 3), manifest (section 4), then every tensor (section 5), eagerly.

    Raises:
        FormatError: the file breaks a rule of SPEC.md.
        LimitError: it asks for more than ``limits`` allows.
        MissingExtra: bitarray is not installed, and a tensor is Huffman-coded.
    """
    container = Container(map_source(source), limits)
    graph = read_graph(container, codecs.decode)
    tensors = [dict(g.initializers.items()) for g in graphs(graph)]
    return with_tensors(replace(graph, initializers={}), iter(tensors))
