"""The product's own flows: captures metered as an agent would, and the lake with what people said of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_pcap

from protos import contract
from trainer.corpora.lake import DIGEST_KEY
from trainer.errors import DatasetRefused, SourceMissing
from trainer.workbench.datasets.captured import address
from trainer.workbench.datasets.importing import Asked, import_table


def bring(source, out, **asked):
    about = import_table(Asked(str(source), out, **asked), lambda *_: None)
    return about, pq.read_table(out / "table.parquet")


def office(path):
    packets = [packet for at in range(5) for packet in tiny_pcap.ordinary("10.0.0.5", "10.0.0.9", 40_000 + at, at * 50)]
    return tiny_pcap.write(path, packets)


def test_a_capture_becomes_flows_with_an_agents_features(tmp_path):
    """Five-tuple and times first, then every feature of the contract, with the values an agent computes."""
    from agent.context import Context
    from agent.features import compute
    from agent.meter import read_capture

    about, table = bring(office(tmp_path / "office.pcap"), tmp_path / "set")
    assert about["source"]["kind"] == "captures"
    assert table.column_names == ["src_ip", "src_port", "dst_ip", "dst_port", "protocol", "first_seen", "last_seen", *contract.FEATURES]
    assert about["rows"] == 5
    assert set(table["src_ip"].to_pylist()) == {"10.0.0.5"}
    assert {column["type"] for column in about["columns"] if column["name"].endswith("_seen")} == {"time"}
    context = Context()
    expected = np.concatenate([compute(flows, context) for flows in read_capture(tmp_path / "office.pcap")])
    found = np.column_stack([table[name].to_numpy() for name in contract.FEATURES])
    assert np.array_equal(found, expected.astype(np.float64))


def test_a_folder_of_captures_says_which_is_which(tmp_path):
    """Each flow names its capture; a capture cut inside a packet gives what was whole and says so."""
    folder = tmp_path / "captures"
    folder.mkdir()
    office(folder / "a.pcap")
    cut = office(folder / "b.pcap")
    cut.write_bytes(cut.read_bytes()[:-3])
    about, table = bring(folder, tmp_path / "set")
    assert set(table["capture"].to_pylist()) == {"a.pcap", "b.pcap"}
    assert any("b.pcap ends inside a packet" in warning for warning in about["warnings"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceMissing):
        bring(tmp_path / "empty", tmp_path / "set2")


def lake_file(path, rows, digest=contract.DIGEST, verdicts=True):
    columns = {
        "flow_id": [f"f{at}" for at in range(rows)],
        "agent_id": ["edge"] * rows,
        "src_ip": ["10.0.0.5"] * rows,
        "last_seen_ms": pa.array(range(rows), pa.int64()),
        "decision": pa.array([0] * rows, pa.int8()),
        **{name: pa.array(np.arange(rows), pa.float32()) for name in contract.FEATURES},
    }
    if verdicts:
        columns |= {"verdict": ["malicious", *[None] * (rows - 1)], "family": ["scan", *[None] * (rows - 1)]}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({DIGEST_KEY: digest.encode()}), path)


def test_the_lake_comes_with_its_labels(tmp_path):
    """Merged files bring verdicts, staged ones have none yet; files of another contract are left out and counted."""
    lake_file(tmp_path / "lake/day=2026-01-31/part-000000000001-000000000009.parquet", 4)
    lake_file(tmp_path / "staging/2026-02-01.000000000010-000000000019.parquet", 3, verdicts=False)
    lake_file(tmp_path / "lake/day=2020-01-01/part-000000000020-000000000029.parquet", 9, digest="other")
    about, table = bring(tmp_path, tmp_path / "set", lake=True)
    assert about["rows"] == 7
    assert table["verdict"].to_pylist().count("malicious") == 1
    assert "family" in table.column_names
    assert "flow_id" not in table.column_names
    assert str(table.schema.field("last_seen").type) == "timestamp[ms, tz=UTC]"
    assert any("1 files of another feature contract" in warning for warning in about["warnings"])


def test_a_folder_that_is_no_lake(tmp_path):
    """Nothing of ours in it, or a damaged file: said, not skipped."""
    with pytest.raises(SourceMissing):
        bring(tmp_path, tmp_path / "set", lake=True)
    (tmp_path / "x.parquet").write_bytes(b"PAR1junkPAR1")
    with pytest.raises(DatasetRefused, match="damaged"):
        bring(tmp_path, tmp_path / "set", lake=True)
    with pytest.raises(SourceMissing, match="not a folder"):
        bring(tmp_path / "x.parquet", tmp_path / "set", lake=True)


def test_addresses_as_people_write_them():
    """IPv4 addresses lie shifted in 16 bytes."""
    assert address(bytes(10) + b"\xff\xff\x0a\x00\x00\x05") == "10.0.0.5"
    assert address(bytes(15) + b"\x01") == "::1"
