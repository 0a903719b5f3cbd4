"""Inputs for a model: random ones, arrays from .npy and .npz files, images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..format_spec.errors import InputError
from ..format_spec.graph import Value
from ._output import require

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes an input: ``(pixel / scale - mean) / std`` per channel, channels RGB, or BGR with ``bgr``."""

    scale: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, C) uint8 to (C, H, W) float32."""
        x = pixels[..., ::-1] if self.bgr else pixels
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, x.shape[-1]):
                raise InputError(f"--{name} has {len(values)} values; the image has {x.shape[-1]} channels")
        return np.ascontiguousarray(((x.astype(np.float32) / np.float32(self.scale) - mean) / std).transpose(2, 0, 1))


def random_inputs(values: Sequence[Value], seed: int, sizes: Mapping[str, int] | None = None) -> dict[str, np.ndarray]:
    """Standard normal arrays (0 or 1 for integers) for each input; symbolic dimensions from ``sizes``, others 1."""
    rng = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}
    for value in values:
        if value.type.shape is None:
            raise InputError(f"input {value.name!r} has no known rank: give it as an array")
        shape = [d if isinstance(d, int) else (sizes or {}).get(d or "", 1) for d in value.type.shape]
        kind = np.dtype(value.type.dtype)
        array = rng.standard_normal(shape) if kind.kind == "f" else rng.integers(0, 2, shape)
        made[value.name] = array.astype(kind)
    return made


def read_inputs(
    values: Sequence[Value], files: Sequence[tuple[str | None, Path]], preprocessing: Preprocessing
) -> dict[str, np.ndarray]:
    """Arrays for a model's inputs from ``(input name or None, path)`` pairs.

    A ``.npz`` whose arrays carry the inputs' names gives several at once; several images for one input become a batch.

    Raises:
        InputError: a file does not fit, an input is missing, or a name is unknown.
    """
    by_name = {value.name: value for value in values}
    parts: dict[str, list[np.ndarray]] = {}
    for name, path in files:
        if name is not None and name not in by_name:
            raise InputError(f"the model has no input {name!r}; it has {', '.join(map(repr, by_name))}")
        if path.suffix.lower() == ".npz":
            for key, array in _read_npz(path, name, list(by_name)).items():
                parts.setdefault(key, []).append(array)
            continue
        target = by_name[name] if name is not None else _only_input(values, parts)
        image = path.suffix.lower() in IMAGE_SUFFIXES
        parts.setdefault(target.name, []).append(_read_image(path, target, preprocessing) if image else _read_npy(path))
    missing = [name for name in by_name if name not in parts]
    if missing:
        raise InputError(f"no file for input {missing[0]!r}: {by_name[missing[0]].type}")
    return {name: arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for name, arrays in parts.items()}


def _only_input(values: Sequence[Value], parts: Mapping[str, object]) -> Value:
    """The input that a file without a name is for."""
    if len(values) == 1:
        return values[0]
    free = [value for value in values if value.name not in parts]
    if not free:
        raise InputError("more files than inputs: name them, as in --input NAME=FILE")
    return free[0]


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy array ({error})") from None


def _read_npz(path: Path, name: str | None, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of ``path`` that are inputs; its only array when the input is named, or is the only one."""
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz archive ({error})") from None
    if name is None:
        found = {key: arrays[key] for key in names if key in arrays}
        if found:
            return found
        name = names[0] if len(names) == 1 else None
    if name is None or len(arrays) != 1:
        raise InputError(f"{path} has the arrays {', '.join(arrays)}; the model's inputs are {', '.join(names)}")
    return {name: next(iter(arrays.values()))}


def _read_image(path: Path, value: Value, preprocessing: Preprocessing) -> np.ndarray:
    """A picture resized (bilinear) to the input's height and width; (1, C, H, W), or (1, H, W, C) when channels come last."""
    pillow = require("PIL.Image", "images")
    shape = value.type.shape
    if shape is None or len(shape) != 4:
        raise InputError(f"input {value.name!r} is {value.type}: an image needs four dimensions")
    last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    channels, height, width = (shape[3], shape[1], shape[2]) if last else (shape[1], shape[2], shape[3])
    if channels not in (1, 3):
        raise InputError(f"input {value.name!r} has {channels} channels: only grey (1) and colour (3) images can be read")
    try:
        with pillow.open(path) as picture:
            picture = picture.convert("L" if channels == 1 else "RGB")
            size = (width if isinstance(width, int) else picture.width, height if isinstance(height, int) else picture.height)
            pixels = np.asarray(picture if picture.size == size else picture.resize(size, pillow.Resampling.BILINEAR))
    except pillow.UnidentifiedImageError:
        raise InputError(f"{path}: not an image that can be read") from None
    x = preprocessing.apply(pixels.reshape(*pixels.shape[:2], channels))
    x = x.transpose(1, 2, 0) if last else x
    return np.ascontiguousarray(x[None]).astype(value.type.dtype)
