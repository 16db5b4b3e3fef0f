"""The recipe names everything a run depends on."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from protos.manifest import CaptureProfile
from trainer.making.recipe import COMPONENTS, Members, Network, Recipe, Shares, installed_versions


def test_a_recipe_is_hashable_and_its_digest_is_a_function_of_it() -> None:
    """Equal recipes are equal in every sense."""
    assert Recipe(sources=("a",)) == Recipe(sources=("a",))
    assert len({Recipe(sources=("a",)), Recipe(sources=("a",))}) == 1
    assert Recipe(sources=("a",)).digest == Recipe(sources=("a",)).digest


@pytest.mark.parametrize(
    "change",
    [
        {"sources": ("b",)},
        {"labelled": ("c",)},
        {"seed": 8},
        {"alpha": 1e-3},
        {"alphas": (0.1,)},
        {"max_rows": 10},
        {"network": Network(layers=(8, 4))},
        {"network": Network(epochs=1)},
        {"members": Members(names=("mahalanobis",))},
        {"members": Members(coreset=64)},
        {"shares": Shares(calibrate=0.3)},
        {"profile": CaptureProfile(idle_timeout_ms=1)},
        {"feature_digest": "0"},
        {"versions": (("numpy", "0"),)},
    ],
)
def test_changing_anything_changes_the_digest(change: dict) -> None:
    """No part of a recipe is left out of its digest."""
    recipe = Recipe(sources=("a",))
    assert dataclasses.replace(recipe, **change).digest != recipe.digest


def test_every_field_is_covered_by_the_test_above() -> None:
    """A field added to the recipe must be added there too."""
    assert {field.name for field in dataclasses.fields(Recipe)} == {
        "sources", "labelled", "seed", "alpha", "alphas", "max_rows", "network", "members", "shares", "profile",
        "feature_digest", "versions",
    }  # fmt: skip


def test_versions_are_read_without_importing_anything_heavy() -> None:
    """Naming TensorFlow's version does not cost its import."""
    assert dict(installed_versions()).keys() == set(COMPONENTS)
    code = "import sys, trainer.making.recipe as r; r.installed_versions(); print(int('tensorflow' in sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
