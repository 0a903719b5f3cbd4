"""Ed25519 signatures: RFC 8032's own example, and everything that must not pass."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tersor.format_spec.errors import SignatureError
from tersor.format_spec.signature import PassphraseNeeded, new_keys, sign, verify

PRIVATE, PUBLIC = new_keys()
DATA = b"not a model, but bytes are bytes"


def pem(key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public


def test_the_second_example_of_rfc_8032() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    private, public = pem(Ed25519PrivateKey.from_private_bytes(seed))
    signature = sign(b"\x72", private)
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    verify(b"\x72", signature, public)


def test_what_was_signed_passes_from_any_buffer() -> None:
    signature = sign(memoryview(DATA), PRIVATE)
    assert len(signature) == 64
    assert signature == sign(DATA, PRIVATE)
    for data in (DATA, bytearray(DATA), memoryview(DATA)):
        verify(data, signature, PUBLIC)


def test_any_other_byte_fails() -> None:
    signature = sign(DATA, PRIVATE)
    for place in range(len(DATA)):
        changed = bytearray(DATA)
        changed[place] ^= 1
        with pytest.raises(SignatureError, match="does not match"):
            verify(changed, signature, PUBLIC)
    for place in range(len(signature)):
        changed = bytearray(signature)
        changed[place] ^= 1
        with pytest.raises(SignatureError, match="does not match"):
            verify(DATA, bytes(changed), PUBLIC)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(65)])
def test_signatures_of_another_length_are_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError, match="has 64 bytes"):
        verify(DATA, signature, PUBLIC)


def test_another_key_fails() -> None:
    with pytest.raises(SignatureError, match="another key"):
        verify(DATA, sign(DATA, PRIVATE), new_keys()[1])


OTHER = generate_private_key(SECP256R1())
OTHER_PRIVATE = OTHER.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
OTHER_PUBLIC = OTHER.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("key", "message"),
    [(b"", "PEM form"), (b"nonsense", "PEM form"), (PUBLIC, "PEM form"), (OTHER_PRIVATE, "not an Ed25519 key")],
    ids=["empty", "no PEM", "public", "another curve"],
)
def test_what_is_no_private_key(key: bytes, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        sign(DATA, key)


@pytest.mark.parametrize(
    ("key", "message"),
    [(b"", "PEM form"), (b"nonsense", "PEM form"), (PRIVATE, "takes the public one"), (OTHER_PUBLIC, "not an Ed25519 key")],
    ids=["empty", "no PEM", "private", "another curve"],
)
def test_what_is_no_public_key(key: bytes, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        verify(DATA, bytes(64), key)


def test_an_encrypted_key_needs_its_passphrase() -> None:
    private, public = new_keys(b"secret")
    verify(DATA, sign(DATA, private, b"secret"), public)
    for passphrase in (None, b"", b"wrong"):
        with pytest.raises(PassphraseNeeded, match="passphrase"):
            sign(DATA, private, passphrase)
