"""Inputs for a model: their shapes, random ones, arrays from .npy and .npz files, images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import click
import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from ..format_spec.errors import ConversionError, InputError, LimitError, PlanError
from ..format_spec.graph import Value
from ..format_spec.limits import DEFAULT_LIMITS, Limits
from ..format_spec.printable import printable
from ._output import require
from ._types import Sizes

ZIP_MAGIC = b"PK"
"""What the file of several arrays begins with."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes an input: ``(pixel / scale - mean) / std`` per channel, channels RGB, or BGR with ``bgr``. The scale
    is 255 unless it is given, and 1 for an input of integers."""

    scale: float | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False

    def apply(self, pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """(H, W, C) uint8 to (C, H, W), numbers of a model's input.

        Raises:
            InputError: --mean or --std have other channels, or integers cannot hold what comes of them.
        """
        x, whole = pixels[..., ::-1] if self.bgr else pixels, dtype.kind in "iu"
        scale = np.float32(self.scale or (1 if whole else 255))
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, x.shape[-1]):
                raise InputError(f"--{name} has {len(values)} values; the image has {x.shape[-1]} channels")
        made = ((x.astype(np.float32) / scale - mean) / std).transpose(2, 0, 1)
        with np.errstate(invalid="ignore"):
            held = np.ascontiguousarray(made.astype(dtype))
        if whole and not np.array_equal(held, made):
            raise InputError(f"the image's pixels, by --scale, --mean and --std, become no {dtype.name} integers")
        return held


NAMELESS = None, "", "?"
"""What stands for a dimension without a symbol: exporters of Paddle call every one of them by the last."""


def open_dimensions(values: Sequence[Value]) -> list[str]:
    """The dimensions of a model's inputs that have no size, each once: by its symbol, or as ``x[1]`` where it has none."""
    return list(dict.fromkeys(d for value in values for d in _named(value) if isinstance(d, str)))


def _named(value: Value) -> tuple[int | str, ...]:
    """The shape of an input, with names for the dimensions that have no size."""
    own = enumerate(value.type.shape or ())
    return tuple(f"{value.name}[{axis}]" if d in NAMELESS else d for axis, d in own)


def chosen_sizes(file: Path, values: Sequence[Value], given: Sizes, batch: int = 1) -> dict[str, int]:
    """The size of every open dimension of the inputs of ``file``: what is ``given``, else ``batch``.

    Raises:
        click.UsageError: a dimension is given twice, or is none of these; or there is none for a batch of several.
    """
    known, sizes = open_dimensions(values), dict(given)
    if batch > 1 and not known:
        raise click.UsageError(f"--batch {batch}: no input of {file} has a size that is left open")
    if len(sizes) < len(given):
        raise click.UsageError("--size says the same dimension twice")
    for name in sizes:
        if name not in known:
            there = ", ".join(map(printable, known)) or "none"
            raise click.UsageError(f"{file} has no open dimension {name!r}; it has {there}")
    return dict.fromkeys(known, batch) | sizes


@contextmanager
def naming_sizes(sizes: Mapping[str, int]) -> Iterator[None]:
    """Errors of plans end with the sizes that open dimensions were given, which may be why there is no plan."""
    try:
        yield
    except PlanError as error:
        if sizes:
            told = ", ".join(f"{printable(name)}={size}" for name, size in sizes.items())
            error.args = (f"{error} (with {told}; --size gives other sizes)",)
        raise


def input_shapes(
    values: Sequence[Value], sizes: Mapping[str, int] | None = None, limits: Limits = DEFAULT_LIMITS
) -> dict[str, tuple[int, ...]]:
    """A shape for each input; open dimensions from ``sizes``, others 1.

    Raises:
        InputError: the rank of an input is not known.
        LimitError: an input would hold more than a step of the model may compute.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for value in values:
        if value.type.shape is None:
            raise InputError(f"input {value.name!r} has no known rank: give it as an array")
        shape = tuple(d if isinstance(d, int) else (sizes or {}).get(d, 1) for d in _named(value))
        size = prod(shape) * np.dtype(value.type.dtype).itemsize
        if size > limits.activation_bytes:
            raise LimitError(
                f"input {value.name!r} of shape {list(shape)} would take {size:,} bytes; the limit is "
                f"{limits.activation_bytes:,} (Limits.activation_bytes): ask for smaller sizes"
            )
        shapes[value.name] = shape
    return shapes


def random_inputs(
    values: Sequence[Value], seed: int, sizes: Mapping[str, int] | None = None, limits: Limits = DEFAULT_LIMITS
) -> dict[str, np.ndarray]:
    """Standard normal arrays (0 or 1 for integers) of the :func:`input_shapes`."""
    rng = np.random.default_rng(seed)
    shapes = input_shapes(values, sizes, limits)
    return {value.name: _random(rng, shapes[value.name], np.dtype(value.type.dtype)) for value in values}


def _random(rng: np.random.Generator, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    return (rng.standard_normal(shape) if kind.kind == "f" else rng.integers(0, 2, shape)).astype(kind)


def is_image(path: Path) -> bool:
    """Whether the name is a picture's."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_inputs(
    values: Sequence[Value], files: Sequence[tuple[str | None, Path]], preprocessing: Preprocessing
) -> dict[str, np.ndarray]:
    """Arrays for a model's inputs from ``(input name or None, path)`` pairs.

    A ``.npz`` whose arrays carry the inputs' names gives several at once; several images for one input become a batch.

    Raises:
        InputError: a file does not fit, an input is missing, or a name is unknown.
    """
    by_name = {value.name: value for value in values}
    parts: dict[str, list[_Part]] = {}
    for name, path in files:
        if name is not None and name not in by_name:
            raise InputError(f"the model has no input {name!r}; it has {', '.join(map(repr, by_name))}")
        if path.suffix.lower() == ".npz":
            for key, array in _read_npz(path, name, list(by_name)).items():
                parts.setdefault(key, []).append(_Part(path, array))
            continue
        target = by_name[name] if name is not None else _only_input(values, parts)
        array = _read_image(path, target, preprocessing) if is_image(path) else _read_npy(path)
        parts.setdefault(target.name, []).append(_Part(path, array))
    missing = [name for name in by_name if name not in parts]
    if missing:
        raise InputError(f"no file for input {missing[0]!r}: {by_name[missing[0]].type}")
    return {name: _batch(name, found) for name, found in parts.items()}


