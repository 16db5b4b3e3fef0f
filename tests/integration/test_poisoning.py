"""Poisoned learning is stopped: an account that calls attacks benign, and an agent that says its attacks are quiet.

Real traffic from the generator, real fits, the real gate. (A slow drift is stopped by the mark that travels from model to
model: tests/unit/trainer/judging/test_standing.py.)
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import synthetic

from agent import meter
from agent.context import Context
from agent.features import compute
from protos import contract
from protos.manifest import CaptureProfile
from trainer.corpora.collecting import collect
from trainer.corpora.corpus import Corpus
from trainer.judging import standing
from trainer.judging.frozen import GENERATED
from trainer.making import fitting, model
from trainer.progress import Progress
from trainer.traffic.scenario import build

if TYPE_CHECKING:
    pass

pytestmark = [pytest.mark.training, pytest.mark.timeout(900)]

ALPHA = 0.01
SCANS = ("horizontal_scan", "vertical_scan", "connect_scan")


@dataclass(frozen=True)
class Seen:
    """What a sensor saw: rows, and the columns a lake file needs."""

    rows: np.ndarray
    columns: dict[str, list]

    def take(self, chosen: np.ndarray) -> Seen:
        return Seen(
            self.rows[chosen], {name: np.array(v, dtype=object)[chosen].tolist() for name, v in self.columns.items()}
        )


def _meter(path: Path) -> Seen:
    rows, context = [], Context()
    columns: dict[str, list] = {name: [] for name in ("src_ip", "dst_ip", "protocol", "dst_port", "last_seen_ms")}
    for flows in meter.read_capture(path, CaptureProfile()):
        if not len(flows):
            continue
        rows.append(compute(flows, context))
        for name in ("src_ip", "dst_ip"):
            columns[name] += [contract.format_address(packed.tobytes()) for packed in flows[name]]
        for name, field in (
            ("protocol", "protocol"),
            ("dst_port", "dst_port"),
            ("last_seen_ms", "bidirectional_last_seen_ms"),
        ):
            columns[name] += flows[field].astype(int).tolist()
    return Seen(np.concatenate(rows), columns)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An office, scans on it as its sensor saw them, and the champion that was fitted on the office alone."""
    folder = tmp_path_factory.mktemp("site")
    office = build("office", folder / "office.pcap", 31, 25, hosts=20)
    mixed = build("mixed", folder / "scans.pcap", 32, 10, network=31, hosts=20, attacks=SCANS)
    later = build("office", folder / "later.pcap", 33, 15, network=31, hosts=20)
    scans = _meter(mixed.capture)
    flows = np.concatenate([flows for flows in meter.read_capture(mixed.capture, CaptureProfile()) if len(flows)])
    malicious = np.array([label is not None and label.malicious for label in mixed.read_labels().of(flows)])
    made = {
        "folder": folder,
        "office": office.capture,
        "later": _meter(later.capture),
        "scans": scans.take(malicious),
        "synthetic": synthetic,
    }
    made["champion"] = _fit(made, "champion", []).model
    return made


def _fit(site: dict[str, Any], name: str, lake: list[Path], *, labelled: bool = False, **more: Any) -> fitting.Result:
    request = fitting.Request(
        benign=(site["office"], *lake),
        labelled=tuple(lake) if labelled else (),
        out=site["folder"] / f"{name}.onnx",
        name=name,
        champion=site.get("champion"),
        epochs=8,
        alpha=ALPHA,
        attacks=(GENERATED,),
        **more,
    )
    return fitting.fit(request, Progress("none", out=io.StringIO(), terminal=io.StringIO()), lambda: 1_700_000_000_000)


def _checks(result: fitting.Result) -> dict[str, Any]:
    assert result.gate is not None
    return {check.name: check for check in result.gate.checks}


def test_an_analyst_who_calls_scans_benign_does_not_blind_the_next_model(site: dict[str, Any]) -> None:
    """The replay set catches it: the gate fails and names a kind of scan."""
    synthetic, scans, later = site["synthetic"], site["scans"], site["later"]
    lake = [
        synthetic.write_lake(site["folder"] / "quiet.parquet", later.rows, **later.columns),
        synthetic.write_lake(
            site["folder"] / "verdicts.parquet", scans.rows, decision=1, score=6.0, verdict="benign", **scans.columns
        ),
    ]
    result = _fit(site, "poisoned-by-verdicts", lake, labelled=True)
    checks = _checks(result)
    assert not result.gate.passed, [check.detail for check in checks.values()]
    assert checks["replay_by_family"].passed is False
    assert "scan" in checks["replay_by_family"].detail
    report = json.loads(result.report.read_text())
    assert report["frozen"]["attacks"]["families"]["vertical scan"] > 0


def test_an_agent_that_calls_its_scans_quiet_teaches_nothing(site: dict[str, Any]) -> None:
    """Low scores, no alert, absurd weights: the champion looks itself, and the next model still sees scans."""
    synthetic, scans, later = site["synthetic"], site["scans"], site["later"]
    lake = [
        synthetic.write_lake(site["folder"] / "honest.parquet", later.rows, **later.columns),
        synthetic.write_lake(
            site["folder"] / "mole.parquet", scans.rows, agent_id="mole", decision=0, score=0.1, weight=1e9,
            model_digest="e" * 64, **scans.columns,
        ),
    ]  # fmt: skip
    champion = model.load(site["champion"])
    rows = collect(lake, [], profile=CaptureProfile(), max_rows=10**6, seed=7, progress=lambda *_: None)
    before, after = (_of_mole(found) for found in (rows, standing.screen(rows, champion, None, ALPHA)))
    assert after < 0.2 * before, (before, after)
    result = _fit(site, "poisoned-by-agent", lake)
    data = json.loads(result.report.read_text())["data"]
    assert data["screened"] >= before - after
    checks = _checks(result)
    for name in ("replay_recall", "replay_by_family", "replay_drift"):
        assert checks[name].passed, checks[name].detail


def _of_mole(rows: Corpus) -> int:
    return int((rows.origin == rows.origins.index("agent:mole")).sum())
