"""Steps whose weights stay encoded: decoded into scratch memory while they run, and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...format_spec.graph import Tensor
from ..decode.encoded import EncodedTensor
from ..kernels.conv.sparse.stream import check_fitting
from ..kernels.site import Kernel, Site
from ..orders.order import Arrays, present
from ..orders.workers import Workers


def is_encoded(site: Site) -> bool:
    """Whether a site has a constant that is kept encoded."""
    return any(isinstance(site.constants[index], EncodedTensor) for index in site.constants)


def decoding_kernel(site: Site, lower: Callable[[Site], Kernel | None]) -> Kernel | None:
    """The kernel that ``lower`` gives; unless it streams its weights by itself, one that decodes them whole in every run."""
    if not is_encoded(site):
        return lower(site)
    small: dict[Hashable, Any] = {}

    def keep(key: Hashable, build: Callable[[], Any]) -> Any:
        small[key] = site.prepare(key, build)
        return small[key]

    passing = replace(site, passing=True, keep=keep)
    found = lower(replace(passing, prepare=_for_once()))
    if found is None or found.streams:
        return found

    room = found.scratch  # nothing else of that kernel is kept: it holds decoded weights

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> Sequence[np.ndarray] | None:
        made = lower(replace(passing, constants=_decoded(site, workers), prepare=_for_once()))
        check_fitting(made is not None and made.scratch <= room)
        return present(made).run(inputs, outputs, scratch, workers)

    encoded = [tensor for index in site.constants if isinstance(tensor := site.constants[index], EncodedTensor)]
    held = sum(tensor.bytes for tensor in encoded) + sum(kept.bytes for kept in small.values())
    return replace(found, name=f"decoded for {found.name}", run=run, weight_bytes=held, streams=True, orders=None, then=None)


def _decoded(site: Site, workers: Workers) -> dict[int, Tensor]:
    constants = ((index, site.constants[index]) for index in site.constants)
    return {i: tensor.decoded(workers) if isinstance(tensor, EncodedTensor) else tensor for i, tensor in constants}


def _for_once() -> Callable[[Hashable, Callable[[], Any]], Any]:
    """A site's ``prepare`` that keeps what it makes for as long as it is kept itself."""
    made: dict[Hashable, Any] = {}

    def prepare(key: Hashable, build: Callable[[], Any]) -> Any:
        if key not in made:
            made[key] = build()
        return made[key]

    return prepare
