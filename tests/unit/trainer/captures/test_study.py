"""The splits of the benchmark on captures, and what its runs say together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trainer.captures import study
from trainer.corpora.truth import Entry
from trainer.errors import NotEnoughRows


def _entries(count: int = 10) -> list[Entry]:
    benign = [Entry(f"{n}.pcap", Path(f"{n}.pcap"), "benign", "", f"lab{n % 2}", None) for n in range(count)]
    return [*benign, Entry("bad.pcap", Path("bad.pcap"), "attack", "scan:x", "lab0", None)]


def test_a_split_is_by_whole_captures_and_seeded() -> None:
    """The same seed deals the same captures, another seed others; attacks are never fitted."""
    plan = study.Plan(Path("m.csv"), seeds=3, fit_share=0.6)
    first, again = study.rounds(_entries(), plan), study.rounds(list(reversed(_entries())), plan)
    assert [[entry.name for entry in one.fit] for one in first] == [[e.name for e in one.fit] for one in again]
    assert [len(one.fit) for one in first] == [6, 6, 6]
    assert len({tuple(entry.name for entry in one.fit) for one in first}) == 3
    assert all(entry.label == "benign" for one in first for entry in one.fit)


@pytest.mark.parametrize("by_network", [False, True])
def test_fresh_seeds_continue_where_the_others_ended(by_network: bool) -> None:
    """Seeds 1 to 3 are seeds 1 and 2, then seed 3: what is asked in parts is the same as in one piece."""
    plan = study.Plan(Path("m.csv"), seeds=3, by_network=by_network)
    parts = [study.rounds(_entries(), replace(plan, seeds=count, first_seed=at)) for at, count in ((1, 2), (3, 1))]
    assert parts[0] + parts[1] == study.rounds(_entries(), plan)


def test_one_network_after_the_other_is_left_out() -> None:
    """Nothing of it is fitted."""
    done = study.rounds(_entries(), study.Plan(Path("m.csv"), seeds=1, by_network=True))
    assert [{entry.network for entry in one.fit} for one in done] == [{"lab1"}, {"lab0"}]


@pytest.mark.parametrize("by_network", [False, True])
def test_nothing_to_keep_from_the_fit_is_said(by_network: bool) -> None:
    """One capture cannot be both fitted and tested."""
    with pytest.raises(NotEnoughRows, match="benign captures"):
        study.rounds(_entries(1), study.Plan(Path("m.csv"), by_network=by_network))


def test_the_spread_is_students() -> None:
    """Mean, range and the 95 % interval of the mean of three runs."""
    found = study.spread([1.0, 2.0, 3.0, None])
    assert found["mean"] == 2.0
    assert (found["least"], found["most"], found["runs"]) == (1.0, 3.0, 3)
    assert found["interval"] == pytest.approx([2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5], abs=1e-4)
    assert study.spread([None])["mean"] is None
    assert study.spread([1.0])["interval"] is None
