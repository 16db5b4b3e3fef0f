"""A small office for console tests: agents that really connect, alerts that tell a story, models with reports.

Everything enters as it would in earnest: records over gRPC, models over REST. `Agent` is one connected sensor.
"""

from __future__ import annotations

import json
import queue
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from protos import contract
from protos.v1 import batch_pb2, fleet_pb2, fleet_pb2_grpc, models_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WAIT_S = 10.0


@dataclass(frozen=True)
class Seen:
    """A flow that an agent raises."""

    src: str
    dst: str
    src_port: int = 51_000
    dst_port: int = 443
    protocol: int = 6
    packets: int = 3
    size: int = 180
    score: float = 4.2
    lasted_ms: int = 900
    reasons: Sequence[tuple[str, float, float, float, str]] = ()
    family: str = ""
    family_share: float = 0.0


def scan(src: str = "10.20.0.66", dst: str = "10.20.0.5", ports: int = 12) -> list[Seen]:
    """A port scan, as its target's sensor sees it."""
    return [
        Seen(
            src,
            dst,
            src_port=40_100 + index,
            dst_port=(21, 22, 23, 25, 53, 80, 110, 139, 143, 443, 445, 3306, 3389, 5432, 8080)[index % 15],
            packets=2,
            size=114,
            score=5.1 + 0.11 * index,
            lasted_ms=4,
            reasons=(
                ("src_ports_10s", 40 + 9.0 * index, 2.1, 0.52, f"tried {40 + 9 * index} ports in 10 s, usual is 2"),
                ("src_unanswered_10s", 38.0, 0.2, 0.31, "38 of its connections got no answer, usual is none"),
                ("bidirectional_packets", 2.0, 24.6, 0.09, "only 2 packets were exchanged, usual is 25"),
            ),
        )
        for index in range(ports)
    ]


def others() -> list[Seen]:
    """An upload, a tunnel, a beacon."""
    return [
        Seen(
            "10.20.0.31", "203.0.113.77", 50_712, 443, packets=48_210, size=62_300_000, score=6.4, lasted_ms=58_000,
            reasons=(
                ("src2dst_bytes", 61_900_000.0, 48_000.0, 0.61, "sent 59 MiB, usual is 47 KiB"),
                ("src2dst_bytes_share", 0.99, 0.21, 0.24, "99 % of the bytes went out, usual is 21 %"),
            ),
        ),
        Seen(
            "10.20.0.44", "2001:db8:53::9", 5353, 53, protocol=17, packets=911, size=204_000, score=3.9,
            lasted_ms=42_000,
            reasons=(("pair_flows_10s", 77.0, 3.0, 0.71, "77 exchanges with this resolver in 10 s, usual is 3"),),
        ),
        Seen(
            "10.20.0.12", "198.51.100.23", 49_800, 8443, packets=9, size=1_310, score=3.3, lasted_ms=1_200,
            reasons=(("src2dst_mean_piat_ms", 60_000.0, 410.0, 0.4, "one packet a minute, like clockwork"),),
        ),
    ]  # fmt: skip


def batch(seen: Sequence[Seen], *, model: str, health: dict[str, Any], quiet: int = 40) -> bytes:
    """A serialised batch with `seen` as its alerts and some quiet flows beside them."""
    now = time.time_ns() // 1_000_000
    rows = [*seen, *[Seen("10.20.0.9", "10.20.0.1", score=0.2)] * quiet]
    last = [now - 1_500 + index for index in range(len(rows))]
    columns = {
        "src_ip": np.frombuffer(b"".join(contract.parse_address(s.src) for s in rows), "u1").reshape(-1, 16),
        "dst_ip": np.frombuffer(b"".join(contract.parse_address(s.dst) for s in rows), "u1").reshape(-1, 16),
        "src_port": [s.src_port for s in rows],
        "dst_port": [s.dst_port for s in rows],
        "protocol": [s.protocol for s in rows],
        "ip_version": [6 if ":" in s.dst else 4 for s in rows],
        "vlan_id": [0] * len(rows),
        "end": [3] * len(rows),
        "first_seen_ms": [at - s.lasted_ms for at, s in zip(last, rows, strict=True)],
        "last_seen_ms": last,
        "packets": [s.packets for s in rows],
        "bytes": [s.size for s in rows],
        "score": [s.score for s in rows],
        "decision": [1] * len(seen) + [0] * quiet,
        "weight": [1.0] * len(seen) + [20.0] * quiet,
    }
    matrix = np.zeros((len(rows), len(contract.FEATURES)), dtype=np.float32)
    alerts = []
    for row, flow in enumerate(seen):
        for feature, observed, _, _, _ in flow.reasons:
            matrix[row, contract.index(feature)] = observed
        reasons = [
            batch_pb2.Reason(feature=name, observed=observed, expected=expected, share=share, text=text)
            for name, observed, expected, share, text in flow.reasons
        ]
        named = {"family": flow.family, "family_share": flow.family_share}
        alerts.append(batch_pb2.Alert(row=row, score=flow.score, threshold=3.0, reasons=reasons, **named))
    message = batch_pb2.Batch(
        feature_digest=contract.DIGEST,
        model_digest=model,
        policy_version=1,
        created_ms=now,
        flows=contract.pack_columns({name: np.asarray(values) for name, values in columns.items()}),
        features=contract.pack_matrix(matrix),
        alerts=alerts,
        health=batch_pb2.SensorHealth(**health),
    )
    return message.SerializeToString()


