"""`show`: prints exactly what would leave the host, decoded from the very bytes that would be sent."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from agent.batch import Gathering
from agent.detector import Decision
from agent.meter import Meter
from agent.pipeline import Pipeline, leaving
from agent.sensor import uniforms
from protos import contract, likeness
from protos.v1 import batch_pb2, flow_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.config import AgentConfig
    from agent.meter import FileSource, LiveSource
    from agent.policy import Policy
    from agent.scorer import Scorer


def sent_batches(
    config: AgentConfig, policy: Policy, source: FileSource | LiveSource, scorer: Scorer | None
) -> Iterator[bytes]:
    """The very bytes that a sensor with this configuration and policy would put into its spool."""
    pipeline = Pipeline(policy, chance=uniforms, threshold=config.threshold, promised_fpr=config.promised_fpr)
    pipeline.use_model(scorer)
    gathering = Gathering(config.batch_flows)
    meter = Meter(source, config.profile(), max_flows=config.max_flows, batch_flows=config.batch_flows)
    for flows in meter.batches():
        if len(flows):
            gathering.add(leaving(pipeline.judge(flows, pipeline.measure(flows))))
            stats = meter.stats
            figures = batch_pb2.SensorHealth(
                packets=stats.packets,
                packets_ignored=stats.ignored,
                packets_dropped=stats.dropped,
                flows=stats.flows,
                state="running",
                source=source.name,
            )
            for entry in gathering.take(pipeline.origin, figures, created_ms=stats.traffic_ms):
                yield entry.payload


def decode(payload: bytes) -> dict[str, Any]:
    """Everything a serialised batch holds, by name. Read from the bytes themselves, so nothing is left unsaid."""
    batch = batch_pb2.Batch.FromString(payload)
    columns = contract.unpack_columns(batch.flows)
    matrix = contract.unpack_matrix(batch.features, batch.flows.rows)
    flows = []
    for row in range(batch.flows.rows):
        flow: dict[str, Any] = {}
        for name, values in columns.items():
            value = values[row]
            flow[name] = contract.format_address(value.tobytes()) if name.endswith("_ip") else value.item()
        flow["end"] = flow_pb2.EndReason.Name(flow["end"]).removeprefix("END_").lower()
        flow["decision"] = Decision(flow["decision"]).name.lower()
        flow["features"] = dict(zip(contract.FEATURES, matrix[row].tolist(), strict=True))
        flows.append(flow)
    return {
        "bytes": len(payload),
        "feature_digest": batch.feature_digest,
        "model_digest": batch.model_digest,
        "policy_version": batch.policy_version,
        "created_ms": batch.created_ms,
        "health": {field.name: value for field, value in batch.health.ListFields()},
        "flows": flows,
        "alerts": [
            {
                "row": alert.row,
                "score": alert.score,
                "threshold": alert.threshold,
                "family": alert.family,
                "family_share": alert.family_share,
                "reasons": [{field.name: value for field, value in reason.ListFields()} for reason in alert.reasons],
            }
            for alert in batch.alerts
        ],
    }


def readable(batch: dict[str, Any]) -> str:
    """A decoded batch as text."""
    model = batch["model_digest"][:12] or "none"
    lines = [
        f"batch of {len(batch['flows'])} flows, {len(batch['alerts'])} alerts, {batch['bytes']} bytes on the wire",
        f"  contract {batch['feature_digest'][:12]}, model {model}, policy {batch['policy_version']}",
        "  health " + ", ".join(f"{name} {value}" for name, value in batch["health"].items()),
    ]
    alerts = {alert["row"]: alert for alert in batch["alerts"]}
    for row, flow in enumerate(batch["flows"]):
        lines.append(
            f"  flow {row}: {flow['src_ip']} port {flow['src_port']} -> {flow['dst_ip']} port {flow['dst_port']}, "
            f"protocol {flow['protocol']}, {flow['packets']} packets, {flow['bytes']} bytes, "
            f"{flow['first_seen_ms']} to {flow['last_seen_ms']} ms, ended by {flow['end']}, "
            f"IP version {flow['ip_version']}, VLAN {flow['vlan_id']}"
        )
        lines.append(f"    decision {flow['decision']}, score {flow['score']:.3f}, stands for {flow['weight']:g} flows")
        values = ", ".join(f"{name} {value:g}" for name, value in flow["features"].items() if value)
        lines.append(f"    features that are not 0: {values}")
        if row in alerts:
            lines.append(f"    alert, because the score reaches {alerts[row]['threshold']:.3f}:")
            if alerts[row]["family"]:
                lines.append(f"      {likeness.sentence(alerts[row]['family'], alerts[row]['family_share'])}")
            lines += [f"      {reason['text']} ({100 * reason['share']:.0f} %)" for reason in alerts[row]["reasons"]]
    return "\n".join(lines)


def show(
    config: AgentConfig,
    policy: Policy,
    sources: Sequence[FileSource | LiveSource],
    scorer: Scorer | None,
    *,
    as_json: bool,
    most_batches: int = 0,
) -> None:
    """Print what would be sent, batch by batch; all of it with `most_batches` 0."""
    shown = 0
    for source in sources:
        for payload in sent_batches(config, policy, source, scorer):
            batch = decode(payload)
            print(json.dumps(batch) if as_json else readable(batch))
            sys.stdout.flush()
            shown += 1
            if shown == most_batches:
                return
    if not shown:
        print(
            "nothing would be sent: no flow was raised or sampled; --keep-fraction 1 shows every flow", file=sys.stderr
        )
