"""Soundness: a model that says nothing, or learned the label, is refused with the reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trainer.errors import Unsound
from trainer.making import soundness
from trainer.making.soundness import Subject

F = 6


def _subject() -> Subject:
    chance = np.random.default_rng(1)
    fit, held = (chance.exponential(size=(400, F)).astype(np.float32) for _ in range(2))
    parts = np.full((400, F), 1 / F, dtype=np.float32)
    raw = held.sum(axis=1)
    attacks = (held[:150] + 2).astype(np.float32)
    return Subject([f"f{at}" for at in range(F)], fit, held, raw, parts, attacks, ["a", "b", "c"] * 50, 0.97)


def _reasons(subject: Subject) -> list[str]:
    return [finding.name for finding in soundness.examine(subject) if finding.refuses]


def test_a_sound_model_passes() -> None:
    """Nothing refuses it, and everything was looked at."""
    found = soundness.examine(_subject())
    soundness.require(found)
    assert len(soundness.to_json(found)["checked"]) == 8
    assert soundness.to_json(found)["warnings"] == []


def _broken(name: str) -> Subject:
    subject = _subject()
    held, fit, raw = subject.held.copy(), subject.fit.copy(), subject.raw.copy()
    match name:
        case "finite":
            raw[3] = np.nan
        case "constant":
            raw[:] = 2.5
        case "saturated":
            raw[raw > np.quantile(raw, 0.9)] = raw.max()
        case "overlap":
            held[:10] = fit[:10]
        case "foreign":
            fit[:, :3] = 0
        case "one feature":
            raw = np.exp(held[:, 2])
        case "leak":
            attacks = subject.attacks.copy()
            attacks[:, 4] = held[:, 4].max() + 1
            return dataclasses.replace(subject, attacks=attacks)
    return dataclasses.replace(subject, held=held, fit=fit, raw=raw)


@pytest.mark.parametrize("name", ["finite", "constant", "saturated", "overlap", "foreign", "one feature", "leak"])
def test_each_fault_refuses_by_its_name(name: str) -> None:
    """And by no other; the message names what to do."""
    subject = _broken(name)
    assert _reasons(subject) == [name]
    with pytest.raises(Unsound, match=name):
        soundness.require(soundness.examine(subject))


def test_weaker_signs_are_warnings() -> None:
    """One changed feature, one that dominates, one that beats the model: the reader decides."""
    subject = _subject()
    fit, parts = subject.fit.copy(), np.zeros_like(subject.contributions)
    fit[:, 0] = 1
    parts[:, 5] = 1
    found = soundness.examine(dataclasses.replace(subject, fit=fit, contributions=parts, area=0.5))
    soundness.require(found)
    warnings = " ".join(soundness.to_json(found)["warnings"])
    assert "f0" in warnings
    assert "f5 holds 100%" in warnings
    assert "better" in warnings


def test_one_family_that_one_feature_finds_is_no_leak() -> None:
    """A port scan is found by its ports, and rightly so."""
    subject = dataclasses.replace(_broken("leak"), family=["scan"] * 150)
    assert _reasons(subject) == []


def test_a_count_of_what_hosts_did_is_no_leak() -> None:
    """Scans, floods and sweeps all raise it, which is what it is for; the same of a flow's own feature is refused."""
    subject = _broken("leak")
    counted = np.zeros(len(subject.names), dtype=np.bool_)
    assert _reasons(dataclasses.replace(subject, counted=counted)) != []
    assert _reasons(dataclasses.replace(subject, counted=~counted)) == []
