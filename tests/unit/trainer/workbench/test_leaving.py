"""What leaves the workbench: a script that does a run again, the check that it can be, and models for agents."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from protos import contract, manifest
from protos.exits import ExitCode
from trainer.errors import NotPromotable, SettingsUnusable, SourceMissing
from trainer.main import main
from trainer.workbench.promotion import flows, promote, recorded, script, verify

if TYPE_CHECKING:
    from pathlib import Path

HERE = {"anomaflow": "1"}


def words(count: int, seed: int) -> pa.Table:
    """A table that a tree learns nearly, but not quite: some labels are turned."""
    chance = np.random.default_rng(seed)
    size, rate = chance.normal(size=count), chance.normal(size=count)
    flag = chance.choice(["SF", "S0"], count)
    strange = (size + (flag == "S0") > 1) ^ (chance.random(count) < 0.05)
    return pa.table({"size": size, "rate": rate, "flag": flag, "kind": np.where(strange, "attack", "normal")})


def make_run(folder: Path, table: pa.Table, settings: dict[str, Any]) -> Path:
    """A run of the table in `folder`, done by the command that does them."""
    folder.mkdir()
    pq.write_table(table, folder / "source.parquet")
    assert main(["workbench", "import", str(folder / "source.parquet"), "--out", str(folder / "data")]) == 0
    data = {"table": "data/table.parquet", "about": "data/about.json", "test_table": None}
    (folder / "settings.json").write_text(json.dumps({"time_budget_s": 120, "search": False, **settings}))
    (folder / "data.json").write_text(json.dumps(data))
    assert main(["workbench", "run", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {"name": 'odd "name"\n', "label": "kind", "models": ["decision-tree"]}
    return make_run(tmp_path_factory.mktemp("runs") / "words", words(600, 4), settings)


def test_the_script_does_the_run_again_and_compares(run: Path, tmp_path: Path):
    """The script, run by itself, gets the recorded figures from the table, and refuses another table."""
    assert main(["workbench", "script", str(run), "decision-tree", "--out", str(tmp_path / "again.py")]) == 0
    assert "AGAIN = True" in (tmp_path / "again.py").read_text(), "the run fitted its best once more"
    command = [sys.executable, str(tmp_path / "again.py")]
    done = subprocess.run([*command, str(run / "data" / "table.parquet")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    was = recorded.read(run).entry("decision-tree")["test"]["accuracy"]
    line = next(line for line in done.stdout.splitlines() if line.startswith("accuracy")).split()
    assert line[1:] == [f"{was:.5f}"] * 2
    pq.write_table(words(600, 5), tmp_path / "other.parquet")
    other = subprocess.run([*command, str(tmp_path / "other.parquet")], capture_output=True, text=True)
    assert other.returncode == 1
    assert "another table" in other.stdout


def test_a_script_says_what_it_is_made_from_and_runs_nothing_else(run: Path):
    """Names in a run cannot leave the docstring they stand in."""
    text = script.script(recorded.read(run), "decision-tree", 'x"""\nimport os')
    assert text.count('"""') == 2
    assert "\nimport os" not in text
    compile(text, "script", "exec")
    with pytest.raises(SettingsUnusable, match="there are .*decision-tree"):
        script.script(recorded.read(run), "no-such", "x.py")


