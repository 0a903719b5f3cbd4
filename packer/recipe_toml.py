"""Recipes as TOML.

Top level: ``profile``, ``fold_batch_norm``, ``min_size``, ``index_bits``; tables ``[conv]``, ``[fc]`` and, for each pattern,
``[rules."pattern"]`` (in the order in which they apply). A table holds the keywords of :class:`~.recipe.Layer`; an empty one
keeps the tensor as it is.
"""

from __future__ import annotations

import importlib
import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..format_spec.errors import MissingExtra, RecipeError
from ._checks import listed
from .recipe import Layer, Recipe

_SCALARS = ("profile", "fold_batch_norm", "min_size", "index_bits")
_TABLES = ("conv", "fc")


def read_recipe(source: str | os.PathLike[str]) -> Recipe:
    """See :meth:`Recipe.from_toml`."""
    try:
        document = tomllib.loads(_text(source))
    except (ValueError, RecursionError) as error:  # beside its own error: an integer of too many digits, and too deep nesting
        raise RecipeError(f"the recipe is not valid TOML: {error}") from error
    return _from_document(document)


def write_recipe(recipe: Recipe) -> str:
    """See :meth:`Recipe.to_toml`."""
    default = Recipe()
    document: dict[str, Any] = {key: getattr(recipe, key) for key in _SCALARS if getattr(recipe, key) != getattr(default, key)}
    document |= {key: getattr(recipe, key).settings() for key in _TABLES if getattr(recipe, key) != Layer()}
    if recipe.rules:
        document["rules"] = {pattern: layer.settings() for pattern, layer in recipe.rules}
    return _writer().dumps(document)


def _writer() -> Any:
    try:
        return importlib.import_module("tomli_w")
    except ModuleNotFoundError as error:
        raise MissingExtra("writing recipes as TOML needs tomli_w: pip install 'tersor[pack]'") from error


def _text(source: str | os.PathLike[str]) -> str:
    if isinstance(source, str) and (not source.strip() or any(mark in source for mark in "=[\n#")):
        return source
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"{os.fspath(source)}: cannot read the recipe: {reason}") from error


def _from_document(document: Mapping[str, Any]) -> Recipe:
    _check_keys(document, (*_SCALARS, *_TABLES, "rules"))
    rules = _table("rules", document.get("rules", {}))
    return Recipe(
        **{key: _layer(key, document[key]) for key in _TABLES if key in document},
        **{key: document[key] for key in _SCALARS if key in document},
        rules={pattern: _layer(f"rules.{pattern!r}", table) for pattern, table in rules.items()},
    )


def _layer(key: str, table: Any) -> Layer:
    try:
        return Layer(**_table(key, table))
    except RecipeError as error:
        raise error if str(error).startswith(key) else RecipeError(f"{key}: {error}") from error


def _table(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RecipeError(f"{key} = {value!r}: a table is expected")
    return value


def _check_keys(document: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in document:
        if key not in known:
            close = get_close_matches(key, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise RecipeError(f"a recipe has no key {key!r}{hint}; there are {listed(known)}")
