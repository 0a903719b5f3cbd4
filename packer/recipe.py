"""What to do to which tensor: the packing recipe, in Python or TOML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from ..format_spec.errors import RecipeError
from ._checks import PROFILES, SETTINGS, check_choice, check_integer, check_pruning, check_share
from .quantize import initialisations


@dataclass(frozen=True, init=False, repr=False)
class Layer:
    """What happens to one weight tensor: pruning, then sharing, either or both left out. ``Layer()`` keeps every bit.

    ``pruning`` is given as one keyword, the method's name: ``density`` (share of the weights that stays, 0 to 1),
    ``threshold`` (weights above it in magnitude stay) or ``quality`` (threshold in standard deviations of the tensor).
    ``bits`` (1 to 8) shares what is left among at most ``2**bits`` values found by k-means, which starts from ``init``
    (``linear``, ``density``, ``companding`` or ``random``, drawn from ``seed``) and takes at most ``iterations`` steps.
    ``feedback`` (0 to 1) adds that share of a weight's rounding error to the next weight of its row.

    >>> Layer(bits=5, density=0.09)
    Layer(bits=5, density=0.09)
    """

    bits: int | None
    init: str
    seed: int
    iterations: int
    feedback: float
    pruning: tuple[str, float] | None

    def __init__(
        self,
        /,
        *,
        bits: int | None = None,
        init: str = "linear",
        seed: int = 0,
        iterations: int = 300,
        feedback: float = 0.0,
        **pruning: float,
    ) -> None:
        """Raise :class:`RecipeError`, naming the key and what is allowed, for a value that is not."""
        check_choice("init", init, initialisations())
        check_share("feedback", feedback)
        values = {
            "bits": None if bits is None else check_integer("bits", bits, 1, 8),
            "init": init,
            "seed": check_integer("seed", seed, 0, 2**63 - 1),
            "iterations": check_integer("iterations", iterations, 0, 1_000_000),
            "feedback": float(feedback),
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)
        object.__setattr__(self, "pruning", check_pruning(pruning))

    @property
    def keeps(self) -> bool:
        """Whether the tensor's bits stay as they are."""
        return self.bits is None and self.pruning is None

    def settings(self) -> dict[str, int | float | str]:
        """The keywords that make this layer, defaults left out."""
        default = Layer()
        fields = {f: getattr(self, f) for f in SETTINGS if getattr(self, f) != getattr(default, f)}
        return fields | dict([self.pruning] if self.pruning else [])

    def __repr__(self) -> str:
        return f"Layer({', '.join(f'{key}={value!r}' for key, value in self.settings().items())})"


KEEP = Layer()


@dataclass(frozen=True, init=False)
class Recipe:
    """How ``pack`` treats a model: a layer policy for convolutions, one for fully connected layers, and rules by name.

    A tensor takes the policy of the last of ``rules`` whose ``fnmatch`` pattern fits its name, else ``conv`` (kernels of
    Conv and ConvTranspose) or ``fc`` (Gemm, MatMul, recurrent); tables that Gather reads change only by a rule. Only float
    weights of rank 2 and more with at least ``min_size`` elements are touched; biases and norms never are.
    ``index_bits`` (1 to 8) is the width of a gap in the paper profile; ``fold_batch_norm`` first folds each inference batch
    norm into the layer before it.

    >>> recipe = Recipe(conv=Layer(bits=8, density=0.4), fc=Layer(bits=5, density=0.09), rules={"fc8_w*": Layer(density=0.25)})
    >>> recipe.rules
    (('fc8_w*', Layer(density=0.25)),)
    """

    conv: Layer
    fc: Layer
    rules: tuple[tuple[str, Layer], ...]
    profile: str
    fold_batch_norm: bool
    min_size: int
    index_bits: int

    def __init__(
        self,
        conv: Layer = KEEP,
        fc: Layer = KEEP,
        rules: Mapping[str, Layer] | Iterable[tuple[str, Layer]] = (),
        *,
        profile: str = "compact",
        fold_batch_norm: bool = True,
        min_size: int = 256,
        index_bits: int = 5,
    ) -> None:
        """Raise :class:`RecipeError`, naming the key and what is allowed, for a value that is not."""
        check_choice("profile", profile, PROFILES)
        if not isinstance(fold_batch_norm, bool):
            raise RecipeError(f"fold_batch_norm = {fold_batch_norm!r}: allowed are true and false")
        min_size = check_integer("min_size", min_size, 1, 2**63 - 1)
        index_bits = check_integer("index_bits", index_bits, 1, 8)
        for field, layer in (("conv", conv), ("fc", fc)):
            if not isinstance(layer, Layer):
                raise RecipeError(f"{field} = {layer!r}: a Layer is expected")
        values = {"conv": conv, "fc": fc, "rules": _check_rules(rules), "profile": profile}
        values |= {"fold_batch_norm": fold_batch_norm, "min_size": min_size, "index_bits": index_bits}
        for field, value in values.items():
            object.__setattr__(self, field, value)

    @classmethod
    def lossless(cls, profile: str = "compact", *, index_bits: int = 5) -> Recipe:
        """A recipe that keeps every weight bit for bit: what is already zero or shared is found and coded."""
        return cls(profile=profile, fold_batch_norm=False, index_bits=index_bits)

    def with_profile(self, profile: str) -> Recipe:
        """The same recipe for another profile."""
        return Recipe(
            self.conv,
            self.fc,
            self.rules,
            profile=profile,
            fold_batch_norm=self.fold_batch_norm,
            min_size=self.min_size,
            index_bits=self.index_bits,
        )

    @classmethod
    def from_toml(cls, source: str | os.PathLike[str]) -> Recipe:
        """Read a recipe from a TOML file (a path) or from TOML text (a ``str`` that is empty or has a ``=``, ``[`` or newline).

        Raises:
            RecipeError: unreadable file, malformed TOML, unknown key, wrong type or value out of range.
        """
        from .recipe_toml import read_recipe

        return read_recipe(source)

    def to_toml(self) -> str:
        """The recipe as TOML text, defaults left out; :meth:`from_toml` gives an equal recipe back."""
        from .recipe_toml import write_recipe

        return write_recipe(self)


def _check_rules(rules: Mapping[str, Layer] | Iterable[tuple[str, Layer]]) -> tuple[tuple[str, Layer], ...]:
    """Rules as pairs, in order, each pattern once."""
    listed = cast("Mapping[str, Layer]", rules).items() if isinstance(rules, Mapping) else rules
    try:
        pairs = tuple((pattern, layer) for pattern, layer in listed)
    except (TypeError, ValueError):
        raise RecipeError(f"rules = {rules!r}: patterns with a Layer each are expected") from None
    seen: set[str] = set()
    for pattern, layer in pairs:
        if not isinstance(pattern, str) or not pattern:
            raise RecipeError(f"rules: {pattern!r} is not a pattern; a non-empty string is expected")
        if not isinstance(layer, Layer):
            raise RecipeError(f"rules.{pattern!r} = {layer!r}: a Layer is expected")
        if pattern in seen:
            raise RecipeError(f"rules: the pattern {pattern!r} is given twice; keep one of them")
        seen.add(pattern)
    return pairs
