"""Rates of the weight codecs on one core, beside zstd -1 and bitarray on the same symbols in the same run.

Seconds are the thread's processor time, so that other work on the machine disturbs little; with two threads, elapsed time.

With ``--peer PYTHON``, the environment of nncodec_compare.py, also NNCodec's decoder on the first rows of the sparse tensors.

Run: python benchmarks/huffman.py [--symbols 8000000] [--repeats 9] [--peer PYTHON]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import zstandard
from bitarray import bitarray
from bitarray.util import canonical_decode, canonical_huffman
from nncodec_compare import Peer

from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import SharedTensor
from tersor.packer.encode import Encoded, encode
from tersor.runtime.decode.coded import CodedTensor, open_coded
from tersor.runtime.orders.workers import Workers

BITARRAY_SYMBOLS = 500_000

PEER_ROWS = 128
"""Rows that NNCodec codes and decodes: a whole tensor takes it minutes."""


def rate(work: Callable[[], object], count: int, repeats: int, clock: Callable[[], float] = time.thread_time) -> str:
    """Millions of items a second: the median of ``repeats`` runs, and the best."""
    work()
    seconds = []
    for _ in range(repeats):
        begin = clock()
        work()
        seconds.append(clock() - begin)
    return f"{count / median(seconds) / 1e6:7.0f} M/s (best {count / min(seconds) / 1e6:.0f})"


def opened(tensor: SharedTensor, encoded: Encoded) -> CodedTensor:
    """The payload, ready to decode."""
    record = TensorRecord("w", tensor.dtype, tensor.shape, tensor.row_axes, encoded.codec)
    return open_coded(record, encoded.payload, DEFAULT_LIMITS)


def levels(name: str, probability: np.ndarray, count: int, repeats: int) -> None:
    """Symbols alone: a tensor that leaves nothing out."""
    k = len(probability)
    rng = np.random.default_rng(0)
    symbols = rng.choice(k, count // 1000 * 1000, p=probability / probability.sum()).astype(np.uint8)
    codebook = np.arange(1, k + 1, dtype=np.float32)
    tensor = SharedTensor(codebook.dtype, (1000, count // 1000), (0,), "rows", None, None, symbols, codebook)
    encoded = encode(tensor)
    coded = opened(tensor, encoded)
    decoded = coded.decode()  # its codebook is without the levels that were not drawn
    assert np.array_equal(decoded.codebook[decoded.codes], codebook[symbols])
    packed = zstandard.ZstdCompressor(level=1).compress(symbols.tobytes())
    entropy = -float(np.sum(probability / probability.sum() * np.log2(probability / probability.sum())))
    print(f"{name}: entropy {entropy:.3f}, tersor {8 * len(encoded.payload) / len(symbols):.3f}, ", end="")
    print(f"zstd -1 {8 * len(packed) / len(symbols):.3f} bits a symbol")
    print(f"  tersor decode   {rate(coded.decode, len(symbols), repeats)}")
    print(f"  zstd -1 decode  {rate(lambda: zstandard.ZstdDecompressor().decompress(packed), len(symbols), repeats)}")
    print(f"  bitarray decode {bitarray_rate(symbols[:BITARRAY_SYMBOLS])}")
    print(f"  tersor encode   {rate(lambda: encode(tensor), len(symbols), repeats)}")
    print(f"  zstd -1 encode  {rate(lambda: zstandard.ZstdCompressor(level=1).compress(symbols.data), len(symbols), repeats)}")


def bitarray_rate(symbols: np.ndarray) -> str:
    """bitarray's canonical decoder."""
    code, count, order = canonical_huffman({s: int(n) for s, n in enumerate(np.bincount(symbols)) if n})
    bits = bitarray(endian="big")
    bits.encode(code, symbols.tolist())
    return rate(lambda: list(canonical_decode(bits, count, order)), len(symbols), 3)


def peer_rate(tensor: SharedTensor, python: str, repeats: int) -> str:
    """NNCodec's decoder on the levels of the first rows, in nonzeros a second."""
    assert tensor.starts is not None
    assert tensor.minors is not None
    count = int(tensor.starts[PEER_ROWS])
    rows = np.repeat(np.arange(PEER_ROWS), np.diff(tensor.starts[: PEER_ROWS + 1]))
    middle = len(tensor.codebook) // 2
    codes = tensor.codes[:count].astype(np.int32)
    levels = np.zeros((PEER_ROWS, tensor.minor_length), np.int32)
    levels[rows, tensor.minors[:count]] = np.where(codes < middle, codes - middle, codes - middle + 1)
    with Peer(python) as peer:
        peer.encode(levels)
        return f"{count / min(peer.decode() for _ in range(repeats)) / 1e6:7.1f} M/s"


def sparse(density: float, count: int, repeats: int, peer: str | None) -> None:
    """A whole pruned tensor: gaps and codes to starts, minors and codes."""
    rng = np.random.default_rng(1)
    rows, columns = 4096, max(1, int(count / density / 4096))
    mask = rng.random((rows, columns), np.float32) < density
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    minors = np.nonzero(mask)[1].astype(np.uint32)
    codes = np.clip(rng.normal(0, 5, len(minors)).round() + 16, 0, 31).astype(np.uint8)
    codebook = np.linspace(-1, 1.1, 32).astype(np.float32)
    tensor = SharedTensor(codebook.dtype, (rows, columns), (0,), "rows", starts, minors, codes, codebook)
    encoded = encode(tensor)
    coded = opened(tensor, encoded)
    bits = 8 * len(encoded.payload) / len(codes)
    print(f"sparse, density {density:.0%}, {len(codes):,} nonzeros, {coded.block_count} blocks: {bits:.3f} bits a nonzero")
    print(f"  decode           {rate(coded.decode, len(codes), repeats)}")
    print(f"  decode, elapsed  {rate(coded.decode, len(codes), repeats, time.perf_counter)}")
    workers = Workers(2)
    print(f"  decode 2 threads {rate(lambda: coded.decode(workers), len(codes), repeats, time.perf_counter)}")
    workers.close()
    print(f"  encode           {rate(lambda: encode(tensor), len(codes), repeats)}")
    if peer:
        print(f"  NNCodec decode   {peer_rate(tensor, peer, 3)}")


def main() -> None:
    """Print every rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=8_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--peer", help="interpreter of an environment with NNCodec")
    options = parser.parse_args()
    levels("32 levels", 2.0 ** (-np.abs(np.arange(32) - 16) / 4), options.symbols, options.repeats)
    levels("256 levels", np.exp(-0.5 * ((np.arange(256) - 128) / 22) ** 2), options.symbols, options.repeats)
    for density in (0.09, 0.25):
        sparse(density, options.symbols // 2, options.repeats, options.peer)


if __name__ == "__main__":
    main()
