"""What is held back: quiet flows of hosts in open or unjudged incidents, and alerts that the cap turned down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from trainer.corpora import held, lake
from trainer.corpora.rows import Found, Verdict
from trainer.corpora.suspects import REACH_MS
from trainer.errors import SourceMissing

if TYPE_CHECKING:
    from pathlib import Path

START = 1_700_000_000_000


def _write(path: Path, **changes: Any) -> Path:
    document = {
        "format": held.FORMAT,
        "hosts": [{"host": "10.0.0.1", "from_ms": START, "until_ms": START + 1000, "why": "open incident"}],
        "thresholds": [{"agent_id": "office", "model_digest": "m", "threshold": 3.0}],
    }
    path.write_text(json.dumps(document | changes))
    return path


@pytest.mark.parametrize(
    ("source", "target", "at", "expected"),
    [
        ("10.0.0.1", "10.0.0.9", START + 500, "open incident"),
        ("10.0.0.9", "10.0.0.1", START + 500, "open incident"),
        ("10.0.0.9", "10.0.0.8", START + 500, ""),
        ("10.0.0.1", "10.0.0.9", START - REACH_MS, "open incident"),
        ("10.0.0.1", "10.0.0.9", START - REACH_MS - 1, ""),
        ("10.0.0.1", "10.0.0.9", START + 1000 + REACH_MS + 1, ""),
    ],
)
def test_hosts_are_held_back_while_their_incident_lasts(
    tmp_path: Path, source: str, target: str, at: int, expected: str
) -> None:
    """At either end, with the reach of the context features on both sides."""
    holding = held.read(_write(tmp_path / "held.json"))
    assert holding.reasons(np.array([source]), np.array([target]), np.array([at])).tolist() == [expected]


def test_quiet_rows_above_the_threshold_are_alerts_the_cap_turned_down(tmp_path: Path) -> None:
    """Of that agent and model only."""
    holding = held.read(_write(tmp_path / "held.json"))
    agents, models = np.array(["office", "office", "home", "office"]), np.array(["m", "m", "m", "n"])
    capped = holding.capped(agents, models, np.array([3.0, 2.9, 9.0, 9.0]))
    assert capped.tolist() == [True, False, False, False]


def test_the_lake_leaves_held_rows_out_and_counts_them_unless_somebody_judged_them(
    synthetic: Any, tmp_path: Path
) -> None:
    """A verdict is stronger than a suspicion."""
    path = synthetic.write_lake(
        tmp_path / "a.parquet",
        synthetic.benign(4, 1),
        start_ms=START,
        src_ip=["10.0.0.1", "10.0.0.1", "10.0.0.5", "10.0.0.6"],
        verdict=[None, "benign", None, None],
        score=[0.5, 0.5, 4.0, 0.5],
        model_digest="m",
    )
    taken: list[Any] = []
    holding = held.read(_write(tmp_path / "held.json"))
    file = lake.read(Found(path, path.name), taken.append, labelled_only=False, held=holding)
    assert np.concatenate([rows.verdict for rows in taken]).tolist() == [Verdict.BENIGN, Verdict.NONE]
    assert file.left_out == {"open incident": 1, held.CAPPED: 1}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "other"}', '{"format": "anomaflow-held-1", "hosts": [1]}']
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    """Training must not go on as if nothing were held back."""
    path = tmp_path / "held.json"
    path.write_text(text)
    with pytest.raises(SourceMissing, match=r"held\.json"):
        held.read(path)
    with pytest.raises(SourceMissing, match="gone"):
        held.read(tmp_path / "gone.json")


def test_a_file_of_another_contract_in_a_folder_is_left_out_and_counted(synthetic: Any, tmp_path: Path) -> None:
    """An upgrade leaves such files in the lake; the next training must not stumble over them."""
    path = synthetic.write_lake(tmp_path / "a.parquet", synthetic.benign(3, 1), digest="0" * 64)
    taken: list[Any] = []
    file = lake.read(Found(path, path.name, named=False), taken.append, labelled_only=False)
    assert file.rows == 0
    assert file.left_out == {"another feature contract": 3}
    assert not taken
