"""Bytes and decoding speed beside NNCodec's DeepCABAC, tensor by tensor, on the same integers.

    python benchmarks/nncodec_compare.py --peer PYTHON net.onnx other.onnx
    python benchmarks/nncodec_compare.py --peer PYTHON --gaussians --profiles compact

``PYTHON`` is the interpreter of an environment of its own: ``pip install nncodec==2.1.3 'numpy<2'`` (it builds C++). A group
is one model at one density, or Gaussians at one density. NNCodec is given its best of several unary lengths and of row
skipping, and 5 bytes of side information a tensor (step, unary length); Tersor's payload is counted whole, codebook and all.
All decode on one core, in turns, so that other work on the machine slows all; of ``--repeats`` turns the best counts, in
processor time.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from rich.console import Console
from rich.table import Table

from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import SharedTensor
from tersor.packer.encode import encode
from tersor.runtime.decode import decode

DENSITIES = ((1.0, 6), (0.5, 5), (0.25, 5), (0.1, 4))
"""Density and bits of each group of a model."""

GAUSSIAN_DENSITIES = (0.03, 0.09, 0.25, 0.37, 0.84)
GAUSSIAN_BITS = 5
GAUSSIAN_SHAPE = (1024, 1024)

SMALLEST = 2000
"""Weights of the smallest tensor that counts."""

SIDE_BYTES = 5

PEER = """
import pickle, sys, time
import numpy as np
from nncodec.extensions import deepCABAC

OFF = (deepCABAC.HdspMode.AlwaysOff, np.zeros(0, np.int8))

def encode(q, unary, profile):
    coder = deepCABAC.Encoder()
    coder.initCtxModels(unary, 1)
    skipped = (~q.any(axis=1)).astype(np.int32) if profile else np.zeros(len(q), np.int32)
    coder.encodeLayer(q, 0, 0, profile, 0, profile, skipped, *OFF, 0, 0)
    return coder.finish()

def decode(data, shape, unary, profile):
    coder = deepCABAC.Decoder()
    coder.setStream(data)
    coder.initCtxModels(unary)
    found = np.zeros(shape, np.int32)
    begin = time.process_time()
    coder.decodeLayer(found, 0, 0, profile, 0, *OFF, 0, 0)
    return found, time.process_time() - begin

answers = sys.stdout.buffer
sys.stdout = sys.stderr
while True:
    asked = pickle.load(sys.stdin.buffer)
    if asked is not None:
        q = asked
        lengths = [u for u in (1, 2, 3, 5, 8, 11, 16, 24, 32) if u <= abs(q).max() + 1]
        coded = [(encode(q, u, p), q.shape, u, p) for u in lengths for p in (0, 1)]
        smallest = min(coded, key=lambda c: len(c[0]))
        answer = len(smallest[0])
    else:
        found, answer = decode(*smallest)
        assert (found == q).all()
    pickle.dump(answer, answers)
    answers.flush()
"""


class Peer:
    """NNCodec in an interpreter of its own: give it a tensor, then let it decode that as often as wanted."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen([python, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def encode(self, q: np.ndarray) -> int:
        """Bytes of the levels, of any shape whose first axis is the rows."""
        return self._ask(np.ascontiguousarray(q.reshape(len(q), -1)))

    def decode(self) -> float:
        """Seconds that the tensor encoded last takes."""
        return self._ask(None)

    def _ask(self, question: np.ndarray | None) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(question, self._process.stdin, protocol=4)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)


@dataclass(frozen=True)
class Group:
    """Tensors that are counted together; ``levels`` of each in its shape."""

    name: str
    is_trained: bool
    levels: list[np.ndarray]


@dataclass(frozen=True)
class Score:
    """Bytes and seconds of decoding of a group."""

    size: int
    seconds: float


def levels(a: np.ndarray, density: float, bits: int) -> np.ndarray:
    """Prune by magnitude and share linearly; int32 in the shape of ``a``."""
    threshold = np.quantile(np.abs(a), 1 - density) if density < 1 else 0
    kept = np.abs(a) > threshold if density < 1 else a != 0
    step = np.abs(a).max() / 2 ** (bits - 1)
    q = np.where(kept, np.sign(a) * np.maximum(np.round(np.abs(a) / step), 1 if density < 1 else 0), 0)
    return q.astype(np.int32)


