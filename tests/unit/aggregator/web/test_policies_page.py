"""What the policies page says of a preview, before any browser draws it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.calibration.promised import Preview
from aggregator.web.pages.policies import rate, readouts, spread

FOUND = Preview(
    group="default", threshold=2.5, promised_fpr=0.005, basis="certified", why="w", rows=9_000, flows_per_day=40_000.0,
    expected_alerts_per_day=180.0, fpr=0.0045, fpr_low=0.004, fpr_high=0.005, windows=0.03, base_rate=0.001,
    attack_rows=400, recall=0.9, recall_low=0.87, recall_high=0.93, precision=0.17, precision_low=0.15,
    precision_high=0.19, max_alerts_per_minute=600, current_threshold=3.0, current_promised_fpr=0.001, curve=(),
)  # fmt: skip


def test_every_readout_stands_beside_what_bounds_it() -> None:
    """Alerts a day with the hard cap, a rate with what certifies it, detection with intervals and base rate."""
    told = {name: (value, small) for name, value, small in readouts(FOUND)}
    assert told["Threshold"] == ("2.50", "now 3.00")
    assert told["Alerts a day"][0] == "180"
    assert "hard cap 600 a minute" in told["Alerts a day"][1]
    assert told["False positives"] == ("0.45 %", "at most 0.5 %: certified")
    assert "87 % to 93 %" in told["Recall"][1]
    assert "400 labelled attack rows" in told["Recall"][1]
    assert told["Precision"] == ("17 %", "15 % to 19 % at 0.1 % attacks")


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"expected_alerts_per_day": None}, "Alerts a day", "unknown"),
        ({"fpr": None}, "False positives", "unknown"),
        ({"recall": None, "recall_low": None, "recall_high": None, "attack_rows": 0}, "Recall", "nothing is labelled"),
        ({"basis": "model"}, "False positives", "the model's own calibration"),
        ({"promised_fpr": None, "basis": "hand"}, "False positives", "no rate is promised"),
    ],
)
def test_what_is_not_known_is_said_so(change: dict[str, object], name: str, words: str) -> None:
    """Nothing is invented to fill a tile."""
    told = {title: f"{value} {small}" for title, value, small in readouts(replace(FOUND, **change))}
    assert words in told[name]


def test_rates_and_intervals() -> None:
    """Two significant digits, with an interval where there is one."""
    assert rate(0.012, 0.01, 0.015) == "1.2 % (1 % to 1.5 %)"
    assert rate(None) == "unknown"
    assert spread(None, 0.1) == ""
