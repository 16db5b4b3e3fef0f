"""Quiet flows of hosts that were raising alerts are not taken for benign, and only those."""

from __future__ import annotations

import numpy as np

from trainer.corpora.suspects import MANY, REACH_MS, Suspects

T0 = 1_700_000_000_000


def texts(*hosts: str) -> np.ndarray:
    return np.array(hosts)


def alerts(source: str, target: str, count: int, at: int = T0):
    return (np.repeat(source, count), np.repeat(target, count), np.arange(count) + at)


def test_both_ends_of_an_attack_are_suspect_for_a_while():
    """The attacker and the attacked, within the reach of the context features; not before, not after, nobody else."""
    suspects = Suspects([alerts("10.0.0.1", "10.0.0.2", MANY)])
    sources = texts("10.0.0.1", "10.0.0.9", "10.0.0.9", "10.0.0.9", "10.0.0.1", "10.0.0.1")
    targets = texts("10.0.0.8", "10.0.0.2", "10.0.0.1", "10.0.0.8", "10.0.0.8", "10.0.0.8")
    at = np.array([T0, T0 + REACH_MS, T0, T0, T0 + REACH_MS + MANY + 1, T0 - REACH_MS - 1])
    assert suspects.cover(sources, targets, at).tolist() == [True, True, True, False, False, False]


def test_a_few_alerts_make_nobody_suspect():
    """A single false alarm does not take a host's traffic out of the training."""
    suspects = Suspects([alerts("10.0.0.1", "10.0.0.2", MANY - 1)])
    assert not suspects.cover(texts("10.0.0.1"), texts("10.0.0.2"), np.array([T0])).any()


def test_alerts_of_several_files_add_up():
    """An attack that is spread over lake files counts as one."""
    parts = [alerts("10.0.0.1", f"10.0.1.{number}", 1, T0 + number) for number in range(MANY)]
    suspects = Suspects(parts)
    assert suspects.cover(texts("10.0.0.1"), texts("10.0.0.7"), np.array([T0])).all()
    assert not suspects.cover(texts("10.0.1.1"), texts("10.0.0.7"), np.array([T0])).any()


def test_nothing_is_suspect_without_alerts():
    """No alerts, no suspects; no rows, no answers."""
    assert not Suspects().cover(texts("a"), texts("b"), np.array([1])).any()
    assert len(Suspects([alerts("a", "b", 9)]).cover(texts(), texts(), np.array([], dtype=np.int64))) == 0
