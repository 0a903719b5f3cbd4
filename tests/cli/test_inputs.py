"""Arrays and images from files."""

from __future__ import annotations

import re
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from tersor.cli._inputs import Preprocessing, chosen_sizes, input_shapes, open_dimensions, random_inputs, read_inputs
from tersor.format_spec.errors import InputError, LimitError
from tersor.format_spec.graph import TensorType, Value
from tersor.format_spec.limits import Limits

X = Value("x", TensorType("float32", ("N", 1, 2, 2)))


def read(*files: Path) -> np.ndarray:
    return read_inputs([X], [(None, file) for file in files], Preprocessing())["x"]


def test_bytes_in_another_order_are_the_same_values(tmp_path: Path):
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    np.save(tmp_path / "x.npy", x.astype(">f4"))
    np.savez(tmp_path / "x.npz", x=x.astype(">f4"))
    for file in (tmp_path / "x.npy", tmp_path / "x.npz"):
        assert read(file).dtype.isnative
        np.testing.assert_array_equal(read(file), x)


@pytest.mark.parametrize("other", [np.zeros((1, 1, 2, 3), np.float32), np.zeros((1, 1, 2, 2)), np.zeros((), np.float32)])
def test_files_that_make_no_batch_are_named(tmp_path: Path, other: np.ndarray):
    np.save(tmp_path / "a.npy", np.zeros((1, 1, 2, 2), np.float32))
    np.save(tmp_path / "b.npy", other)
    with pytest.raises(InputError, match=r"do not make one batch: .*a\.npy holds float32.*b\.npy holds"):
        read(tmp_path / "a.npy", tmp_path / "b.npy")


def test_archives_are_what_their_names_say(tmp_path: Path):
    np.savez(tmp_path / "none.npz")
    np.save(tmp_path / "array.npy", np.zeros(1))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    (tmp_path / "archive.npy").write_bytes((tmp_path / "none.npz").read_bytes())
    for name, message in (("none.npz", "has no arrays"), ("array.npz", "not an archive"), ("archive.npy", "must end in .npz")):
        with pytest.raises(InputError, match=rf"{name}.*{message}"):
            read(tmp_path / name)


