"""Fuzz the jitted decoding kernels from jitted code: ``python -m tests.fuzz.kernels --seconds 60 --state kernels.json``.

Each payload of the goldens is opened once and the arguments of its kernels are kept, every array among them moved to guarded
memory. Then a loop without Python in it changes one to three bytes of what the kernel reads, calls it and puts them back,
hundreds of thousands of times a second. A kernel that leaves its arrays ends the process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numba import njit

from tersor.format_spec.coding import CodecId
from tersor.format_spec.records import TensorRecord
from tersor.runtime import decode as decoders
from tersor.runtime.decode import _entries, _tables, coded, grouped, mixed, planes

from .guard import guarded, guarded_copy
from .targets import LIMITS, outcome, read_input, seeds

GOLDEN = Path(__file__).parents[1] / "golden"
KERNELS: tuple[tuple[ModuleType, str, int, int], ...] = (
    (coded, "decode_blocks", 0, 1),
    (coded, "decode_paper", 0, 1),
    (grouped, "decode_grouped", 0, 1),
    (mixed, "code_block", 11, 0),
    (planes, "decode_planes", 0, 1),
    (_entries, "read_entries", 0, 1),
    (_tables, "read_code_lengths", 0, 1),
)
"""Modules, the kernels that they call, which argument is the data, and which of two results is the status."""

ENTRY_BYTES = 64
"""Bytes from the start of an entry table, or of a Huffman table, that are changed."""

BATCH = 200
"""Calls of a kernel between two looks at the clock."""


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel and its arguments. ``data`` is what it reads, writeable; bytes ``low`` to ``high`` of it are changed."""

    name: str
    kernel: Any
    arguments: tuple[Any, ...]
    data: np.ndarray
    low: int
    high: int
    status: int


@njit(nogil=True)
def drive(kernel: Any, arguments: Any, data: Any, low: int, high: int, status: int, count: int, seed: int) -> int:
    """Call ``kernel`` ``count`` times on changed data; returns how often its status was 0."""
    state, fine, span = np.uint64(seed), 0, np.uint64(high - low)
    places, kept = np.zeros(3, np.int64), np.zeros(3, np.uint8)
    for _ in range(count):
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        changes = 1 + np.int64(state >> np.uint64(62)) % 3
        for i in range(changes):
            noise = state * np.uint64(0x9E3779B97F4A7C15 + 2 * i)
            places[i] = low + np.int64((noise >> np.uint64(24)) % span)
            kept[i] = data[places[i]]
            if noise & np.uint64(1):
                data[places[i]] ^= np.uint8(1) << np.uint8((noise >> np.uint64(8)) & np.uint64(7))
            else:
                data[places[i]] = np.uint8((noise >> np.uint64(8)) & np.uint64(255))
        result = kernel(*arguments)
        fine += result[status] == 0
        for i in range(changes - 1, -1, -1):
            data[places[i]] = kept[i]
    return fine


@contextmanager
def recording(calls: list[tuple[str, Any, tuple[Any, ...], int, int]]) -> Iterator[None]:
    """Note the arguments of every kernel of :data:`KERNELS` that is called."""
    originals = [(module, name, getattr(module, name)) for module, name, _, _ in KERNELS]

    def recorder(name: str, kernel: Any, place: int, status: int) -> Any:
        def call(*arguments: Any) -> Any:
            calls.append((name, kernel, arguments, place, status))
            return kernel(*arguments)

        vars(call)["once"] = lambda: call
        return call

    for module, name, place, status in KERNELS:
        vars(module)[name] = recorder(name, getattr(module, name), place, status)
    try:
        yield
    finally:
        for module, name, kernel in originals:
            vars(module)[name] = kernel


def span(name: str, arguments: tuple[Any, ...], size: int) -> tuple[int, int]:
    """The bytes of the payload that a kernel reads, and that are changed."""
    if name in ("read_entries", "read_code_lengths"):
        return arguments[1], min(arguments[1] + ENTRY_BYTES, size)
    return (arguments[13], arguments[14]) if name == "code_block" else (int(arguments[1][0]), size)


def calls_of(record: TensorRecord, payload: bytes) -> Iterator[Call]:
    """The kernel calls that decoding one payload makes, in guarded memory."""
    found: list[tuple[str, Any, tuple[Any, ...], int, int]] = []
    with recording(found):
        decoders.decode(record, payload, LIMITS)
    for name, kernel, arguments, place, status in found:
        data = guarded(len(payload), np.uint8)
        data[:] = np.frombuffer(payload, np.uint8)
        read_only = data.view()
        read_only.flags.writeable = False
        copies = [guarded_copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
        copies[place] = read_only
        low, high = span(name, arguments, len(payload))
        if low < high:
            yield Call(name, kernel, tuple(copies), data, low, high, status)


def all_calls() -> list[Call]:
    """One call for each kernel and valid payload."""
    made = []
    for codec in (CodecId.PAPER, CodecId.SHARED, CodecId.SPARSE, CodecId.MIXED, CodecId.GROUPED, CodecId.PLANES):
        for data in dict.fromkeys(seeds(f"codec-{codec}", GOLDEN)):
            found = read_input(codec, data)
            if found is not None and not isinstance(outcome(decoders.decode, *found), type):
                made.extend(calls_of(*found))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--turn", type=float, default=0.1, help="seconds of one kernel and payload before the next has its turn"
    )
    parser.add_argument("--state", type=Path, default=Path("fuzz-kernels.json"))
    options = parser.parse_args()
    calls, seed = all_calls(), options.seed
    counts = Counter(json.loads(options.state.read_text()) if options.state.exists() else {})
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        for call in calls:
            turn_end = time.monotonic() + options.turn
            while time.monotonic() < turn_end:
                seed += 1
                fine = drive(call.kernel, call.arguments, call.data, call.low, call.high, call.status, BATCH, seed)
                counts[call.name] += BATCH
                counts[f"{call.name}: status 0"] += fine
            if turn_end > end:
                break
        options.state.write_text(json.dumps(counts))


if __name__ == "__main__":
    main()
