"""Recipes made of flags."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from tersor.cli import _recipe
from tersor.packer import Layer, Recipe, _checks
from tersor.packer.prune import methods
from tersor.packer.quantize import initialisations


def made(*arguments: str) -> Recipe:
    """The recipe that the flags of ``pack`` make."""
    command = click.Command("pack", callback=lambda **flags: _recipe.make_recipe(flags))
    result = CliRunner().invoke(_recipe.recipe_options(command), arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value


def test_weights_are_shared_at_8_bits_when_nothing_else_is_said():
    assert made() == Recipe(Layer(bits=8), Layer(bits=8))
    assert made("--profile", "paper", "--index-bits", "8") == Recipe(
        Layer(bits=8), Layer(bits=8), profile="paper", index_bits=8
    )


@pytest.mark.parametrize(("flag", "value"), [("init", "random"), ("init", "linear"), ("feedback", 0.5), ("feedback", 0.0)])
def test_how_to_share_does_not_say_how_much(flag: str, value: Any):
    layer = Layer(bits=8, **{flag: value})
    assert made(f"--{flag}", str(value)) == Recipe(layer, layer)


def test_a_seed_is_for_a_random_start():
    layer = Layer(bits=8, init="random", seed=3)
    assert made("--init", "random", "--seed", "3") == Recipe(layer, layer)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--density", "0.3", "--feedback", "0.5"),
        ("--density", "0.3", "--init", "random"),
        ("--rule", "a=bits:3", "--init", "random"),
        ("--seed", "7"),
        ("--bits", "4", "--init", "linear", "--seed", "7"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(arguments: tuple[str, ...]):
    with pytest.raises(click.UsageError, match=r"how weights are shared|--init random"):
        made(*arguments)


def test_what_is_kept_is_kept_whatever_rules_say():
    assert made("--rule", "a=bits:4", "--rule", "b=bits:3", "--keep", "a", "--keep", "a") == Recipe(
        rules=[("b", Layer(bits=3)), ("a", Layer())]
    )


def test_what_is_kept_leaves_the_rest_shared():
    assert made("--keep", "a*") == Recipe(Layer(bits=8), Layer(bits=8), {"a*": Layer()})


@pytest.mark.parametrize("group", ["", "conv-", "fc-"])
@pytest.mark.parametrize("key", ["bits", *methods()])
def test_a_number_replaces_the_8_bits(group: str, key: str):
    value: Any = 4 if key == "bits" else 0
    layer = Layer(**{key: value})
    layers = {"": (layer, layer), "conv-": (layer, Layer()), "fc-": (Layer(), layer)}
    assert made(f"--{group}{key}", str(value)) == Recipe(*layers[group])


def test_a_rule_replaces_the_8_bits():
    assert made("--rule", "a=bits:3") == Recipe(rules={"a": Layer(bits=3)})


def test_pruning_of_a_group_replaces_the_common_pruning():
    recipe = made("--bits", "6", "--threshold", "0.1", "--fc-density", "0.2")
    assert recipe == Recipe(Layer(bits=6, threshold=0.1), Layer(bits=6, density=0.2))
    assert made("--threshold", "0.1", "--fc-bits", "3") == Recipe(Layer(threshold=0.1), Layer(bits=3, threshold=0.1))


def test_lossless_takes_a_profile_and_its_gaps():
    assert made("--lossless", "--profile", "paper", "--index-bits", "3") == Recipe.lossless("paper", index_bits=3)


def test_flags_offer_what_is_registered():
    assert set(_recipe.NUMBERS) == {"bits", *methods()} == set(_recipe.HELP)
    assert set(_recipe.FRACTIONS) == {*methods(), "feedback"}
    assert set(_recipe.INITS) == set(initialisations())
    assert set(_recipe.PROFILES) == set(_checks.PROFILES)


@pytest.mark.parametrize("rule", ["bits:4", "fc*=bits", "fc*=bits:4,init", ""])
def test_a_rule_of_another_form(rule: str):
    with pytest.raises(click.BadParameter, match="is not PATTERN=KEY:VALUE"):
        made("--rule", rule)


def test_a_rule_of_no_value():
    with pytest.raises(click.BadParameter, match="'four' is no value for 'bits'"):
        made("--rule", "fc*=bits:four")


def test_a_rule_sets_nothing_twice():
    with pytest.raises(click.BadParameter, match="sets one thing twice"):
        made("--rule", "fc*=bits:4,bits:5")
