"""Files of tensors that are damaged, or something else, are told from those that cannot be read."""

from __future__ import annotations

import contextlib
import errno
import io
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.converters import from_npz, from_safetensors
from tersor.format_spec.errors import ConversionError
from tersor.packer import pack


def test_damage_is_told(tmp_path: Path):
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(ConversionError, match=rf"^{re.escape(str(tmp_path))}.w\.safetensors is not a safetensors file"):
        from_safetensors(tmp_path / "w.safetensors")
    (tmp_path / "w.npz").write_bytes(b"PK nothing")
    with pytest.raises(ConversionError, match=r"w\.npz is not an archive"):
        from_npz(tmp_path / "w.npz")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("a.npy", b"hello")
    with pytest.raises(ConversionError, match=r"'a\.npy' in .*text\.npz is not a numpy array"):
        from_npz(tmp_path / "text.npz")
    with pytest.raises(FileNotFoundError):
        from_safetensors(tmp_path / "absent.safetensors")


def archive_of(*members: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An .npz of these members, called a.npy, b.npy ..."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in zip("abc", members, strict=False):
            archive.writestr(f"{name}.npy", data)
    return made.getvalue()


def member(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + data


def array_bytes(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def patched(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


ROUGH = array_bytes(np.random.default_rng(0).standard_normal(4000))
DEFLATED = archive_of(ROUGH)
BZIPPED, LZMA = archive_of(ROUGH, method=zipfile.ZIP_BZIP2), archive_of(ROUGH, method=zipfile.ZIP_LZMA)
STREAM = 30 + len("a.npy")  # behind the member's own header
DIRECTORY = DEFLATED.index(b"PK\1\2")
END = DEFLATED.index(b"PK\5\6")
HEADER = "{{'descr': '<f4', 'fortran_order': False, 'shape': {}}}"
DAMAGED = {
    "a flipped bit": patched(DEFLATED, 9000, bytes([DEFLATED[9000] ^ 1])),
    "a deflate stream of nothing": patched(DEFLATED, STREAM, b"\xff" * 99),
    "a bzip2 stream of nothing": patched(BZIPPED, STREAM, b"BZhx"),
    "an lzma stream of nothing": patched(LZMA, STREAM + 4, b"\xff"),
    "a method that nothing has": patched(DEFLATED, DIRECTORY + 10, b"\x63"),
    "encrypted": patched(DEFLATED, DIRECTORY + 8, b"\1"),
    "a member before the file": patched(DEFLATED, END + 12, b"\xff\xff\xff\x0f"),
    "no array": archive_of(b"hello"),
    "cut": archive_of(ROUGH[:-1]),
    "of a terabyte": archive_of(member(HEADER.format((1 << 38,)))),
    "of a negative size": archive_of(member(HEADER.format((-1,)), bytes(4))),
    "of two negative sizes": archive_of(member(HEADER.format((-2, -3)), bytes(24))),
    "of no size and a negative one": archive_of(member(HEADER.format((0, -3)))),
    "nested": archive_of(member("-" * 9000 + "1")),
    "unclosed": archive_of(member("(" * 9000)),
    "of no type": archive_of(member(HEADER.replace("'<f4'", "[('a',)]").format((1,)))),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_any_damage_of_an_archive_is_told(name: str, tmp_path: Path):
    path = tmp_path / "w.npz"
    path.write_bytes(DAMAGED[name])
    told = rf"^('a\.npy' in )?{re.escape(str(path))} is not (a numpy array|an archive of numpy arrays), or damaged: ."
    with pytest.raises(ConversionError, match=told):
        pack(from_npz(path), tmp_path / "w.tersor")
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.npz"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SMALL := archive_of(array_bytes(np.arange(40)), array_bytes(np.ones((2, 3)))))), st.integers(1, 255))
def test_an_archive_with_a_wrong_byte_is_refused_or_read(place: int, change: int):
    data = SMALL[:place] + bytes(byte ^ change for byte in SMALL[place : place + 1]) + SMALL[place + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "w.npz")
        path.write_bytes(data)
        with contextlib.suppress(ConversionError):
            for tensor in from_npz(path).initializers.values():
                assert tensor.dense().shape == tensor.shape


def test_what_cannot_be_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "w.npz").write_bytes(DEFLATED)

    def broken(file: zipfile.ZipExtFile, *_args: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(zipfile.ZipExtFile, "read", broken)
    for path in (tmp_path / "w.npz", tmp_path / "none.npz", tmp_path):
        with pytest.raises(OSError, match=r"Input/output|No such file|Is a directory"):
            from_npz(path)
