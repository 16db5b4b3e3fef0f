"""Reading rows: what counts as benign, what is left out, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agent.errors import NotACapture
from protos import contract
from protos.manifest import CaptureProfile
from trainer.corpora import sources
from trainer.corpora.sources import Found, Verdict
from trainer.errors import ForeignRows, SourceMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROFILE = CaptureProfile()
VERDICTS = [None, None, "benign", "malicious", "unsure"]
DECISIONS = [0, 1, 1, 1, 1]


def _read(path: Path, reader: Callable[..., Any]) -> tuple[Any, list[sources.Rows]]:
    taken: list[sources.Rows] = []
    return reader(Found(path, path.name), PROFILE, taken.append), taken


def test_benign_lake_rows_are_the_labelled_benign_and_the_quiet_unlabelled(synthetic: Any, tmp_path: Path) -> None:
    """An alert without a verdict is not benign, and what is left out is counted."""
    rows = synthetic.benign(5, 1)
    path = synthetic.write_lake(tmp_path / "a.parquet", rows, verdict=VERDICTS, decision=DECISIONS, weight=4.0)
    file, [taken] = _read(path, sources.read_benign)
    assert np.array_equal(taken.features, rows[[0, 2]])
    assert taken.verdict.tolist() == [Verdict.NONE, Verdict.BENIGN]
    assert taken.weights.tolist() == [4.0, 4.0]
    assert file.rows == 2
    assert file.left_out == {"unlabelled alerts": 1, "unsure": 1, "malicious": 1}
    assert file.sha256 == sources.file_digest(path)


def test_labelled_lake_rows_are_those_with_a_verdict_one_way_or_the_other(synthetic: Any, tmp_path: Path) -> None:
    """Unsure is no verdict to learn from."""
    rows = synthetic.benign(5, 1)
    path = synthetic.write_lake(tmp_path / "a.parquet", rows, verdict=VERDICTS, decision=DECISIONS)
    [file], [taken] = _read(path, sources.read_labelled)
    assert np.array_equal(taken.features, rows[[2, 3]])
    assert taken.verdict.tolist() == [Verdict.BENIGN, Verdict.MALICIOUS]
    assert file.left_out == {"unsure": 1, "unlabelled": 2}


def test_lake_rows_are_kept_apart_by_agent(synthetic: Any, tmp_path: Path) -> None:
    """The split works by source, and a lake's sources are its agents."""
    path = synthetic.write_lake(tmp_path / "a.parquet", synthetic.benign(4, 1), agent_id=["x", "y", "x", "y"])
    _, taken = _read(path, sources.read_benign)
    assert [(rows.origin, len(rows.features)) for rows in taken] == [("agent:x", 2), ("agent:y", 2)]


@pytest.mark.parametrize(
    ("change", "match"),
    [({"digest": "0" * 64}, "feature digest"), ({"weight": 0.0}, "weight"), ({"weight": float("nan")}, "finite")],
)
def test_foreign_or_damaged_rows_are_refused(synthetic: Any, tmp_path: Path, change: dict, match: str) -> None:
    """Rows of another contract never train a model, nor do rows that cannot be weighed."""
    path = synthetic.write_lake(tmp_path / "a.parquet", synthetic.benign(3, 1), **change)
    with pytest.raises(ForeignRows, match=match):
        _read(path, sources.read_benign)


def test_what_only_has_the_name_of_parquet_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(ForeignRows, match="a.parquet"):
        _read(path, sources.read_benign)


