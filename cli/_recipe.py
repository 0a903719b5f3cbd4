"""The recipe as flags: those of ``pack``, of which ``repack`` has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._sources import naming
from ._types import FilePath

if TYPE_CHECKING:
    from ..packer import Recipe

F = TypeVar("F", bound=Callable[..., Any])

GROUPS = ("", "conv-", "fc-")
PROFILES = ("compact", "paper", "max")
INITS = ("linear", "density", "companding", "random")
NUMBERS = {"bits": int, "density": float, "threshold": float, "quality": float}
FRACTIONS = ("density", "threshold", "quality", "feedback")
HELP = {
    "bits": "Share the weights among 2^BITS values (1 to 8).",
    "density": "Prune: keep this share of the weights.",
    "threshold": "Prune: keep weights above this magnitude.",
    "quality": "Prune: keep weights above QUALITY standard deviations.",
}

index_bits_option = click.option(
    "--index-bits", type=click.IntRange(1, 8), metavar="N", help="Bits of a gap, with --profile paper  [default: 5]"
)


def recipe_options(command: F) -> F:
    """Add the recipe's flags to a click command; their values go to :func:`make_recipe`."""
    for group in reversed(GROUPS):
        for key, kind in reversed(NUMBERS.items()):
            text = (
                HELP[key]
                if not group
                else f"The same for {'convolutions' if group == 'conv-' else 'fully connected layers'} only."
            )
            command = click.option(f"--{group}{key}", type=kind, metavar=key.upper(), help=text)(command)
    command = click.option(
        "--rule",
        "rules",
        multiple=True,
        metavar="PATTERN=KEY:VALUE,...",
        help="Settings for tensors whose name matches PATTERN, as in 'fc*=bits:5,density:0.1'.",
    )(command)
    command = click.option(
        "--keep", multiple=True, metavar="PATTERN", help="Leave tensors whose name matches as they are, whatever rules say."
    )(command)
    command = click.option("--init", type=click.Choice(INITS), help="How k-means starts.")(command)
    command = click.option(
        "--feedback", type=float, help="Share of a rounding error that the next weight takes over (0 to 1)."
    )(command)
    command = click.option("--seed", type=int, help="Seed of --init random.")(command)
    command = index_bits_option(command)
    command = click.option("--profile", type=click.Choice(PROFILES), help="Codecs to use  [default: compact]")(command)
    command = click.option("--lossless", is_flag=True, help="Change nothing: every weight comes back bit for bit.")(command)
    return click.option("--recipe", type=FilePath(), metavar="FILE.toml", help="Read the recipe from a file.")(command)


def make_recipe(flags: Mapping[str, Any]) -> Recipe:
    """The :class:`~tersor.packer.Recipe` that the flags of :func:`recipe_options` describe.

    A recipe file stands alone but for ``--profile``. Where no flag says how to prune or to share, and no rule does, the weights
    are shared at 8 bits and none is pruned.

    Raises:
        RecipeError: a value is out of range, or the file is malformed.
        click.UsageError: flags that exclude one another.
    """
    from ..packer import Layer, Recipe

    profile = flags["profile"] or "compact"
    gaps = gap_settings(flags["index_bits"], profile)
    others = ("profile", "index_bits", "recipe", "lossless")
    settings = {key for key, value in flags.items() if key not in others and value not in (None, ())}
    if flags["lossless"] + (flags["recipe"] is not None) + bool(settings) > 1:
        raise click.UsageError("--lossless, --recipe and settings such as --bits exclude one another")
    if flags["lossless"]:
        return Recipe.lossless(profile, **gaps)
    if flags["recipe"] is not None:
        if gaps:
            raise click.UsageError("--index-bits and --recipe exclude one another: say index_bits in the file")
        with naming(flags["recipe"]):
            recipe = Recipe.from_toml(flags["recipe"])
        return recipe.with_profile(profile) if flags["profile"] else recipe
    common = {key: flags[key] for key in ("init", "seed", "feedback") if flags[key] is not None}
    if settings <= {"init", "seed", "feedback", "keep"}:
        common["bits"] = 8
    layers = {group: _layer(flags, group, common) for group in ("conv", "fc")}
    kept = dict.fromkeys(flags["keep"], Layer())
    rules = [(pattern, layer) for pattern, layer in map(_rule, flags["rules"]) if pattern not in kept] + list(kept.items())
    recipe = Recipe(Layer(**layers["conv"]), Layer(**layers["fc"]), rules, profile=profile, **gaps)
    _check_sharing(settings, recipe)
    return recipe


def _check_sharing(settings: Set[str], recipe: Recipe) -> None:
    """Raise :class:`click.UsageError` for a setting of sharing that no layer heeds."""
    useless = [key for key in ("init", "feedback", "seed") if key in settings]
    if useless and recipe.conv.bits is None and recipe.fc.bits is None:
        raise click.UsageError(f"--{useless[0]} says how weights are shared, and none are: give --bits as well")
    if "seed" in settings and "random" not in (recipe.conv.init, recipe.fc.init):
        raise click.UsageError("--seed is for --init random: no other start draws numbers")


def gap_settings(index_bits: int | None, profile: str) -> dict[str, Any]:
    """The keyword ``index_bits`` of a recipe, where :data:`index_bits_option` was given.

    Raises:
        click.UsageError: given for a profile without such gaps.
    """
    if index_bits is None:
        return {}
    if profile != "paper":
        raise click.UsageError(f"--index-bits is for --profile paper: {profile} has no gaps of so many bits")
    return {"index_bits": index_bits}


def _layer(flags: Mapping[str, Any], group: str, common: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of one group: its own flags over the common ones; its own pruning replaces the common pruning."""
    own = {key: flags[f"{group}_{key}"] for key in NUMBERS if flags[f"{group}_{key}"] is not None}
    shared = {key: flags[key] for key in NUMBERS if flags[key] is not None}
    if own.keys() - {"bits"}:
        shared = {key: value for key, value in shared.items() if key == "bits"}
    return {**common, **shared, **own}


def _rule(text: str) -> tuple[str, Any]:
    """``PATTERN=key:value,...`` as a pattern and a layer."""
    from ..packer import Layer

    pattern, equals, settings = text.rpartition("=")
    pairs = [part.partition(":") for part in settings.split(",")]
    if not equals or any(not colon for _, colon, _ in pairs):
        raise click.BadParameter(f"{text!r} is not PATTERN=KEY:VALUE,...", param_hint="--rule")
    values: dict[str, Any] = {key: _setting(key, value) for key, _, value in pairs}
    if len(values) < len(pairs):
        raise click.BadParameter(f"{text!r} sets one thing twice", param_hint="--rule")
    return pattern, Layer(**values)


def _setting(key: str, text: str) -> int | float | str:
    """A setting's value from its text."""
    try:
        return text if key == "init" else float(text) if key in FRACTIONS else int(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no value for {key!r}", param_hint="--rule") from None
