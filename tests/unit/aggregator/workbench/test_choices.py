"""Settings and models as this room shows them are those that the trainer knows."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from aggregator.errors import Invalid
from aggregator.rows import as_json
from aggregator.workbench import catalogue, choices
from trainer.errors import SettingsUnusable
from trainer.workbench import settings as trainers
from trainer.workbench.candidates.catalogue import catalogue as trainers_catalogue


def test_every_setting_has_the_trainers_name_and_default():
    """Complete settings of this room are complete settings there, with the same values."""
    assert choices.complete({}) == trainers.Settings().to_json()
    assert [choice.name for choice in choices.SETTINGS] == [
        field.name for field in dataclasses.fields(trainers.Settings)
    ]


def test_every_word_allowed_here_is_allowed_there():
    """And the other way round."""
    for choice in choices.SETTINGS:
        if choice.words:
            assert choice.words == typing.get_args(trainers.WORDS[choice.name]), choice.name


@pytest.mark.parametrize("choice", [one for one in choices.SETTINGS if one.low is not None], ids=lambda one: one.name)
def test_every_range_here_is_the_range_there(choice):
    """At both ends, and one step beyond."""
    for value, fits in ((choice.low, True), (choice.high, True), (choice.low - 1, False), (choice.high + 1, False)):
        given = {choice.name: int(value) if isinstance(choice.default, int) else value}
        if fits:
            assert choices.complete(given) == trainers.Settings.from_json(given).to_json()
            continue
        with pytest.raises(Invalid):
            choices.complete(given)
        with pytest.raises(SettingsUnusable):
            trainers.Settings.from_json(given)


@pytest.mark.parametrize(
    "given",
    [
        {"nonsense": 1},
        {"format": "other"},
        {"kind": "svm"},
        {"models": "random-forest"},
        {"models": ["x"] * 5001},
        {"search": "yes"},
        {"seed": True},
        {"seed": 1.5},
        {"label": ["a"]},
        {"label": "x" * 300},
        {"time_budget_s": float("nan")},
        {"time_budget_s": "60"},
    ],
)
def test_a_mistake_is_answered_at_once(given):
    """By the setting's name and what it may be."""
    with pytest.raises(Invalid):
        choices.complete(given)


def test_settings_survive_the_way_through_yaml():
    """Whatever a column is called."""
    odd = ["yes", "null", "1e3", "a: b", "# c", "ü", "'", '"', "- d", "x" * 200, "*ref", "{e}"]
    wanted = choices.complete({"name": "weekly: 1", "label": "no", "features": odd, "benign": ["0", "true"]})
    assert choices.from_yaml(choices.to_yaml(wanted)) == wanted
    assert choices.from_yaml("seed: 9", wanted) == {**wanted, "seed": 9}


def test_every_model_is_one_of_the_trainers():
    """Name, title, kind, what it judges, and the sentence about it, in the same order."""
    there = [
        {"name": one.name, "title": one.title, "kind": one.kind, "judges": one.judges, "note": one.note}
        for one in trainers_catalogue().values()
    ]
    assert [as_json(model) for model in catalogue.MODELS] == there
    assert {model.judges for model in catalogue.models_for("ml", "benign-only")} == {"strangeness"}
    assert {model.judges for model in catalogue.models_for("dl", "multiclass")} == {"classes"}
