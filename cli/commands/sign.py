"""``tersor sign``: a detached signature, and the keys for it."""

from __future__ import annotations

import os
from errno import EEXIST
from pathlib import Path

import click

from .._output import echo, json_option, print_json
from .._sources import keep_apart, naming
from .._types import FilePath


@click.command(name="sign")
@click.argument("file", type=FilePath(), required=False)
@click.option("--key", type=FilePath(), metavar="PRIVATE.pem", help="The Ed25519 private key to sign with.")
@click.option(
    "--new-key",
    type=FilePath(),
    metavar="PRIVATE.pem",
    help="Make a private key, and its public key in PRIVATE.pub.pem; neither may exist yet.",
)
@click.option("--output", "-o", type=FilePath(), help="Where the signature goes.  [default: FILE.sig]")
@json_option
def command(file: Path | None, key: Path | None, new_key: Path | None, output: Path | None, as_json: bool) -> None:
    """Sign FILE with Ed25519: the 64 bytes of the signature go to FILE.sig, and FILE itself is not changed.

    \b
    tersor sign --new-key private.pem            once; keep it safe, and give private.pub.pem away
    tersor sign model.tersor --key private.pem
    tersor verify model.tersor --key private.pub.pem

    Keys and signatures are OpenSSL's: `openssl genpkey -algorithm ed25519 -out private.pem` makes a private key, `openssl pkey
    -in private.pem -pubout` prints its public key, and `openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in FILE
    -sigfile FILE.sig` checks a signature. A passphrase is asked for when the private key is encrypted. Needs tersor[sign].
    """
    if (file is None) != (key is None) or (file is None and new_key is None) or (file is not None and new_key is not None):
        raise click.UsageError("give FILE and --key to sign, or --new-key alone to make keys")
    if file is None or key is None:
        assert new_key is not None
        private, public = make_keys(new_key)
        facts, text = {"private_key": str(private), "public_key": str(public)}, f"{private} (keep it secret), {public}"
    else:
        signature = sign_file(file, key, output)
        facts, text = {"file": str(file), "signature": str(signature)}, f"{signature}: signature of {file}"
    if as_json:
        print_json(facts)
    else:
        echo(text)


def make_keys(private: Path) -> tuple[Path, Path]:
    """Write a new private key, which only its owner may read, and its public key; neither file may exist.

    Raises:
        FileExistsError: a key would be lost.
        OSError: a file cannot be written.
    """
    from ...format_spec.signature import new_keys

    public = private.with_name(f"{private.name.removesuffix('.pem')}.pub.pem")
    if public.exists():
        raise FileExistsError(EEXIST, "exists already; keys are never replaced", str(public))
    private_pem, public_pem = new_keys()
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private_pem)
    with public.open("xb") as file:
        file.write(public_pem)
    return private, public


def sign_file(file: Path, key: Path, output: Path | None) -> Path:
    """Write the signature of ``file``; returns its path.

    Raises:
        SignatureError: ``key`` holds no Ed25519 private key.
        OSError: a file cannot be read or written.
    """
    from ...format_spec.atomic import atomic_write
    from ...format_spec.container import map_source, release
    from ...format_spec.signature import PassphraseNeeded, sign, signature_path

    target = output or Path(signature_path(file))
    keep_apart(target, file, key)
    pem = key.read_bytes()
    view = map_source(file)
    try:
        with naming(key):
            try:
                signature = sign(view, pem)
            except PassphraseNeeded:
                passphrase = click.prompt(f"Passphrase of {key}", hide_input=True, err=True)
                signature = sign(view, pem, passphrase.encode())
    finally:
        release(view)
    with atomic_write(target) as stream:
        stream.write(signature)
    return target
