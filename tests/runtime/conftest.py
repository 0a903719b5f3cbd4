"""Builders that the runtime's tests share."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TypeAlias

import numpy as np
import pytest

from tersor.format_spec import codecs
from tersor.format_spec.coding import CodecId
from tersor.format_spec.graph import Node
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import Order, SharedTensor, to_scan
from tersor.packer.encode._sample import sample_of
from tersor.packer.encode.grouped import encode_grouped, plan_grouped
from tersor.runtime.decode.coded import CodedTensor, open_coded
from tersor.runtime.kernels.conv.pieces import InPieces
from tersor.runtime.kernels.conv.sparse.conv import SparseConv
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers

Share: TypeAlias = Callable[..., SharedTensor]


def share_values(
    array: np.ndarray, row_axes: tuple[int, ...], order: Order, code: type, *, sparse: bool = True
) -> SharedTensor:
    codebook = np.unique(array[array != 0]) if sparse else np.unique(array)
    flat = to_scan(array, row_axes, order)
    rows = prod(array.shape[a] for a in row_axes)
    majors = rows if order == "rows" else array.size // max(1, rows)
    if not sparse:
        codes = np.searchsorted(codebook, flat).astype(code)
        return SharedTensor(array.dtype, array.shape, row_axes, order, None, None, codes, codebook)
    grid = flat.reshape(majors, -1) if majors else flat.reshape(0, 0)
    major, minor = np.nonzero(grid)
    starts = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=majors))]).astype(np.int64)
    codes = np.searchsorted(codebook, grid[major, minor]).astype(code)
    return SharedTensor(array.dtype, array.shape, row_axes, order, starts, minor.astype(np.uint32), codes, codebook)


@pytest.fixture(scope="session")
def share() -> Share:
    """``share(array, row_axes, order, code dtype, sparse=...)``: the array as a SharedTensor."""
    return share_values


@pytest.fixture(scope="session")
def pruned() -> Callable[..., np.ndarray]:
    """``pruned(rng, shape, density, levels)``: float32 weights, some zero, the others of at most ``levels`` values."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], density: float, levels: int = 40) -> np.ndarray:
        values = rng.standard_normal(levels).astype(np.float32)
        kept = rng.random(shape) < density
        return np.where(kept, rng.choice(values, shape), np.float32(0)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def opened() -> Callable[..., CodedTensor]:
    """``opened(tensor, codec, block_majors)``: a shared tensor as a codec writes it, opened; but for the grouped codec, which
    chooses itself, blocks have so many majors."""

    def make(tensor: SharedTensor, codec: CodecId, block_majors: int) -> CodedTensor:
        if codec == CodecId.GROUPED:
            plan = plan_grouped(tensor, sample_of(tensor))
            assert plan is not None
            payload = encode_grouped(tensor, plan).payload
        else:
            widths = {CodecId.SPARSE: {"gap_symbols": 4}, CodecId.PAPER: {"index_bits": 2}}.get(codec, {})
            payload = codecs.find_codec(codec).encode(tensor, block_majors=min(block_majors, tensor.majors), **widths)
        return open_coded(TensorRecord("w", tensor.dtype, tensor.shape, tensor.row_axes, codec), payload, DEFAULT_LIMITS)

    return make


@pytest.fixture(scope="session")
def both() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """``both(lower, node, x, threads=1)``: what the kernel makes of float32 ``x``, and what the operator's reference does."""

    def call(
        lower: Callable[[Site], Kernel | None], node: Node, x: np.ndarray, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        want = find_operator(node)(x, **node.attributes)[0]
        float32 = np.dtype(np.float32)
        kernel = lower(Site(node, ((float32, x.shape),), ((float32, want.shape),), threads=threads))
        assert kernel is not None
        got = np.full(want.shape, np.nan, np.float32)
        kernel.run([x], [got], aligned_bytes(kernel.scratch), Workers(threads))
        return got, want

    return call


@pytest.fixture(scope="session")
def carry_out() -> Callable[..., None]:
    """``carry_out(work, x, y, residual, threads=1)``: its order, with scratch memory full of NaN."""

    def call(work: SparseConv | InPieces, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, threads: int = 1) -> None:
        scratch = aligned_bytes(work.scratch_bytes)
        scratch[:] = 255
        Workers(threads).carry_out(work.order(x, y, residual, scratch)[None])

    return call
