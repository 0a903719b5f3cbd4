"""Steps whose weights stay encoded: decoded into scratch memory while they run, and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..encoded import EncodedTensor
from .step import Arrays, Kernel, Site
from .workers import Workers


def is_encoded(site: Site) -> bool:
    """Whether a site has a constant that is kept encoded."""
    return any(isinstance(site.constants[index], EncodedTensor) for index in site.constants)


def decoding_kernel(site: Site, lower: Callable[[Site], Kernel | None]) -> Kernel | None:
    """The kernel that ``lower`` gives; unless it streams its weights by itself, one that decodes them whole in every run."""
    found = lower(replace(site, passing=True) if is_encoded(site) else site)
    if found is None or found.streams or not is_encoded(site):
        return found

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> Sequence[np.ndarray] | None:
        made = lower(_decoded(site, workers))
        assert made is not None
        return made.run(inputs, outputs, scratch, workers)

    encoded = [tensor for index in site.constants if isinstance(tensor := site.constants[index], EncodedTensor)]
    held = sum(tensor.bytes for tensor in encoded)
    return replace(found, name=f"decoded for {found.name}", run=run, weight_bytes=held, streams=True, orders=None)


def _decoded(site: Site, workers: Workers) -> Site:
    """The site with its encoded constants decoded, where nothing is kept from run to run."""
    constants = {index: site.constants[index] for index in site.constants}
    decoded = {i: t.decoded(workers) if isinstance(t, EncodedTensor) else t for i, t in constants.items()}
    return replace(site, constants=decoded, passing=True, prepare=lambda key, build: build())
