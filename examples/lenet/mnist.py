"""MNIST and data sets in its format (Fashion-MNIST): IDX files, and what the networks here take. Needs numpy only."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

TRAIN_IMAGES = 50_000
"""Of the 60,000 training images the first so many train; the others choose."""


def read_idx(path: Path) -> np.ndarray:
    """A gzipped IDX file of unsigned bytes, in its own shape.

    Raises:
        ValueError: the file is not IDX, or its elements are not unsigned bytes.
    """
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes: it starts with {data[:4].hex()}")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) and labels (N,), uint8, of ``part`` (``train`` or ``t10k``)."""
    return read_idx(folder / f"{part}-images-idx3-ubyte.gz"), read_idx(folder / f"{part}-labels-idx1-ubyte.gz")


def preprocess(images: np.ndarray) -> np.ndarray:
    """What the networks take, float32 (N, 1, 28, 28), from uint8 images (N, 28, 28)."""
    return images[:, np.newaxis].astype(np.float32) / np.float32(255)