@dataclass
class Agent:
    """A sensor that is connected until `close`."""

    address: str
    name: str
    model: str = ""
    source: str = "eth0"
    health: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.health = {"packets": 1_204_331, "flows": 20_114, "state": "running", "source": self.source, **self.health}
        self._channel = grpc.insecure_channel(self.address)
        self._out: queue.SimpleQueue[fleet_pb2.AgentMessage | None] = queue.SimpleQueue()
        self._sequence = 0
        self._answers = fleet_pb2_grpc.FleetStub(self._channel).Connect(self._messages(), timeout=120)
        hello = fleet_pb2.Hello(
            agent_id=self.name, epoch="ab12cd34", version="0.1.0", hostname=f"{self.name}.example", source=self.source,
            feature_digest=contract.DIGEST, model_digest=self.model, policy_version=1,
        )  # fmt: skip
        self._send(hello=hello)
        self._until("welcome")

    def _messages(self) -> Iterator[fleet_pb2.AgentMessage]:
        while (message := self._out.get()) is not None:
            yield message

    def _send(self, **body: Any) -> None:
        self._out.put(fleet_pb2.AgentMessage(**body))

    def _until(self, kind: str) -> Any:
        for answer in self._answers:
            if answer.WhichOneof("body") == "refusal":
                raise RuntimeError(answer.refusal.reason)
            if answer.WhichOneof("body") == kind and (kind != "ack" or answer.ack.sequence >= self._sequence):
                return getattr(answer, kind)
        raise RuntimeError("the stream ended")

    def raises(self, seen: Sequence[Seen]) -> None:
        """Send a batch with alerts and wait until it is stored."""
        self._sequence += 1
        data = batch(seen, model=self.model, health=self.health)
        self._send(record=fleet_pb2.Record(sequence=self._sequence, batch=data))
        self._until("ack")

    def loses(self, flows: int) -> None:
        """Declare a loss and wait until it is stored."""
        self._sequence += 1
        gap = batch_pb2.Gap(first_sequence=1, last_sequence=9, flows=flows, reason="the spool was full")
        self._send(record=fleet_pb2.Record(sequence=self._sequence, gap=gap.SerializeToString()))
        self._until("ack")

    def beats(self) -> None:
        """Send a heartbeat, and say which model runs."""
        beat = fleet_pb2.Heartbeat(
            health=batch_pb2.SensorHealth(**self.health), model_digest=self.model, policy_version=1, spool_bytes=81_920,
            spool_records=2,
        )  # fmt: skip
        self._send(heartbeat=beat)
        if self.model:
            running = models_pb2.ModelReport.State.RUNNING
            self._send(model_report=models_pb2.ModelReport(digest=self.model, state=running))

    def close(self) -> None:
        """Leave."""
        self._out.put(None)
        self._answers.cancel()
        self._channel.close()


def report(path: Path, digest: str, *, champion: str | None = None, passed: bool = True, skill: float = 0.9) -> Path:
    """A training report in the trainer's shape."""

    def figures(quality: float) -> dict[str, float]:
        return {
            "average_precision": quality, "roc_auc": 0.5 + quality / 2, "realised_fpr": 0.0013, "promised_fpr": 0.001,
            "tpr_at_fpr_1": quality * 0.96, "prevalence": 0.08,
        }  # fmt: skip

    def curves(quality: float) -> dict[str, Any]:
        steps = np.linspace(0, 1, 80)
        return {
            "precision_recall": [[float(r), float(1 - (1 - 0.08) * r ** (1 + 14 * quality)), 3.0] for r in steps],
            "roc": [[float(f), float(f ** (1.02 - quality))] for f in steps],
        }

    checks = [
        {
            "name": "average_precision",
            "passed": passed,
            "detail": "at least the champion's 0.88, within 0.02",
            "champion": 0.88,
            "challenger": skill,
        },
        {
            "name": "false_positives_still_alerting",
            "passed": True,
            "detail": "2 of 14 labelled false positives still alert, before 14",
            "champion": 14,
            "challenger": 2,
        },
    ]
    content = {
        "name": "office", "kind": "autoencoder", "model_digest": digest, "feature_digest": contract.DIGEST,
        "created_ms": 1_700_000_000_000, "data": {"benign_rows": 48_211}, "recipe": {"epochs": 30},
        "metrics": {"model": figures(skill), "std_count": figures(0.55)},
        "curves": {"model": curves(skill), "std_count": curves(0.55)},
        "gate": None if champion is None else {"passed": passed, "champion": champion, "checks": checks},
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
