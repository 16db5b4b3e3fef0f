"""Frozen sets kept here: rows that judge every retrained model and never train one.

A set is a Parquet file below `sets/`, named by its SHA-256, and a row that says what it is, who added it and why. Sets
are added (from a file that `anomaflow-trainer sets` made, or from the alerts of an incident somebody judged) and
retired, never changed: two models judged by a set were judged by the same rows. A set of another feature contract stays
listed as not usable and is still handed to the trainer, which fails the gate and says how to make it again; to go on
without it somebody has to retire it, which is in the audit log.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aggregator import audit, notes
from aggregator.appearing import appearing
from aggregator.errors import Conflict, Invalid, NotFound
from aggregator.learning import labels
from aggregator.learning.lessons import FrozenSet
from aggregator.storage import parquet
from protos import contract

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from aggregator.config import AggregatorConfig

ATTACKS: Final = "attacks"
GOLDEN: Final = "golden"
PURPOSES: Final = (ATTACKS, GOLDEN)
ABOUT_KEY: Final = b"anomaflow.set"
FORMAT: Final = "anomaflow-set-1"
MOST_BYTES: Final = 64 << 20
MOST_ROWS: Final = 100_000


def judges(db: sqlite3.Connection, config: AggregatorConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What every new model is judged by: sources of attacks, and golden ones. Of the settings, and the sets in use."""

    def files(purpose: str) -> list[str]:
        return [str(file_of(config.sets_dir, one)) for one in in_use(db) if one.purpose == purpose]

    return (*config.baseline_attacks, *files(ATTACKS)), (*config.baseline_golden, *files(GOLDEN))


def file_of(folder: Path, one: FrozenSet) -> Path:
    """Where a set lies below `folder`."""
    return folder / f"{one.sha256}.parquet"


def keep_file(folder: Path, data: bytes) -> str:
    """Keep the bytes of a set; returns their SHA-256. Keeping them twice changes nothing."""
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"{digest}.parquet"
    if not path.exists():
        with appearing(path) as beside:
            beside.write_bytes(data)
    return digest


def examine(data: bytes, purpose: str) -> dict[str, Any]:
    """What a set file says of itself: columns of its row in the table. Raises `Invalid` for what is no such set."""
    if purpose not in PURPOSES:
        raise Invalid(f"a set serves {' or '.join(PURPOSES)}, not {purpose[:40]!r}")
    if len(data) > MOST_BYTES:
        raise Invalid(f"a set file has at most {MOST_BYTES >> 20} MiB, this one {len(data) >> 20}")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        metadata = file.schema_arrow.metadata or {}
        about = json.loads(metadata.get(ABOUT_KEY, b"{}"))
        if about.get("format") != FORMAT or about.get("purpose") != purpose or "family" not in file.schema_arrow.names:
            raise Invalid(f"this is no set for {purpose}; make one with `anomaflow-trainer sets --purpose {purpose}`")
        rows = int(file.metadata.num_rows)
        if not 0 < rows <= MOST_ROWS:
            raise Invalid(f"a set has 1 to {MOST_ROWS} rows, this one {rows}")
        counted = file.read(columns=["family"])["family"].value_counts().to_pylist()
        families = {entry["values"] or "": entry["counts"] for entry in counted}
        made_of = [{"name": str(one["name"])[:200], "sha256": str(one["sha256"])[:64]} for one in about["made_of"]]
        digest = metadata[parquet.DIGEST_KEY].decode("ascii")
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise Invalid(f"this is no set file: {error}") from error
    return {
        "purpose": purpose,
        "feature_digest": digest,
        "row_count": rows,
        "families": json.dumps({name[:64]: count for name, count in families.items() if name}),
        "made_of": json.dumps(made_of[:1000]),
    }