def test_find_walks_folders_in_a_stable_order_and_takes_each_file_once(tmp_path: Path) -> None:
    """Captures and Parquet files, not what is still being written, not other files."""
    for name in ("b/x.pcap", "a/y.parquet", "a/.z.parquet", "a/readme.txt", "c.pcapng"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = sources.find([tmp_path, tmp_path / "c.pcapng"])
    assert [entry.name for entry in found] == ["a/y.parquet", "b/x.pcap", "c.pcapng"]


def test_missing_and_empty_places_are_named(tmp_path: Path) -> None:
    """A path that gives nothing is an error, not a smaller corpus."""
    with pytest.raises(SourceMissing, match="does not exist"):
        sources.find([tmp_path / "none"])
    with pytest.raises(SourceMissing, match="no capture and no Parquet"):
        sources.find([tmp_path])


def test_a_capture_gives_the_rows_an_agent_would_compute(write_pcap: Callable[..., Path]) -> None:
    """Rows come from the agent's own meter and features, in contract order."""
    file, taken = _read(write_pcap("a.pcap", 30), sources.read_benign)
    features = np.concatenate([rows.features for rows in taken])
    assert features.shape == (30, len(contract.FEATURES))
    assert (features[:, contract.index("is_udp")] == 1).all()
    assert features[:, contract.index("src_flows_10s")].max() > 1
    assert {rows.origin for rows in taken} == {file.sha256}
    assert (np.concatenate([rows.kind for rows in taken]) == (17 << 16) + 53).all()


def test_a_truncated_capture_gives_what_was_whole_and_says_so(write_pcap: Callable[..., Path]) -> None:
    """A capture cut off while it was written is still worth its whole packets."""
    file, taken = _read(write_pcap("a.pcap", 20, cut=7), sources.read_benign)
    assert sum(len(rows.features) for rows in taken) == 19
    assert file.left_out == {"truncated": 1}


def test_a_file_that_is_no_capture_is_the_agents_error(tmp_path: Path) -> None:
    """Its exit code is that of an unreadable source."""
    path = tmp_path / "a.pcap"
    path.write_bytes(b"no capture at all, but long enough to be one")
    with pytest.raises(NotACapture):
        _read(path, sources.read_benign)


def test_a_manifest_gives_only_its_attack_flows(write_pcap: Callable[..., Path], tmp_path: Path) -> None:
    """Benign captures of a manifest are not false positives, and the rest of a mixed one is nobody's."""
    write_pcap("good.pcap", 5)
    write_pcap("bad.pcap", 6)
    write_pcap("both.pcap", 7)
    path = tmp_path / "m.csv"
    path.write_text(
        "file,label,attack,attack_rule\ngood.pcap,benign,,\nbad.pcap,attack,x,\nboth.pcap,mixed,y,(src_port < 40002)\n"
    )
    files, taken = _read(path, sources.read_labelled)
    assert [(file.name, file.rows) for file in files] == [("bad.pcap", 6), ("both.pcap", 2)]
    assert all((rows.verdict == Verdict.MALICIOUS).all() for rows in taken)


def test_a_capture_alone_cannot_be_labelled(write_pcap: Callable[..., Path], tmp_path: Path) -> None:
    """The message says what could be."""
    with pytest.raises(SourceMissing, match="no verdicts"):
        _read(write_pcap("a.pcap", 3), sources.read_labelled)
    (tmp_path / "m.csv").write_text("file,label\nnone.pcap,attack\n")
    with pytest.raises(SourceMissing, match="none.pcap"):
        _read(tmp_path / "m.csv", sources.read_labelled)


def test_quiet_rows_of_a_host_under_attack_are_left_out(synthetic: Any, tmp_path: Path) -> None:
    """Unlabelled quiet rows near alerts are counted as left out; labelled ones and those of other hosts are used."""
    rows = synthetic.benign(30, seed=3)
    path = synthetic.write_lake(
        tmp_path / "a.parquet",
        rows,
        decision=[1] * 10 + [0] * 20,
        src_ip=["10.0.0.66"] * 20 + ["10.0.0.7"] * 10,
        verdict=["malicious"] * 10 + ["benign"] + [None] * 19,
        dst_ip=["10.0.0.2"] * 20 + ["10.0.0.8"] * 10,
    )
    found = sources.find([path])
    taken = []
    file = sources.read_benign(found[0], PROFILE, taken.append, sources.find_suspects(found))
    assert file.rows == 11
    assert file.left_out["near alerts"] == 9
    assert sum(len(part.features) for part in taken) == 11


def test_a_row_knows_its_host_and_an_attack_its_family(synthetic: Any, tmp_path: Path) -> None:
    """The host is the same number for the same address, from lake and capture; only malicious rows have a family."""
    path = synthetic.write_lake(
        tmp_path / "a.parquet",
        synthetic.benign(4, 1),
        verdict=["malicious", "malicious", "benign", "malicious"],
        family=["port scan", None, "port scan", "beacon"],
        src_ip=["10.0.0.2", "10.0.0.1", "10.0.0.2", "::1"],
    )
    _, [taken] = _read(path, sources.read_labelled)
    assert [taken.families[place] for place in taken.family] == ["port scan", sources.UNNAMED, "", "beacon"]
    assert taken.families[0] == ""
    assert taken.host[0] == taken.host[2]
    assert len(set(taken.host.tolist())) == 3


def test_hosts_of_captures_and_of_the_lake_agree(synthetic: Any, write_pcap: Any, tmp_path: Path) -> None:
    """One address, one number, wherever the row lies."""
    _, parts = _read(write_pcap("a.pcap", 4, host=2), sources.read_benign)
    path = synthetic.write_lake(tmp_path / "a.parquet", synthetic.benign(1, 1), src_ip="10.0.0.2")
    _, [lake] = _read(path, sources.read_benign)
    assert set(np.concatenate([part.host for part in parts]).tolist()) == set(lake.host.tolist())


@pytest.mark.parametrize(
    ("attack", "family"),
    [("scan: tcp syn", "scan"), ("slowloris", "slowloris"), ("", sources.UNNAMED), (" : x", sources.UNNAMED)],
)
def test_a_family_is_the_text_before_the_colon(attack: str, family: str) -> None:
    """What a manifest does not name is just an attack."""
    assert sources.family_of(attack) == family
