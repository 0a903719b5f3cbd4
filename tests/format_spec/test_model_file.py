"""Where an error of a tensor's payload says that it lies."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tersor.format_spec import codecs
from tersor.format_spec.coding import CodecId
from tersor.format_spec.container import MANIFEST, POOL, TENSOR, ContainerWriter, open_container
from tersor.format_spec.errors import FormatError
from tersor.format_spec.graph import Graph
from tersor.format_spec.manifest import encode_manifest
from tersor.format_spec.model_file import Decode, read_graph
from tersor.format_spec.records import Placed, TensorRecord
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.decode import decode

RESERVED = b"\1\x80\1\0\0"
"""The head of a shared payload, its flags (at byte 1) reserved."""


def file_of(payload: bytes, codec: CodecId, *, pooled: bool) -> bytes:
    """A file of a tensor ``first``, 8 bytes of a pool, and of ``w``, all checksums right."""
    records = [TensorRecord("first", np.dtype("f4"), (2,), (), CodecId.RAW), TensorRecord("w", np.dtype("f4"), (2,), (), codec)]
    tensors = {record.name: DenseTensor.of(np.zeros(2, np.float32)) for record in records}
    file = io.BytesIO()
    writer = ContainerWriter(file)
    if not pooled:
        writer.add(TENSOR, payload)
    writer.add(POOL, bytes(8) + (payload if pooled else b""))
    placed = [Placed(records[0], 8), Placed(records[1], len(payload) if pooled else None)]
    writer.add(MANIFEST, encode_manifest(Graph("g", (), (), (), tensors), placed))
    writer.finish()
    return file.getvalue()


@pytest.mark.parametrize("decoder", [codecs.decode, decode], ids=["reference", "runtime"])
@pytest.mark.parametrize(("pooled", "section"), [(True, "section 0 (pool)"), (False, "section 0 (tensor)")])
def test_the_offset_of_a_payloads_defect_is_that_in_the_file(decoder: Decode, pooled: bool, section: str) -> None:
    data = file_of(RESERVED, CodecId.SHARED, pooled=pooled)
    with open_container(data) as container, pytest.raises(FormatError) as caught:
        read_graph(container, decoder).initializers["w"]
    error = caught.value
    assert (error.section, error.tensor) == (section, "w")
    assert error.offset == data.index(RESERVED) + 1
    assert str(error) == f"tensor 'w': {error.message} (in {section} at byte {error.offset})"


@pytest.mark.parametrize("decoder", [codecs.decode, decode], ids=["reference", "runtime"])
def test_a_defect_of_unknown_place_has_no_offset(decoder: Decode) -> None:
    with open_container(file_of(bytes(3), CodecId.RAW, pooled=True)) as container, pytest.raises(FormatError) as caught:
        read_graph(container, decoder).initializers["w"]
    assert caught.value.offset is None
    assert str(caught.value) == "tensor 'w': it needs 8 bytes of elements, not 3 (in section 0 (pool))"


def test_a_wrong_checksum_keeps_its_place() -> None:
    data = bytearray(file_of(RESERVED, CodecId.SHARED, pooled=True))
    at = data.index(RESERVED)
    data[at] ^= 1
    with (
        open_container(bytes(data)) as container,
        pytest.raises(FormatError, match=r"^tensor 'w': checksum mismatch") as caught,
    ):
        read_graph(container, decode).initializers["w"]
    assert caught.value.offset == at - 8