def test_a_run_that_is_as_it_was_can_be_done_again(run: Path, capsys: Any):
    """Nothing has changed: every check passes, by the command too."""
    assert main(["workbench", "verify", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reproducible"] is True
    assert {check["name"] for check in told["checks"]} >= {"data", "settings", "versions", "file decision-tree"}
    assert all(check["passed"] for check in told["checks"])


def test_a_verdict_is_written_whatever_it_is(run: Path, tmp_path: Path):
    """A program that asks reads the reasons of a no as well."""
    subprocess.run(["cp", "-r", str(run), str(tmp_path / "copy")], check=True)
    (tmp_path / "copy" / "data" / "table.parquet").unlink()
    assert main(["workbench", "verify", str(tmp_path / "copy"), "--out", str(tmp_path / "said.json")]) == ExitCode.DATA
    assert json.loads((tmp_path / "said.json").read_text())["reproducible"] is False


@pytest.mark.parametrize("what", ["data", "settings", "file decision-tree", "table gone"])
def test_what_differs_is_said(run: Path, tmp_path: Path, what: str):
    """A changed table, setting or file makes another run, and the check says which."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(run), str(copy)], check=True)
    table = copy / "data" / "table.parquet"
    if what == "data":
        told = pq.read_table(table)
        pq.write_table(told.set_column(0, "size", pa.array(np.roll(told["size"].to_numpy(), 1))), table)
    elif what == "settings":
        settings = json.loads((copy / "settings.json").read_text())
        (copy / "settings.json").write_text(json.dumps(settings | {"seed": 8}))
    elif what == "table gone":
        table.unlink()
    else:
        (copy / "models" / "decision-tree" / "model.onnx").write_bytes(b"other")
    run = recorded.read(copy)
    found = verify.verify(run, run.result["versions"])
    assert found["reproducible"] is False
    failed = [check["name"] for check in found["checks"] if check["passed"] is False]
    assert failed == ["data" if what == "table gone" else what]


def test_the_same_content_in_other_groups_is_the_same_table(run: Path, tmp_path: Path):
    """How a Parquet file is cut does not change what it holds."""
    subprocess.run(["cp", "-r", str(run), str(tmp_path / "copy")], check=True)
    table = tmp_path / "copy" / "data" / "table.parquet"
    pq.write_table(pq.read_table(table), table, row_group_size=17, compression="gzip")
    again = recorded.read(tmp_path / "copy")
    assert verify.verify(again, again.result["versions"])["reproducible"] is True


def test_other_versions_are_said_and_do_not_fail(run: Path):
    """Another version is a warning: figures may move in their last digits."""
    told = verify.verify(recorded.read(run), HERE)
    assert told["reproducible"] is True
    assert "last digits" in told["note"]
    assert any("versions differ" in check["detail"] for check in told["checks"])


def test_a_folder_without_a_result_is_no_run(tmp_path: Path):
    """What is missing is named."""
    with pytest.raises(SourceMissing, match=r"settings\.json"):
        recorded.read(tmp_path)


def flow_table(synthetic: Any, count: int, *, attacks: int = 0) -> pa.Table:
    """Flows as an import of captures leaves them, with a label if there are attacks."""
    rows = np.concatenate([synthetic.benign(count, 1), synthetic.scan(attacks, 2)])
    columns: dict[str, Any] = {
        "src_ip": [f"10.0.0.{at % 9}" for at in range(len(rows))],
        "dst_port": np.full(len(rows), 443),
        "protocol": np.full(len(rows), 6),
        "last_seen": pa.array(1_700_000_000_000 + 997 * np.arange(len(rows)), pa.timestamp("ms", tz="UTC")),
    }
    columns |= {name: rows[:, at].astype(np.float64) for at, name in enumerate(contract.FEATURES)}
    if attacks:
        columns["kind"] = ["normal"] * count + ["scan"] * attacks
    return pa.table(columns)


@pytest.mark.training
def test_a_detector_of_a_run_on_flows_becomes_a_model_for_agents(tmp_path: Path, synthetic: Any):
    """The promoted file passes the registry's check of models, says where it comes from, and has its report."""
    settings = {"name": "flows", "label": "kind", "task": "benign-only", "models": ["mahalanobis"]}
    run = make_run(tmp_path / "run", flow_table(synthetic, 900, attacks=60), settings)
    out = tmp_path / "m.onnx"
    assert main(["workbench", "promote", str(run), "mahalanobis", "--out", str(out), "--report", str(tmp_path)]) == 0
    check = [sys.executable, "-m", "aggregator.models.modelcheck", str(out), "2048", "60"]
    verdict = json.loads(subprocess.run(check, capture_output=True, text=True).stdout)
    told = manifest.parse(json.dumps(verdict["manifest"]))
    assert told.kind == "mahalanobis"
    assert told.provenance["workbench"]["candidate"] == "mahalanobis"
    assert told.provenance["workbench"]["data_digest"] == recorded.read(run).data_digest
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["choice"]["taken"] == ["mahalanobis"]
    assert report["labelled"]["malicious"] == 60
    assert report["metrics"]["model"]["roc_auc"] > 0.9


def test_what_agents_cannot_run_is_refused_with_what_they_can(tmp_path: Path, synthetic: Any):
    """Trees, and tables that are not flows, are refused in a sentence that says what can be promoted."""
    with pytest.raises(NotPromotable, match="promote one of std-count, mahalanobis"):
        promote.members("random-forest")
    table = flow_table(synthetic, 30).drop_columns(["unanswered", "is_tcp"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(NotPromotable, match=r"lacks 2 of them \(unanswered, is_tcp"):
        flows.corpus(tmp_path / "t.parquet", label=None, benign=(), max_rows=1000, seed=1)


def test_flows_without_a_label_or_a_number_are_left_out_and_counted(tmp_path: Path, synthetic: Any):
    """A row whose label is missing, or that holds what is no number, is no evidence of anything."""
    table = flow_table(synthetic, 40, attacks=10)
    kinds = table["kind"].to_pylist()
    first = contract.FEATURES[0]
    values = table[first].to_pylist()
    kinds[3], values[5] = None, float("nan")
    table = table.set_column(table.column_names.index("kind"), "kind", pa.array(kinds))
    pq.write_table(table.set_column(table.column_names.index(first), first, pa.array(values)), tmp_path / "t.parquet")
    found = flows.corpus(tmp_path / "t.parquet", label="kind", benign=("normal",), max_rows=1000, seed=1)
    assert found.files[0].left_out == {"unlabelled": 1, "not a number": 1}
    assert len(found) == 48
    assert {found.families[at] for at in found.family} == {"", "scan"}
