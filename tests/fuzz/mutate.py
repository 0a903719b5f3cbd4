"""Changing bytes blindly, and changing what is inside a file while every checksum around it stays right."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

import zstandard

from tersor.format_spec.container import MANIFEST, POOL, TENSOR, Container
from tersor.format_spec.errors import TersorError
from tersor.format_spec.limits import DEFAULT_LIMITS

from ..golden.writing import Parts, container

INTERESTING = (0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 63, 64, 127, 128, 129, 192, 254, 255)
LONG_INTEGERS = tuple(
    bytes([*([byte | 128] * length), last]) for length in (1, 2, 3, 4, 7, 8, 9) for byte, last in ((0, 1), (127, 1), (127, 127))
)
"""LEB128 integers around powers of two."""


def mutate(data: bytes, random: Random, *, most: int = 4, other: bytes = b"") -> bytes:
    """``data`` changed in one to ``most`` places: bits, bytes, integers, insertions, deletions, parts of ``other``.

    Half of the results are as long as ``data``: what follows a length is reached only where the length stays right.
    """
    out = bytearray(data)
    actions = random.choice((5, 9))
    for _ in range(random.randint(1, most)):
        place = random.randrange(len(out) + 1) if random.random() < 0.5 else random.randrange(min(len(out), 48) + 1)
        action = random.randrange(actions)
        if action < 2 and place < len(out):
            out[place] ^= 1 << random.randrange(8)
        elif action < 4 and place < len(out):
            out[place] = random.choice(INTERESTING)
        elif action == 4 and place < len(out):
            out[place] = (out[place] + random.choice((-1, 1))) & 255
        elif action == 5:
            out[place : place + random.randrange(2)] = random.choice(LONG_INTEGERS)
        elif action == 6:
            del out[place : place + random.choice((1, 1, 2, 4, 16, 64))]
        elif action == 7:
            source = other or data
            start = random.randrange(len(source) + 1)
            out[place : place + random.randrange(5)] = source[start : start + random.choice((1, 2, 4, 8, 32))]
        else:
            out[place:place] = bytes([random.randrange(256)]) * random.choice((1, 1, 2, 3, 8))
    return bytes(out)


def take_apart(data: bytes) -> Parts | None:
    """The parts of a sound container, its manifest not compressed where that can be undone; else ``None``."""
    try:
        opened = Container(memoryview(data), DEFAULT_LIMITS)
        found = [(s.kind, bytes(opened.section(i))) for i, s in enumerate(opened.sections)]
    except TersorError:
        return None
    manifest = next(payload for kind, payload in found if kind == MANIFEST)
    if manifest[:1] == b"\1":
        with suppress(zstandard.ZstdError):
            manifest = b"\0" + zstandard.ZstdDecompressor().decompress(manifest[1:], max_output_size=1 << 20)
    pool = b"".join(payload for kind, payload in found if kind == POOL)
    return Parts(tuple(payload for kind, payload in found if kind == TENSOR), pool, manifest)


def mutate_inside(data: bytes, random: Random, other: bytes = b"") -> bytes:
    """Change one part of a file and put it together again; what is no sound container is changed blindly."""
    parts = take_apart(data)
    if parts is None:
        return mutate(data, random, other=other)
    choice = random.randrange(12)
    if choice < 5:
        parts = replace(parts, manifest=mutate(parts.manifest, random, other=other))
    elif choice == 5:
        frame = zstandard.ZstdCompressor(level=1).compress(mutate(parts.manifest[1:], random, other=other))
        parts = replace(parts, manifest=b"\1" + (mutate(frame, random, most=1) if random.random() < 0.3 else frame))
    elif choice < 11 and parts.sections and random.random() < 0.5:
        index = random.randrange(len(parts.sections))
        changed = mutate(parts.sections[index], random, other=other)
        parts = replace(parts, sections=(*parts.sections[:index], changed, *parts.sections[index + 1 :]))
    elif choice < 11 and parts.pool:
        parts = replace(parts, pool=mutate(parts.pool, random, other=other))
    else:
        return _mutate_layout(parts, random)
    return parts.build()


def _mutate_layout(parts: Parts, random: Random) -> bytes:
    """Sections left out, doubled, swapped, of other kinds, or only blind changes to header and table."""
    sections = [(POOL, parts.pool), (MANIFEST, parts.manifest)]
    action = random.randrange(5)
    if action == 0:
        sections.pop(random.randrange(2))
    elif action == 1:
        sections.insert(random.randrange(3), random.choice(sections))
    elif action == 2:
        sections.reverse()
    elif action == 3:
        index = random.randrange(2)
        sections[index] = (random.randrange(5), sections[index][1])
    else:
        return mutate(container(sections), random)
    return container(sections)