@dataclass(frozen=True, eq=False)
class _Part:
    """What one file holds of an input."""

    path: Path
    array: np.ndarray

    def __str__(self) -> str:
        return f"{self.path} holds {self.array.dtype.name}{list(self.array.shape)}"


def _batch(name: str, parts: Sequence[_Part]) -> np.ndarray:
    """The arrays of one input, one after another along their first axis."""
    first = parts[0]
    if len(parts) == 1:
        return first.array
    for part in parts:
        fits = part.array.ndim and part.array.shape[1:] == first.array.shape[1:] and part.array.dtype == first.array.dtype
        if not fits:
            raise InputError(f"files for input {name!r} do not make one batch: {first}, {part}")
    return np.concatenate([part.array for part in parts])


def _native(array: np.ndarray) -> np.ndarray:
    """``array`` in this machine's byte order, as the model takes it: the same values."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _only_input(values: Sequence[Value], parts: Mapping[str, object]) -> Value:
    """The input that a file without a name is for."""
    if len(values) == 1:
        return values[0]
    free = [value for value in values if value.name not in parts]
    if not free:
        raise InputError("more files than inputs: name them, as in --input NAME=FILE")
    return free[0]


def _read_npy(path: Path) -> np.ndarray:
    from ..converters.damage import damage_told

    with path.open("rb") as file:
        begin = file.read(len(MAGIC_PREFIX))
    if begin and not begin.startswith((MAGIC_PREFIX, ZIP_MAGIC)):  # numpy would take it for what it should never load
        raise InputError(f"{path}: neither an array (.npy, .npz) nor a picture ({', '.join(sorted(IMAGE_SUFFIXES))})")
    try:
        with damage_told(str(path), "a numpy array"):
            found = np.load(path, allow_pickle=False)
    except ConversionError as error:
        raise InputError(str(error)) from None
    if not isinstance(found, np.ndarray):
        raise InputError(f"{path}: an archive of arrays; its name must end in .npz")
    return _native(found)


def _read_npz(path: Path, name: str | None, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of ``path`` that are inputs; its only array when the input is named, or is the only one."""
    import zipfile

    from ..converters.damage import damage_told

    try:
        with path.open("rb") as file:  # of a path, is_zipfile says no also when it cannot be opened
            if not zipfile.is_zipfile(file):
                raise InputError(f"{path}: not an archive of arrays, although its name ends in .npz")
            file.seek(0)
            with damage_told(str(path), "an archive of numpy arrays"), np.load(file, allow_pickle=False) as archive:
                arrays = {key: _native(archive[key]) for key in archive.files}
    except ConversionError as error:
        raise InputError(str(error)) from None
    if name is None:
        found = {key: arrays[key] for key in names if key in arrays}
        if found:
            return found
        name = names[0] if len(names) == 1 else None
    if name is None or len(arrays) != 1:
        held = f"the arrays {', '.join(arrays)}" if arrays else "no arrays"
        raise InputError(f"{path} has {held}; the model's inputs are {', '.join(names)}")
    return {name: next(iter(arrays.values()))}


def _read_image(path: Path, value: Value, preprocessing: Preprocessing) -> np.ndarray:
    """A picture, turned as its camera was held, resized (bilinear) to the input's height and width: (1, C, H, W), or (1, H, W,
    C) when channels come last."""
    pillow, transposed = require("PIL.Image", "images"), require("PIL.ImageOps", "images").exif_transpose
    shape = value.type.shape
    if shape is None or len(shape) != 4:
        raise InputError(f"{path}: an image needs four dimensions, input {value.name!r} is {value.type}")
    last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    channels, height, width = (shape[3], shape[1], shape[2]) if last else (shape[1], shape[2], shape[3])
    if channels not in (1, 3):
        raise InputError(
            f"{path}: only grey (1) and colour (3) images can be read, input {value.name!r} has {channels} channels"
        )
    try:
        with pillow.open(path) as picture:
            if picture.mode[0] in "IF":  # Pillow would clip them
                raise InputError(f"{path}: pixels of more than 8 bits (Pillow's mode {picture.mode}): convert them to 8 bits")
            picture = transposed(picture).convert("L" if channels == 1 else "RGB")
            size = (width if isinstance(width, int) else picture.width, height if isinstance(height, int) else picture.height)
            pixels = np.asarray(picture if picture.size == size else picture.resize(size, pillow.Resampling.BILINEAR))
    except pillow.UnidentifiedImageError:
        raise InputError(f"{path}: not an image that can be read") from None
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:  # what decoders raise for damage
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise InputError(f"{path}: not an image that can be read ({error})") from None
    x = preprocessing.apply(pixels.reshape(*pixels.shape[:2], channels), np.dtype(value.type.dtype))
    return np.ascontiguousarray((x.transpose(1, 2, 0) if last else x)[None])
