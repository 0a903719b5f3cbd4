"""``sign`` and ``verify --key``, and what damaged, cut, reordered and extended files end with."""

from __future__ import annotations

import json
import stat
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tersor.cli.commands.verify import check_file
from tersor.cli.main import cli
from tersor.format_spec.container import ENTRY, HEADER, HEADER_BYTES
from tersor.format_spec.errors import FormatError, SignatureError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.reference import decode_file
from tersor.format_spec.signature import new_keys
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Recipe, pack

FORMAT, LIMIT, SIGNATURE = 3, 4, 9


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small file with two tensors of one length in sections of their own, and a weight in the pool."""
    shape = (40, 40)
    rng = np.random.default_rng(0)
    tensors = {
        "w": np.ones(shape, np.float32),
        "a": rng.integers(0, 256, 5000, np.uint8),
        "b": rng.integers(0, 256, 5000, np.uint8),
    }
    graph = Graph(
        "small",
        (Value("x", TensorType("float32", shape)),),
        (Value("y", TensorType("float32", shape)),),
        (Node("Add", "", ("x", "w"), ("y",)),),
        {name: DenseTensor.of(array) for name, array in tensors.items()},
    )
    pack(graph, tmp_path / "small.tersor", Recipe.lossless())
    return tmp_path / "small.tersor"


@pytest.fixture
def keys(run, tmp_path: Path) -> tuple[Path, Path]:
    assert run("sign", "--new-key", tmp_path / "k.pem").exit_code == 0
    return tmp_path / "k.pem", tmp_path / "k.pub.pem"


@pytest.fixture
def signed(run, file: Path, keys: tuple[Path, Path]) -> Path:
    assert run("sign", file, "--key", keys[0]).exit_code == 0
    return file


def test_a_signed_file_passes(run, signed: Path, keys: tuple[Path, Path]) -> None:
    assert (signed.parent / "small.tersor.sig").stat().st_size == 64
    result = run("verify", signed, "--key", keys[1])
    assert result.exit_code == 0, result.output
    assert "the signature is right" in result.output
    assert json.loads(run("verify", signed, "--key", keys[1], "--json").stdout)["signed"] is True
    assert json.loads(run("verify", signed, "--json").stdout)["signed"] is False


def test_the_signature_can_lie_elsewhere(run, file: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    elsewhere = tmp_path / "other.sig"
    assert json.loads(run("sign", file, "--key", keys[0], "-o", elsewhere, "--json").stdout)["signature"] == str(elsewhere)
    assert run("verify", file, "--key", keys[1], "--signature", elsewhere).exit_code == 0
    assert run("verify", file, "--key", keys[1]).exit_code == SIGNATURE
    assert run("verify", file, "--signature", elsewhere).exit_code == 2


def test_a_missing_or_foreign_signature_fails(run, signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "foreign.pem").write_bytes(new_keys()[1])
    assert run("verify", signed, "--key", tmp_path / "foreign.pem").exit_code == SIGNATURE
    assert run("verify", signed, "--key", keys[0]).exit_code == SIGNATURE
    signature = signed.with_name("small.tersor.sig")
    signature.write_bytes(signature.read_bytes() + b"\0")
    assert run("verify", signed, "--key", keys[1]).exit_code == SIGNATURE
    signature.unlink()
    result = run("verify", signed, "--key", keys[1])
    assert result.exit_code == SIGNATURE
    assert "does not exist" in result.stderr


def test_keys_are_private_and_never_replaced(run, keys: tuple[Path, Path]) -> None:
    before = [key.read_bytes() for key in keys]
    if sys.platform != "win32":
        assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    assert run("sign", "--new-key", keys[0]).exit_code == 1
    keys[1].unlink()
    assert run("sign", "--new-key", keys[0]).exit_code == 1
    assert keys[0].read_bytes() == before[0]


def test_an_encrypted_key_asks_for_its_passphrase(run, file: Path, tmp_path: Path) -> None:
    private, public = new_keys(b"secret")
    (tmp_path / "locked.pem").write_bytes(private)
    (tmp_path / "open.pem").write_bytes(public)
    arguments = ["sign", str(file), "--key", str(tmp_path / "locked.pem")]
    assert CliRunner().invoke(cli, arguments, input="wrong\n").exit_code == SIGNATURE
    assert CliRunner().invoke(cli, arguments, input="secret\n").exit_code == 0
    assert run("verify", file, "--key", tmp_path / "open.pem").exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["FILE"], ["--key", "KEY"], ["FILE", "--key", "KEY", "--new-key", "NEW"]])
def test_wrong_usage_is_said(run, arguments: list[str]) -> None:
    assert run("sign", *arguments).exit_code == 2


def test_the_key_and_the_file_are_never_overwritten(run, file: Path, keys: tuple[Path, Path]) -> None:
    before = file.read_bytes(), keys[0].read_bytes()
    for target in (file, keys[0]):
        assert run("sign", file, "--key", keys[0], "-o", target).exit_code == 2
    assert (file.read_bytes(), keys[0].read_bytes()) == before


def codes(run, file: Path, public: Path, data: bytes) -> tuple[int, int]:
    """Exit codes of ``verify`` for a file with other bytes: without the key, and with it."""
    file.write_bytes(data)
    return run("verify", file).exit_code, run("verify", file, "--key", public).exit_code


def test_truncated_and_appended_to(run, signed: Path, keys: tuple[Path, Path]) -> None:
    data = signed.read_bytes()
    for changed in (data[:-1], data[: len(data) // 2], data[:HEADER_BYTES], b"", data + b"\0", data + data):
        assert codes(run, signed, keys[1], changed) in ((FORMAT, SIGNATURE), (FORMAT, FORMAT))  # an empty file cannot be mapped
    assert codes(run, signed, keys[1], data) == (0, 0)


def entries(data: bytes) -> list[tuple[int, int, int, int]]:
    _, _, _, count, _, offset = HEADER.unpack_from(data)
    return [ENTRY.unpack_from(data, offset + i * ENTRY.size) for i in range(count)]


def test_sections_in_another_order(run, signed: Path, keys: tuple[Path, Path]) -> None:
    data = signed.read_bytes()
    first, second = entries(data)[:2]
    assert first[3] == second[3] == 5000
    a, b = (slice(e[2], e[2] + e[3]) for e in (first, second))
    swapped = bytearray(data)
    swapped[a], swapped[b] = data[b], data[a]
    assert codes(run, signed, keys[1], bytes(swapped)) == (FORMAT, SIGNATURE)
    offset = HEADER.unpack_from(data)[5]
    ENTRY.pack_into(swapped, offset, first[0], second[1], *first[2:])
    ENTRY.pack_into(swapped, offset + ENTRY.size, second[0], first[1], *second[2:])
    table = bytes(swapped[offset:-4])
    swapped[-4:] = struct.pack("<I", zlib.crc32(table))
    # Every checksum is right now: only the signature tells that two tensors were exchanged.
    assert codes(run, signed, keys[1], bytes(swapped)) == (0, SIGNATURE)
    assert decode_file(signed).initializers["a"].dense().tobytes() == data[b]


def test_every_flipped_byte_is_noticed(run, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    graph = Graph("g", (), (Value("w", TensorType("float32", (3,))),), (), {"w": DenseTensor.of(np.ones(3, np.float32))})
    path = tmp_path / "tiny.tersor"
    pack(graph, path, Recipe.lossless())
    assert run("sign", path, "--key", keys[0]).exit_code == 0
    data = path.read_bytes()
    assert codes(run, path, keys[1], data) == (0, 0)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(FormatError):
            check_file(path, DEFAULT_LIMITS)
        with pytest.raises(SignatureError):
            check_file(path, DEFAULT_LIMITS, keys[1])


@pytest.mark.parametrize("verb", [["verify"], ["inspect"], ["inspect", "--plan"], ["run"]])
def test_the_limit_can_be_lowered(run, file: Path, verb: list[str]) -> None:
    np.save(file.with_suffix(".npy"), np.zeros((40, 40), np.float32))
    arguments = [*verb, file, *([file.with_suffix(".npy")] if verb == ["run"] else [])]
    result = run(*arguments, "--max-decoded-bytes", "10k")
    assert result.exit_code == LIMIT, result.output
    assert "Limits." in result.stderr
    assert run(*arguments, "--max-decoded-bytes", "1M").exit_code == 0


@pytest.mark.parametrize("size", ["", "0", "-1", "1.5G", "x", "G", "9g", "٣"])
def test_sizes_that_are_none(run, file: Path, size: str) -> None:
    assert run("verify", file, "--max-decoded-bytes", size).exit_code == 2