def weights(path: Path) -> list[np.ndarray]:
    """Float weights of rank 2 and more, initializers and constants."""
    graph = onnx.load(path).graph
    tensors = [
        *graph.initializer,
        *(a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"),
    ]
    arrays = (numpy_helper.to_array(tensor) for tensor in tensors)
    return [a for a in arrays if a.dtype == np.float32 and a.ndim >= 2 and a.size >= SMALLEST]


def groups(paths: list[Path], gaussians: bool) -> Iterator[Group]:
    """What is compared."""
    for path in paths:
        arrays = weights(path)
        for density, bits in DENSITIES:
            yield Group(f"{path.stem} {density:.0%}", True, [levels(a, density, bits) for a in arrays])
    if gaussians:
        drawn = np.random.default_rng(0).standard_normal(GAUSSIAN_SHAPE).astype(np.float32)
        for density in GAUSSIAN_DENSITIES:
            yield Group(f"Gaussian {density:.0%}", False, [levels(drawn, density, GAUSSIAN_BITS)])


def shared(q: np.ndarray) -> SharedTensor:
    """The tensor that a recipe would make: the levels times a step."""
    values, codes = np.unique(q, return_inverse=True)
    codebook = values.astype(np.float32) * np.float32(0.01) + np.float32(0)
    kind = np.uint8 if len(values) <= 256 else np.uint16
    return SharedTensor(codebook.dtype, q.shape, (0,), "rows", None, None, codes.reshape(-1).astype(kind), codebook)


def compare(group: Group, profiles: list[str], peer: Peer, repeats: int) -> list[Score]:
    """NNCodec's score, then one for each profile: a tensor is encoded by all, then decoded by all in turns."""
    sizes, seconds = np.zeros(1 + len(profiles), np.int64), np.zeros(1 + len(profiles))
    for q in group.levels:
        tensor = shared(q)
        encoded = [encode(tensor, profile) for profile in profiles]
        records = [TensorRecord("w", tensor.dtype, tensor.shape, tensor.row_axes, e.codec) for e in encoded]
        for record, ours in zip(records, encoded, strict=True):
            if decode(record, ours.payload, DEFAULT_LIMITS).dense().tobytes() != tensor.dense().tobytes():
                raise AssertionError(f"{group.name}: a tensor came back different")
        sizes += peer.encode(q) + SIDE_BYTES, *(len(ours.payload) for ours in encoded)
        turns = []
        for _ in range(repeats):
            own = (decoding_seconds(record, ours.payload) for record, ours in zip(records, encoded, strict=True))
            turns.append((peer.decode(), *own))
        seconds += np.min(turns, axis=0)
    return [Score(size, total) for size, total in zip(sizes.tolist(), seconds.tolist(), strict=True)]


def decoding_seconds(record: TensorRecord, payload: bytes) -> float:
    """Processor time of decoding once."""
    begin = time.process_time()
    decode(record, payload, DEFAULT_LIMITS)
    return time.process_time() - begin


def print_means(ratios: dict[str, list[float]]) -> None:
    """Geometric mean and worst of the groups of trained weights, for each profile."""
    for profile, found in ratios.items():
        if found:
            mean = exp(sum(map(log, found)) / len(found))
            print(f"{profile}, trained weights: geometric mean {mean:.4f}, worst {max(found):.4f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, help="ONNX files")
    parser.add_argument("--peer", required=True, help="interpreter of the environment with NNCodec")
    parser.add_argument("--profiles", nargs="+", default=["max", "compact"], choices=["max", "compact", "paper"])
    parser.add_argument("--gaussians", action="store_true", help="also independent pruned Gaussians")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    table = Table("group", "weights", "coder", "bytes", "bytes over NNCodec's", "Mweight/s", "speed over NNCodec's")
    ratios: dict[str, list[float]] = {profile: [] for profile in arguments.profiles}
    with Peer(arguments.peer) as peer:
        for group in groups(arguments.models, arguments.gaussians):
            scores = compare(group, arguments.profiles, peer, arguments.repeats)
            count, theirs = sum(q.size for q in group.levels), scores[0]
            for coder, score in zip(("NNCodec", *arguments.profiles), scores, strict=True):
                ratio, speed = score.size / theirs.size, theirs.seconds / score.seconds
                rate = f"{count / score.seconds / 1e6:.1f}"
                table.add_row(group.name, f"{count:,}", coder, f"{score.size:,}", f"{ratio:.4f}", rate, f"{speed:.2f}")
                print(
                    f"{group.name}, {coder}: {score.size:,} bytes, {ratio:.4f}; speed {speed:.2f}", file=sys.stderr, flush=True
                )
            for profile, score in zip(arguments.profiles, scores[1:], strict=True):
                ratios[profile] += [score.size / theirs.size] if group.is_trained else []
    Console(width=140).print(table)
    print_means(ratios)


if __name__ == "__main__":
    main()
