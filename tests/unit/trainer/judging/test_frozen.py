"""Frozen sets: what they are made of, that they stay the same, and that an unusable one is told, not forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from protos import contract
from protos.manifest import CaptureProfile
from trainer.errors import ForeignRows, SourceMissing
from trainer.judging import frozen
from trainer.judging.standing import Sets
from trainer.main import main

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = CaptureProfile()
FAMILIES = {
    "beacon", "connect scan", "dns tunnel", "exfiltration", "horizontal scan", "password guessing", "slowloris",
    "syn flood", "udp scan", "vertical scan",
}  # fmt: skip


@pytest.fixture(scope="module")
def generated() -> frozen.Frozen:
    """The built-in attacks."""
    return frozen.read([frozen.GENERATED], frozen.ATTACKS, PROFILE)


def test_the_generated_set_has_every_family_and_no_family_drowns_the_others(generated: frozen.Frozen) -> None:
    """Scans, floods, password guessing, tunnel, beacon: a first retraining is judged by them."""
    families = generated.to_json()["families"]
    assert set(families) == FAMILIES
    assert max(families.values()) <= frozen.MOST_OF_FAMILY
    assert np.isfinite(generated.features).all()


def test_the_generated_set_is_always_the_same(generated: frozen.Frozen) -> None:
    """Frozen means that two fits are judged by equal rows."""
    assert frozen.generate(PROFILE).digest == generated.digest


def test_a_set_file_gives_back_what_was_written(generated: frozen.Frozen, tmp_path: Path) -> None:
    """Rows, families and digest; and the same bytes from the same set."""
    one, other = tmp_path / "one.parquet", tmp_path / "other.parquet"
    frozen.write(generated, frozen.ATTACKS, one)
    frozen.write(generated, frozen.ATTACKS, other)
    assert one.read_bytes() == other.read_bytes()
    back = frozen.read([str(one)], frozen.ATTACKS, PROFILE)
    assert back.digest == generated.digest
    assert back.faults == ()


def test_captures_and_manifests_make_sets(write_pcap: Any, tmp_path: Path) -> None:
    """A capture of attacks is a family by its name; a manifest says it itself, and its benign ones are golden."""
    scan = write_pcap("scan.x.pcap", 5)
    write_pcap("calm.pcap", 7, port=443)
    manifest = tmp_path / "list.csv"
    manifest.write_text("file,label,attack\nscan.x.pcap,attack,port scan: udp\ncalm.pcap,benign,\n")
    assert frozen.read([str(scan)], frozen.ATTACKS, PROFILE).family.tolist() == ["scan"] * 5
    assert frozen.read([str(manifest)], frozen.ATTACKS, PROFILE).family.tolist() == ["port scan"] * 5
    golden = frozen.read([str(manifest)], frozen.GOLDEN, PROFILE)
    assert golden.family.tolist() == [""] * 7


def test_a_set_of_another_contract_is_told_with_what_it_was_made_of(write_pcap: Any, tmp_path: Path) -> None:
    """The reader learns which captures to make it from again."""
    path = tmp_path / "set.parquet"
    frozen.write(frozen.read([str(write_pcap("scan.pcap", 5))], frozen.ATTACKS, PROFILE), frozen.ATTACKS, path)
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, b"anomaflow.feature_digest": b"0" * 64}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    found = frozen.read([str(path)], frozen.ATTACKS, PROFILE)
    assert len(found) == 0
    [fault] = found.faults
    assert "scan.pcap" in fault
    assert "anomaflow-trainer sets" in fault
    with pytest.raises(ForeignRows):
        frozen.write(found, frozen.ATTACKS, tmp_path / "again.parquet")


def test_a_set_serves_its_purpose_only(generated: frozen.Frozen, synthetic: Any, tmp_path: Path) -> None:
    """Attacks must never be taken for golden rows, nor lake rows for a set."""
    path = tmp_path / "set.parquet"
    frozen.write(generated, frozen.ATTACKS, path)
    with pytest.raises(ForeignRows, match="golden"):
        frozen.read([str(path)], frozen.GOLDEN, PROFILE)
    lake = synthetic.write_lake(tmp_path / "lake.parquet", synthetic.benign(3, 1))
    with pytest.raises(ForeignRows, match="not a set"):
        frozen.read([str(lake)], frozen.ATTACKS, PROFILE)
    with pytest.raises(SourceMissing):
        frozen.write(frozen.empty(), frozen.GOLDEN, tmp_path / "empty.parquet")


def test_rows_of_a_frozen_set_leave_the_corpus(synthetic: Any, tmp_path: Path) -> None:
    """What judges a model must not have made it."""
    from trainer.corpora.collecting import collect

    rows = synthetic.benign(300, 1)
    path = synthetic.write_lake(tmp_path / "a.parquet", rows)
    corpus = collect([path], [], profile=PROFILE, max_rows=1000, seed=1, progress=lambda *_: None)
    golden = frozen.Frozen(rows[:40], np.full(40, "", dtype="U1"))
    frozen.write(golden, frozen.GOLDEN, tmp_path / "golden.parquet")
    sets = Sets([], [str(tmp_path / "golden.parquet")], PROFILE)
    spared = sets.spare(corpus)
    assert len(spared) == len(corpus) - 40
    assert spared.counts.frozen == 40
    assert not (spared.features[:, None, : len(contract.FEATURES)] == rows[:1]).all(axis=2).any()


def test_the_command_makes_a_set(write_pcap: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`anomaflow-trainer sets` writes the file and says what is in it."""
    out = tmp_path / "set.parquet"
    source = str(write_pcap("calm.pcap", 6))
    assert main(["sets", "--purpose", "golden", "--from", source, "--out", str(out), "--json"]) == 0
    assert '"rows": 6' in capsys.readouterr().out
    assert len(frozen.read([str(out)], frozen.GOLDEN, PROFILE)) == 6
