"""A store with a lake, and how to fill it."""

from __future__ import annotations

import pyarrow.parquet as pq

from aggregator.intake import ingest, screening
from aggregator.learning import labels
from aggregator.storage import parquet
from aggregator.storage.lake import Lake
from aggregator.storage.store import Store


class Room:
    """A store, a lake, and a way to receive records."""

    def __init__(self, folder, parts, **settings):
        self.parts = parts
        self.config = parts.config(folder)
        self.store = Store(self.config.database).open()
        self.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=1))
        self.lake = Lake(folder, self.store, **settings).open()
        self.sequence = 0

    def receive(self, rows=10, *, alerts=(0,), now_ms=None, **how):
        self.sequence += 1
        record = self.parts.record(self.sequence, rows=rows, alerts=alerts, seed=self.sequence, **how)
        found = screening.examine(self.parts.SENDER, record, self.config)
        return self.store.write_now(
            lambda db: ingest.store_records(db, self.parts.SENDER, [found], now_ms=now_ms or self.parts.START_MS)
        )

    def judge(self, alert_id, verdict="benign"):
        return self.store.write_now(
            lambda db: labels.add(db, target="alert", target_id=alert_id, verdict=verdict, note="", by="ada", at_ms=77)
        )

    def rows(self):
        return sorted(flow.flow_id for flow in self.lake.flows(None, limit=1000, cursor=None).items)

    def lake_table(self):
        files = parquet.lake_files(self.lake.lake_dir)
        return [row for file in files for row in pq.read_table(file.path).to_pylist()]