def test_a_broken_image_is_named(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    for name, length in (("cut.png", 500), ("none.png", 3)):
        (tmp_path / name).write_bytes((tmp_path / "whole.png").read_bytes()[:length])
        with pytest.raises(InputError, match=rf"{name}: not an image that can be read"):
            read(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing.png")


def test_shapes_need_no_memory_and_have_a_limit():
    assert input_shapes([X], {"N": 100_000_000}) == {"x": (100_000_000, 1, 2, 2)}
    with pytest.raises(LimitError, match="would take 32 bytes"):
        input_shapes([X], {"N": 2}, Limits(activation_bytes=16))
    with pytest.raises(LimitError):
        random_inputs([X], 0, {"N": 1 << 63})
    assert random_inputs([X], 0, {"N": 3})["x"].shape == (3, 1, 2, 2)


def test_open_dimensions_have_their_symbols_or_places_as_names():
    values = [X, Value("y", TensorType("float32", ("N", None, 4, "W")))]
    sizes = chosen_sizes(Path("net.tersor"), values, [("y[1]", 7), ("W", 5)], batch=2)
    assert sizes == {"N": 2, "y[1]": 7, "W": 5}
    assert input_shapes(values, sizes) == {"x": (2, 1, 2, 2), "y": (2, 7, 4, 5)}
    with pytest.raises(click.UsageError, match=r"no open dimension 'y\[2\]'; it has N, y\[1\], W"):
        chosen_sizes(Path("net.tersor"), values, [("y[2]", 7)])
    with pytest.raises(click.UsageError, match="the same dimension twice"):
        chosen_sizes(Path("net.tersor"), values, [("W", 5), ("W", 6)])


def test_a_question_mark_is_no_symbol():
    value = Value("x", TensorType("float32", ("N", 3, "?", "?")))
    assert open_dimensions([value]) == ["N", "x[2]", "x[3]"]
    assert input_shapes([value], {"x[2]": 48, "x[3]": 192}) == {"x": (1, 3, 48, 192)}


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_damage_is_told(ending: str, tmp_path: Path):
    path = tmp_path / f"x{ending}"
    x = np.random.default_rng(0).standard_normal((25, 1, 2, 2)).astype(np.float32)
    if ending == ".npz":
        np.savez_compressed(path, x=x)
    else:
        np.save(path, x)
    assert np.array_equal(read(path), x)
    data = path.read_bytes()
    lzma = data.replace(b"\x08\0", b"\x0e\0")  # said to be compressed by another method
    for broken in (data[:60] + b"\xff" * 60 + data[120:], lzma) if ending == ".npz" else (data[:-1], b""):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=rf"^{re.escape(str(path))} is not an? .*array.*, or damaged: ."):
            read(path)


def test_an_archive_that_is_not_there_is_missing(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing.npz")


@pytest.mark.parametrize(("mode", "kind"), [("I;16", np.uint16), ("F", np.float32), ("I", np.int32)])
def test_pixels_of_more_than_8_bits_are_refused(tmp_path: Path, mode: str, kind: type):
    picture = Image.fromarray(np.full((2, 2), 300, kind))
    assert picture.mode == mode
    picture.save(tmp_path / "deep.tiff")
    with pytest.raises(InputError, match=r"deep\.tiff: pixels of more than 8 bits"):
        read(tmp_path / "deep.tiff")


def test_a_picture_is_turned_as_its_camera_was_held(tmp_path: Path):
    pixels, tags = np.array([[0, 85], [170, 255]], np.uint8), Image.Exif()
    tags[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=tags)
    np.testing.assert_allclose(read(tmp_path / "turned.png")[0, 0], pixels[::-1, ::-1] / 255, rtol=1e-6)


def test_integers_get_the_pixels_as_they_are(tmp_path: Path):
    pixels, value = np.array([[0, 85], [170, 255]], np.uint8), Value("x", TensorType("uint8", ("N", 1, 2, 2)))
    Image.fromarray(pixels).save(tmp_path / "p.png")
    given = [(None, tmp_path / "p.png")]
    np.testing.assert_array_equal(read_inputs([value], given, Preprocessing())["x"][0, 0], pixels)
    assert read_inputs([value], given, Preprocessing(scale=85))["x"].ravel().tolist() == [0, 1, 2, 3]
    for unfit in (Preprocessing(scale=255), Preprocessing(mean=(1,)), Preprocessing(std=(0.5,))):
        with pytest.raises(InputError, match="become no uint8 integers"):
            read_inputs([value], given, unfit)


@pytest.mark.parametrize(
    ("shape", "preprocessing", "message"),
    [
        (("N", 3, 2, 2), Preprocessing(mean=(1, 2)), "--mean has 2 values; the image has 3 channels"),
        (("N", 3, 2, 2), Preprocessing(std=(1, 2, 3, 4)), "--std has 4 values; the image has 3 channels"),
        (("N", 2, 2), Preprocessing(), r"p\.png: an image needs four dimensions, input 'x' is float32\[N, 2, 2\]"),
        (None, Preprocessing(), r"p\.png: an image needs four dimensions, input 'x' is float32\[\.\.\.\]"),
        (("N", 4, 2, 2), Preprocessing(), r"p\.png: only grey .* input 'x' has 4 channels"),
    ],
)
def test_pictures_that_do_not_fit_the_input(
    shape: tuple[int | str, ...] | None, preprocessing: Preprocessing, message: str, tmp_path: Path
):
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "p.png")
    with pytest.raises(InputError, match=message):
        read_inputs([Value("x", TensorType("float32", shape))], [(None, tmp_path / "p.png")], preprocessing)


def test_files_go_to_inputs_in_turn(tmp_path: Path):
    values, x = [X, Value("z", TensorType("float32", (1,)))], np.ones((1, 1, 2, 2), np.float32)
    for name, array in (("x", x), ("z", np.zeros(1, np.float32))):
        np.save(tmp_path / f"{name}.npy", array)
    files: list[tuple[str | None, Path]] = [(None, tmp_path / "x.npy"), (None, tmp_path / "z.npy")]
    found = read_inputs(values, files, Preprocessing())
    assert (found["x"].shape, found["z"].shape) == ((1, 1, 2, 2), (1,))
    found = read_inputs(values, [("z", tmp_path / "z.npy"), files[0]], Preprocessing())
    assert (found["x"].shape, found["z"].shape) == ((1, 1, 2, 2), (1,))
    with pytest.raises(InputError, match="more files than inputs: name them, as in --input NAME=FILE"):
        read_inputs(values, [*files, files[0]], Preprocessing())


def test_an_input_of_unknown_rank_is_given_as_an_array():
    with pytest.raises(InputError, match="input 'x' has no known rank: give it as an array"):
        input_shapes([Value("x", TensorType("float32", None))])


def test_what_is_neither_an_array_nor_a_picture(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("nothing of the kind")
    with pytest.raises(InputError, match=r"notes\.txt: neither an array \(\.npy, \.npz\) nor a picture"):
        read(tmp_path / "notes.txt")
