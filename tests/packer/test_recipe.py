from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import RecipeError
from tersor.packer import Layer, Recipe

PRUNINGS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"density": st.floats(0, 1)}),
    st.fixed_dictionaries({"threshold": st.floats(0, 1e30)}),
    st.fixed_dictionaries({"quality": st.floats(0, 100)}),
)
LAYERS = st.builds(
    lambda pruning, **rest: Layer(**rest, **pruning),
    PRUNINGS,
    bits=st.one_of(st.none(), st.integers(1, 8)),
    init=st.sampled_from(["linear", "density", "random"]),
    seed=st.integers(0, 2**63 - 1),
    iterations=st.integers(0, 1_000_000),
    feedback=st.floats(0, 1),
)
PATTERNS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
RECIPES = st.builds(
    Recipe,
    LAYERS,
    LAYERS,
    st.dictionaries(PATTERNS, LAYERS, max_size=4),
    profile=st.sampled_from(["paper", "compact"]),
    fold_batch_norm=st.booleans(),
    min_size=st.integers(1, 10**9),
    index_bits=st.integers(1, 8),
)

TOML = """
profile = "paper"
index_bits = 4

[conv]
bits = 8
density = 0.4

[fc]
bits = 5
quality = 1

[rules."fc8_*"]
density = 0.25

[rules."head[0]"]
"""


@settings(max_examples=100, deadline=None)
@given(RECIPES)
def test_toml_gives_an_equal_recipe_back(recipe: Recipe):
    assert Recipe.from_toml(recipe.to_toml()) == recipe


@settings(max_examples=50, deadline=None)
@given(LAYERS)
def test_repr_makes_an_equal_layer(layer: Layer):
    assert eval(repr(layer), {"Layer": Layer}) == layer


def test_numbers_may_be_numpys():
    bits: Any = np.int64(3)
    density: Any = np.float32(0.5)
    assert Layer(bits=bits, density=density) == Layer(bits=3, density=0.5)
    assert type(Layer(bits=bits).bits) is int


def test_toml_text_and_file_are_read(tmp_path: Path):
    expected = Recipe(
        conv=Layer(bits=8, density=0.4),
        fc=Layer(bits=5, quality=1.0),
        rules={"fc8_*": Layer(density=0.25), "head[0]": Layer()},
        profile="paper",
        index_bits=4,
    )
    file = tmp_path / "recipe.toml"
    file.write_text(TOML, encoding="utf-8")
    assert Recipe.from_toml(TOML) == Recipe.from_toml(file) == Recipe.from_toml(str(file)) == expected
    assert Recipe.from_toml("") == Recipe()


def test_lossless_keeps_everything():
    recipe = Recipe.lossless("paper")
    assert (recipe.conv, recipe.fc, recipe.rules) == (Layer(), Layer(), ())
    assert not recipe.fold_batch_norm
    assert recipe.profile == "paper"


def test_only_the_profile_is_replaced():
    recipe = Recipe(Layer(bits=3), Layer(density=0.5), {"a*": Layer()}, fold_batch_norm=False, min_size=7, index_bits=3)
    other = recipe.with_profile("paper")
    assert other.profile == "paper"
    assert other.with_profile("compact") == recipe