def from_incident(db: sqlite3.Connection, incident_id: int) -> tuple[str, bytes]:
    """A set file of an incident's alerts, and the purpose its verdict gives it. Raises `NotFound`, `Conflict`."""
    incident_id = labels.surviving_incident(db, incident_id)
    incident = db.execute("SELECT kind, verdict FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    if incident is None:
        raise NotFound(f"there is no incident {incident_id}")
    purpose = {"malicious": ATTACKS, "benign": GOLDEN}.get(incident["verdict"] or "")
    if purpose is None:
        raise Conflict(f"incident {incident_id} has no verdict to go by: call it malicious or benign as a whole first")
    alerts = db.execute(
        "SELECT features, nullif(labels.family, '') AS family FROM alerts JOIN models ON digest = model_digest "
        "LEFT JOIN labels ON labels.id = label_id WHERE incident_id = ? AND feature_digest = ? AND NOT disputed "
        "ORDER BY alerts.id LIMIT ?",
        (incident_id, contract.DIGEST, MOST_ROWS),
    ).fetchall()
    if not alerts:
        raise Conflict(
            f"incident {incident_id} has no undisputed alert with the features of this version; "
            "make a set from its capture with `anomaflow-trainer sets`"
        )
    matrix = np.frombuffer(b"".join(row["features"] for row in alerts), dtype="<f4")
    matrix = matrix.reshape(len(alerts), len(contract.FEATURES))
    kind = incident["kind"] or "attack"
    family = [(row["family"] or kind) if purpose == ATTACKS else "" for row in alerts]
    return purpose, _written(matrix, family, purpose, f"incident {incident_id}")


def add(db: sqlite3.Connection, *, sha256: str, told: dict[str, Any], note: str, by: str, at_ms: int) -> FrozenSet:
    """Take a set into use. `told` is what `examine` said. Raises `Conflict` when it is in use already."""
    if not note.strip():
        raise Invalid("say where the set comes from and why it judges models (note)")
    known = db.execute(
        "SELECT id FROM frozen_sets WHERE purpose = ? AND sha256 = ? AND retired_ms IS NULL", (told["purpose"], sha256)
    ).fetchone()
    if known is not None:
        raise Conflict(f"set {known['id']} holds these very rows")
    values = {**told, "sha256": sha256, "note": note.strip()[: notes.LONGEST], "by": by, "at_ms": at_ms}
    created = db.execute(
        f"INSERT INTO frozen_sets ([{'], ['.join(values)}]) VALUES ({', '.join(f':{name}' for name in values)})",  # noqa: S608 - our own names
        values,
    ).lastrowid
    detail = {"sha256": sha256, "purpose": told["purpose"], "rows": told["row_count"]}
    audit.record(db, at_ms=at_ms, actor=by, action="set.add", about=f"set {created}", detail=detail)
    return get(db, int(created or 0))


def retire(db: sqlite3.Connection, set_id: int, *, note: str, by: str, at_ms: int) -> FrozenSet:
    """Judge by a set no longer. Its file and its row stay. Raises `NotFound`, `Conflict`, `Invalid` without a note."""
    if not note.strip():
        raise Invalid("say why the set is to judge no longer (note)")
    if get(db, set_id).retired_ms is not None:
        raise Conflict(f"set {set_id} is retired already")
    db.execute(
        "UPDATE frozen_sets SET retired_ms = ?, retired_by = ?, retired_note = ? WHERE id = ?",
        (at_ms, by, note.strip()[: notes.LONGEST], set_id),
    )
    audit.record(db, at_ms=at_ms, actor=by, action="set.retire", about=f"set {set_id}", detail={"note": note.strip()})
    return get(db, set_id)


def get(db: sqlite3.Connection, set_id: int) -> FrozenSet:
    """One set. Raises `NotFound`."""
    row = db.execute("SELECT * FROM frozen_sets WHERE id = ?", (set_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no set {set_id}")
    return _set(row)


def find(db: sqlite3.Connection) -> tuple[FrozenSet, ...]:
    """Every set, newest first."""
    return tuple(_set(row) for row in db.execute("SELECT * FROM frozen_sets ORDER BY id DESC"))


def in_use(db: sqlite3.Connection) -> tuple[FrozenSet, ...]:
    """The sets that judge now, oldest first."""
    return tuple(one for one in reversed(find(db)) if one.retired_ms is None)


def _written(matrix: np.ndarray, family: list[str], purpose: str, source: str) -> bytes:
    made_of = [{"name": source, "sha256": hashlib.sha256(matrix.tobytes()).hexdigest(), "rows": len(matrix)}]
    about = {"format": FORMAT, "purpose": purpose, "made_of": made_of}
    columns = {"family": pa.array(family, pa.string())}
    columns |= {name: pa.array(np.ascontiguousarray(matrix[:, at])) for at, name in enumerate(contract.FEATURES)}
    described = pa.table(columns).replace_schema_metadata(
        {parquet.DIGEST_KEY: contract.DIGEST.encode(), ABOUT_KEY: json.dumps(about, sort_keys=True).encode()}
    )
    stream = io.BytesIO()
    pq.write_table(described, stream, compression="zstd")
    return stream.getvalue()


def _set(row: sqlite3.Row) -> FrozenSet:
    return FrozenSet(
        id=row["id"],
        purpose=row["purpose"],
        sha256=row["sha256"],
        feature_digest=row["feature_digest"],
        rows=row["row_count"],
        families=json.loads(row["families"]),
        made_of=tuple(json.loads(row["made_of"])),
        note=row["note"],
        by=row["by"],
        at_ms=row["at_ms"],
        usable=row["feature_digest"] == contract.DIGEST,
        retired_ms=row["retired_ms"],
        retired_by=row["retired_by"],
        retired_note=row["retired_note"],
    )
