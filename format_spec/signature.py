"""Detached signatures: Ed25519 (RFC 8032) over a file's bytes, in 64 bytes beside it (SPEC.md, section 7).

Keys are PEM files as OpenSSL writes them: PKCS #8 for the private one, SubjectPublicKeyInfo for the public one. Any tool that
signs with pure Ed25519 makes and checks the same signatures.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from .errors import MissingExtra, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES = 64
SUFFIX = ".sig"
"""What the name of a signature adds to its file's."""

Data: TypeAlias = "bytes | bytearray | memoryview"


class UnfitKey(SignatureError):
    """What was given as a key is none, or one of another kind."""


class PassphraseNeeded(SignatureError):
    """The private key is encrypted, and no passphrase, or a wrong one, was given."""


def new_keys(passphrase: bytes | None = None) -> tuple[bytes, bytes]:
    """A new private key, encrypted when a passphrase is given, and its public key, both PEM."""
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    protection = s.BestAvailableEncryption(passphrase) if passphrase else s.NoEncryption()
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, protection)
    return private, key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)


def sign(data: Data, private_pem: bytes, passphrase: bytes | None = None) -> bytes:
    """The signature of ``data``, 64 bytes.

    Raises:
        UnfitKey: ``private_pem`` is no Ed25519 private key.
        PassphraseNeeded: it is encrypted, and ``passphrase`` does not open it.
    """
    return _private_key(private_pem, passphrase).sign(data)


def verify(data: Data, signature: bytes, public_pem: bytes) -> None:
    """Return when ``signature`` is that of ``data`` by the owner of the key.

    Raises:
        SignatureError: it is not.
        UnfitKey: ``public_pem`` is no Ed25519 public key.
    """
    key = _public_key(public_pem)
    from cryptography.exceptions import InvalidSignature

    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError(f"a signature has {SIGNATURE_BYTES} bytes, this one has {len(signature):,}")
    try:
        key.verify(signature, data)
    except InvalidSignature:
        raise SignatureError("the signature does not match: the file was changed, or signed with another key") from None


def signature_path(path: str | os.PathLike[str]) -> str:
    """Where the signature of the file at ``path`` is looked for."""
    return os.fspath(path) + SUFFIX


def _private_key(pem: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    is_encrypted = b"ENCRYPTED" in pem
    if is_encrypted and not passphrase:
        raise PassphraseNeeded("the private key is encrypted: its passphrase is needed")
    try:
        key = load_pem_private_key(pem, passphrase if is_encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if is_encrypted:
            raise PassphraseNeeded("the private key cannot be opened: the passphrase is wrong, or the file damaged") from error
        raise UnfitKey(f"not a private key in PEM form: {_first_line(error)}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnfitKey("the private key is not an Ed25519 key")
    return key


def _public_key(pem: bytes) -> Ed25519PublicKey:
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in pem:
        raise UnfitKey("this is a private key; the check takes the public one")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnfitKey(f"not a public key in PEM form: {_first_line(error)}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnfitKey("the public key is not an Ed25519 key")
    return key


def _first_line(error: Exception) -> str:
    return str(error).partition(".")[0].partition("\n")[0] or type(error).__name__


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401 (only whether it is there)
    except ModuleNotFoundError as error:
        raise MissingExtra("signatures need cryptography: pip install 'tersor[sign]'") from error