def test_rules_are_pairs_in_order_however_given():
    pairs = [("b", Layer(bits=1)), ("a", Layer(bits=2))]
    assert Recipe(rules=pairs) == Recipe(rules=dict(pairs))
    assert Recipe(rules=dict(pairs)).rules == tuple(pairs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, r"bits = 0: an integer from 1 to 8"),
        ({"bits": 9}, r"bits = 9: an integer from 1 to 8"),
        ({"bits": 2.0}, r"bits = 2.0: an integer from 1 to 8"),
        ({"bits": True}, r"bits = True: an integer from 1 to 8"),
        ({"init": "best"}, r"init = 'best': allowed are 'companding', 'density', 'linear', 'random'"),
        ({"init": ["linear"]}, r"init = \['linear'\]: allowed are"),
        ({"threshold": 10**400}, r"threshold = an integer of 1329 bits: a number of at least 0"),
        ({"bits": 10**5000}, r"bits = an integer of 16610 bits: an integer from 1 to 8"),
        ({"self": 1}, r"no setting 'self'"),
        ({"seed": -1}, r"seed = -1: an integer from 0"),
        ({"iterations": -1}, r"iterations = -1: an integer from 0"),
        ({"feedback": 1.5}, r"feedback = 1.5: a number from 0 to 1"),
        ({"density": 1.5}, r"density = 1.5: a number from 0 to 1"),
        ({"density": float("nan")}, r"density = nan: a number from 0 to 1"),
        ({"threshold": -1}, r"threshold = -1: a number of at least 0"),
        ({"threshold": float("inf")}, r"threshold = inf: a number of at least 0"),
        ({"quality": "1"}, r"quality = '1': a number of at least 0"),
        ({"density": False}, r"density = False: a number from 0 to 1"),
        ({"density": 0.5, "quality": 1}, r"pruned in one way, not by 'density', 'quality' together"),
        ({"bit": 5}, r"no setting 'bit'; there are 'bits'"),
    ],
)
def test_a_layer_says_what_is_allowed(settings: dict[str, Any], message: str):
    with pytest.raises(RecipeError, match=message):
        Layer(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": "tiny"}, r"profile = 'tiny': allowed are 'paper', 'compact', 'max'"),
        ({"profile": ["paper"]}, r"profile = \['paper'\]: allowed are"),
        ({"fold_batch_norm": 1}, r"fold_batch_norm = 1: allowed are true and false"),
        ({"min_size": 0}, r"min_size = 0: an integer from 1"),
        ({"index_bits": 9}, r"index_bits = 9: an integer from 1 to 8"),
        ({"conv": {"bits": 5}}, r"conv = .*: a Layer is expected"),
        ({"rules": {"a": 5}}, r"rules.'a' = 5: a Layer is expected"),
        ({"rules": [("a", Layer()), ("a", Layer())]}, r"the pattern 'a' is given twice"),
        ({"rules": {"": Layer()}}, r"'' is not a pattern"),
    ],
)
def test_a_recipe_says_what_is_allowed(settings: dict[str, Any], message: str):
    with pytest.raises(RecipeError, match=message):
        Recipe(**settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bits = ", r"not valid TOML"),
        ("profiel = 'paper'", r"no key 'profiel'; did you mean 'profile'\?"),
        ("zzz = 1", r"no key 'zzz'; there are 'profile'"),
        (f"[conv]\nthreshold = 1{'0' * 400}", r"conv: threshold = an integer of 1329 bits: a number of at least 0"),
        (f"[conv]\nthreshold = 1{'0' * 5000}", r"not valid TOML.*digits"),
        (f"a = {'[' * 9000}", r"not valid TOML"),
        ("[conv]\ninit = ['linear']", r"conv: init = \['linear'\]: allowed are"),
        ("[conv]\nself = 1", r"conv: a layer has no setting 'self'"),
        ("conv = 5", r"conv = 5: a table is expected"),
        ("[conv]\nbits = 9", r"conv: bits = 9: an integer from 1 to 8"),
        ("[conv]\nbit = 9", r"conv: a layer has no setting 'bit'"),
        ("rules = 1", r"rules = 1: a table is expected"),
        ("[rules.'fc*']\ndensity = 2", r"rules.'fc\*': density = 2: a number from 0 to 1"),
        ("[rules]\na = 1", r"rules.'a' = 1: a table is expected"),
        ("min_size = '1'", r"min_size = '1': an integer from 1"),
        ("fold_batch_norm = 'no'", r"fold_batch_norm = 'no': allowed are true and false"),
    ],
)
def test_toml_says_which_key_is_wrong(text: str, message: str):
    with pytest.raises(RecipeError, match=message):
        Recipe.from_toml(text)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"none\.toml: cannot read the recipe: No such file or directory$"):
        Recipe.from_toml(tmp_path / "none.toml")


def test_a_file_that_is_not_text_is_named(tmp_path: Path):
    file = tmp_path / "recipe.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        Recipe.from_toml(file)


@pytest.mark.parametrize("rules", [None, 3, ["a", "b"], ["ab"], [("a", Layer(), 1)]])
def test_rules_of_another_kind(rules: Any):
    with pytest.raises(RecipeError, match="rules"):
        Recipe(rules=rules)
