"""Parts for tests of the aggregator: batches as an agent sends them, a clock moved by hand, services over a folder."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import argon2
import numpy as np

from aggregator import users
from aggregator.config import AggregatorConfig
from aggregator.intake.screening import Sender
from aggregator.rows import Role
from aggregator.serving import opened
from aggregator.storage.store import Store
from protos import contract
from protos.v1 import batch_pb2, fleet_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from aggregator.services import Services

START_MS = 1_790_000_000_000
PASSWORD = "a long password"
CHEAP_HASH = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""Of `PASSWORD`, at a cost that tests can afford."""

SENDER = Sender("sensor-1", "c0ffee")


class HandClock:
    """A clock that moves when told to."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    def forward(self, *, seconds: float = 0, hours: float = 0) -> None:
        self.ms += round(seconds * 1000 + hours * 3_600_000)


def batch(
    rows: int = 4,
    *,
    alerts: Sequence[int] = (),
    sources: Sequence[str] = ("10.0.0.1",),
    targets: Sequence[str] = ("10.0.0.9",),
    ports: Sequence[int] = (443,),
    at_ms: int = START_MS,
    score: float = 5.0,
    model: str = "",
    seed: int = 0,
    **changes: Any,
) -> batch_pb2.Batch:
    """A batch whose row r goes from `sources[r]` to `targets[r]:ports[r]` (lists repeat), one millisecond apart."""

    def addresses(texts: Sequence[str]) -> np.ndarray:
        packed = [np.frombuffer(contract.parse_address(texts[row % len(texts)]), dtype="u1") for row in range(rows)]
        return np.array(packed, dtype="u1").reshape(rows, 16)

    order = np.arange(rows)
    columns = {name: np.zeros((rows, *dtype.shape), dtype=dtype.base) for name, dtype in contract.COLUMNS.items()}
    columns |= {
        "src_ip": addresses(sources),
        "dst_ip": addresses(targets),
        "src_port": (40_000 + order % 20_000).astype("<u2"),
        "dst_port": np.array([ports[row % len(ports)] for row in range(rows)], dtype="<u2"),
        "protocol": np.full(rows, 6, dtype="u1"),
        "ip_version": np.full(rows, 4, dtype="u1"),
        "end": np.full(rows, 3, dtype="u1"),
        "first_seen_ms": (at_ms + order).astype("<u8"),
        "last_seen_ms": (at_ms + order + 1).astype("<u8"),
        "packets": np.full(rows, 2, dtype="<u8"),
        "bytes": np.full(rows, 120, dtype="<u8"),
        "score": np.where(np.isin(order, alerts), score, 0.5).astype("<f4"),
        "decision": np.isin(order, alerts).astype("u1"),
        "weight": np.where(np.isin(order, alerts), 1, 20).astype("<f4"),
    }
    columns |= changes
    reasons = [
        batch_pb2.Reason(feature="src_ports_10s", observed=40, expected=1.5, share=0.75, text="40 ports in 10 s"),
        batch_pb2.Reason(feature="unanswered", observed=1, expected=0, share=0.25, text="nobody answered"),
    ]
    return batch_pb2.Batch(
        feature_digest=contract.DIGEST,
        model_digest=model,
        policy_version=1,
        created_ms=at_ms,
        flows=contract.pack_columns(columns),
        features=contract.pack_matrix(np.random.default_rng(seed).random((rows, len(contract.FEATURES))).astype("f4")),
        alerts=[batch_pb2.Alert(row=row, score=score, threshold=3.0, reasons=reasons) for row in alerts],
        health=batch_pb2.SensorHealth(packets=100, packets_dropped=7, flows=rows, state="running", source="veth0"),
    )


def record(sequence: int, body: batch_pb2.Batch | batch_pb2.Gap | None = None, **how: Any) -> fleet_pb2.Record:
    """A record with `body`, by default a batch built from `how`."""
    if isinstance(body, batch_pb2.Gap):
        return fleet_pb2.Record(sequence=sequence, gap=body.SerializeToString())
    return fleet_pb2.Record(sequence=sequence, batch=(body or batch(**how)).SerializeToString())


def hello(agent_id: str = SENDER.agent_id, epoch: str = SENDER.epoch, **fields: Any) -> fleet_pb2.Hello:
    """A hello of a current agent."""
    return fleet_pb2.Hello(
        **{"agent_id": agent_id, "epoch": epoch, "feature_digest": contract.DIGEST, "version": "0.1.0", **fields}
    )


def config(folder: Path, **settings: Any) -> AggregatorConfig:
    """A configuration over `folder` on free ports."""
    return AggregatorConfig(**{"state_dir": folder, "grpc_port": 0, "web_port": 0, "stage_seconds": 0.2, **settings})


@contextlib.asynccontextmanager
async def services(folder: Path, clock: Any = None, **settings: Any) -> AsyncIterator[Services]:
    """Services over `folder`, founded if it is new."""
    wanted = config(folder, **settings)
    if not wanted.database.exists():
        Store(wanted.database).open().close()
    async with opened(wanted, clock or HandClock()) as built:
        yield built


def add_user(services: Services, name: str, role: str) -> None:
    """An account with `PASSWORD`."""
    services.store.write_now(
        lambda db: users.add(db, name=name, role=Role(role), password_hash=CHEAP_HASH, by="test", now_ms=START_MS)
    )


async def headers(services: Services) -> dict[tuple[str, str], dict[str, str]]:
    """What a caller sends, by role and scope; `add_user` has made an account named as each role."""
    made = {}
    for role in Role:
        for scope in ("read", "write"):
            _, text = await services.access.add_token(user=str(role), name=scope, scope=scope, days=1, by="init")
            made[str(role), scope] = {"Authorization": f"Bearer {text}"}
    return made


def dump(store: Store, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of some tables, sorted, for comparing two stores."""
    return {
        table: store.read(lambda db, table=table: sorted(map(tuple, db.execute(f"SELECT * FROM {table}")), key=repr))
        for table in tables
    }
