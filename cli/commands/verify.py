"""``tersor verify``: is the file whole, and does it still say what the model said?"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .._compare import relative_difference
from .._output import bytes_text, counted, echo, json_option, limits_option, print_json, size_option
from .._sources import loaded, naming
from .._types import FilePath, Number

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from .._types import Sizes

CHECK_FAILED = 11


@click.command(name="verify")
@click.argument("file", type=FilePath())
@click.option("--against", type=FilePath(), metavar="MODEL.onnx", help="Also compare outputs with this model's.")
@click.option(
    "--tolerance",
    type=Number(min=0),
    default=1e-4,
    show_default=True,
    help="Largest difference allowed with --against, relative to the largest output.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random inputs for --against."
)
@size_option
@click.option("--key", type=FilePath(), metavar="PUBLIC.pem", help="First check FILE's signature by this key's owner.")
@click.option("--signature", type=FilePath(), help="Where the signature is, with --key.  [default: FILE.sig]")
@limits_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    against: Path | None,
    tolerance: float,
    seed: int,
    sizes: Sizes,
    key: Path | None,
    signature: Path | None,
    limits: Limits,
    as_json: bool,
) -> None:
    """Verify every checksum of FILE and decode every stream in it.

    Checksums find damage, not malice: with --key, the detached signature that tersor sign wrote is checked before anything in
    FILE is believed, and a file that was changed since ends the command with exit code 9.

    With --against, both models also run on the same random inputs (open dimensions are 1, or what the model's operators need,
    unless --size says), and the command fails when an output differs by more than the tolerance. A model packed with --lossless
    should pass at the default; a pruned or shared one differs by what packing cost it. Needs tersor[bench].
    """
    if signature is not None and key is None:
        raise click.UsageError("--signature needs --key")
    for option, name in (("tolerance", "tolerance"), ("seed", "seed"), ("sizes", "size")):
        if against is None and ctx.get_parameter_source(option) == ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} needs --against")
    with naming(file):
        result: dict[str, Any] = check_file(file, limits, key, signature)
    if against is not None:
        result["differences"] = compare(file, against, seed, sizes, limits)
        result["ok"] = all(d["relative"] <= tolerance for d in result["differences"])
    if as_json:
        print_json(result)
    else:
        signed = "; the signature is right" if key is not None else ""
        echo(
            f"{file}: {counted(result['sections'], 'section')} and {counted(result['tensors'], 'tensor')} "
            f"({bytes_text(result['bytes'])}) are sound{signed}"
        )
        for difference in result.get("differences", ()):
            echo(f"  {difference['output']}: {_told(difference['relative'])}")
    if not result["ok"]:
        within_reach = all(isfinite(d["relative"]) for d in result["differences"])
        hint = " (a pruned or shared model needs its own --tolerance)" if within_reach else ""
        echo(f"tersor: outputs differ by more than {tolerance:g}{hint}", err=True)
        ctx.exit(CHECK_FAILED)


def _told(difference: float) -> str:
    if not isfinite(difference):
        return "numbers where the other model has infinity or none, or the other way round"
    return f"differs by at most {difference:.2e} of the largest value"


def check_signature(data: memoryview, file: Path, key: Path, signature: Path | None) -> None:
    """Check the detached signature of a file's bytes.

    Raises:
        SignatureError: there is none, or it does not match.
        OSError: the key cannot be read.
    """
    from ...format_spec.errors import SignatureError
    from ...format_spec.signature import SIGNATURE_BYTES, UnfitKey, signature_path, verify

    path = signature or Path(signature_path(file))
    public_pem = key.read_bytes()
    try:
        with path.open("rb") as stream:
            found = stream.read(SIGNATURE_BYTES + 1)
    except FileNotFoundError:
        raise SignatureError(f"{file} has no signature: {path} does not exist") from None
    try:
        verify(data, found, public_pem)
    except UnfitKey as error:
        raise UnfitKey(f"{key}: {error}") from error


def check_file(file: Path, limits: Limits, key: Path | None = None, signature: Path | None = None) -> dict[str, Any]:
    """Read every section and decode every tensor; raises what the reader raises at the first defect.

    With ``key`` the signature is checked first, on the very bytes that are decoded afterwards.
    """
    from ...format_spec.container import map_source, release

    view = map_source(file)
    try:
        if key is not None:
            check_signature(view, file, key, signature)
        return {"file": str(file), **check_bytes(view, limits), "signed": key is not None, "ok": True}
    finally:
        release(view)


def check_bytes(data: memoryview, limits: Limits) -> dict[str, Any]:
    """Read every section and decode every tensor of a file's bytes."""
    from ...format_spec.container import Container
    from ...format_spec.graph import graphs
    from ...format_spec.model_file import read_graph
    from ...runtime.decode import decode

    container = Container(data, limits)
    for index in range(len(container.sections)):
        container.section(index)
    tensors = 0
    for graph in graphs(read_graph(container, decode)):
        for _ in graph.initializers.values():  # which decodes each
            tensors += 1
    return {"bytes": container.length, "sections": len(container.sections), "tensors": tensors}


def compare(file: Path, against: Path, seed: int, given: Sizes, limits: Limits) -> list[dict[str, Any]]:
    """Run both models on random inputs; per output, the largest difference over the largest magnitude.

    Raises:
        ConversionError: ONNX Runtime does not read ``against``.
        InputError: it does not take the packed model's inputs, or gives other outputs.
        OSError: it cannot be opened.
    """
    from .._inputs import chosen_sizes, naming_sizes, random_inputs
    from .._onnxruntime import Dense

    dense = Dense(against)
    with loaded(file, limits=limits) as model:
        sizes = chosen_sizes(file, model.inputs, given)
        inputs = random_inputs(model.inputs, seed, sizes, limits)
        with naming_sizes(sizes):
            ours = model.run(inputs)
    theirs = dense.run(inputs, ours)
    return [{"output": name, "relative": relative_difference(ours[name], value)} for name, value in theirs.items()]
