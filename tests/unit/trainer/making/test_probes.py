"""Probes: made from benign rows alone, each kind breaking one thing."""

from __future__ import annotations

from typing import Any

import numpy as np

from protos import contract
from trainer.making import probes

NAMES = contract.FEATURES


def _make(synthetic: Any, seed: int = 1) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rows = synthetic.benign(500, 1)
    kind = np.arange(500) % 3
    return rows, probes.make(rows, kind.astype(np.int64), NAMES, seed)


def test_kinds_are_finite_and_seeded(synthetic: Any) -> None:
    """The same rows and seed, the same probes."""
    _, made = _make(synthetic)
    _, again = _make(synthetic)
    assert {"swapped", "shifted", "blurred", "scan", "flood", "moved"} <= set(made)
    for name, rows in made.items():
        assert rows.shape == (probes.ROWS, len(NAMES))
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        assert (rows >= 0).all()
        assert np.array_equal(rows, again[name])


def test_swapped_values_all_occur(synthetic: Any) -> None:
    """Only what goes with what is new."""
    rows, made = _make(synthetic)
    for column in range(0, len(NAMES), 7):
        assert np.isin(made["swapped"][:, column], rows[:, column]).all()


def test_a_shift_touches_one_feature(synthetic: Any) -> None:
    """Every other value is that of a benign row, up to rounding."""
    rows, made = _make(synthetic)
    for probe in made["shifted"][:20]:
        same = np.isclose(rows, probe, rtol=1e-3, atol=1e-3).sum(axis=1).max()
        assert same >= len(NAMES) - 1


def test_a_scan_raises_what_a_scan_raises(synthetic: Any) -> None:
    """Ports and refusals of the initiator, not the size of packets."""
    rows, made = _make(synthetic)
    ports, sizes = contract.index("src_ports_10s"), contract.index("bidirectional_mean_ps")
    assert np.median(made["scan"][:, ports]) > np.median(rows[:, ports])
    assert np.isin(made["scan"][:, sizes], rows[:, sizes]).all()


def test_unknown_features_leave_out_the_kinds_that_need_names() -> None:
    """A table of one's own has no ports per source."""
    rows = np.random.default_rng(1).exponential(size=(50, 4)).astype(np.float32)
    made = probes.make(rows, np.zeros(50, dtype=np.int64), ["a", "b", "c", "d"], 1)
    assert set(made) == {"swapped", "shifted", "blurred"}
    assert probes.make(rows[:0], np.zeros(0, dtype=np.int64), ["a", "b", "c", "d"], 1) == {}
