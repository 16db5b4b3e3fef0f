"""Policies: how scores become decisions. A change is a new version; versions only rise.

With a champion, the threshold comes from the champion's own calibration for the promised false-positive rate; setting
it by hand is possible and is recorded as such (`promised_fpr` is then None).
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from aggregator import audit, paging
from aggregator.errors import Conflict, Invalid
from aggregator.rows import Page, Policy
from protos import manifest

if TYPE_CHECKING:
    import sqlite3

    from aggregator.config import AggregatorConfig


def ensure_first(db: sqlite3.Connection, config: AggregatorConfig, *, now_ms: int) -> Policy:
    """The current policy; version 1 is made from the configuration when there is none."""
    if db.execute("SELECT 1 FROM policies LIMIT 1").fetchone() is None:
        first = Policy(
            version=1,
            model_digest="",
            threshold=config.default_threshold,
            promised_fpr=config.promised_fpr,
            keep_fraction=config.keep_fraction,
            max_alerts_per_minute=config.max_alerts_per_minute,
            created_ms=now_ms,
            by="aggregator",
            reason="first policy, from the configuration",
        )
        _insert(db, first)
    return current(db)


def current(db: sqlite3.Connection) -> Policy:
    """The policy with the highest version."""
    row = db.execute("SELECT * FROM policies ORDER BY version DESC LIMIT 1").fetchone()
    if row is None:
        raise Conflict("there is no policy yet; run `anomaflow-aggregator init` first")
    return Policy(**dict(row))


def find(db: sqlite3.Connection, *, limit: int, cursor: str | None = None) -> Page[Policy]:
    """Policies, newest version first."""
    rows = db.execute(
        "SELECT * FROM policies WHERE version < ? ORDER BY version DESC LIMIT ?",
        (paging.id_cursor(cursor), paging.size(limit) + 1),
    ).fetchall()
    return paging.page([Policy(**dict(row)) for row in rows], limit, lambda policy: str(policy.version))


def change(
    db: sqlite3.Connection,
    *,
    promised_fpr: float | None,
    threshold: float | None,
    keep_fraction: float | None,
    max_alerts_per_minute: int | None,
    by: str,
    reason: str,
    now_ms: int,
) -> Policy:
    """A new version with what is not None changed. Raises `Invalid`, `Conflict`."""
    if promised_fpr is not None and threshold is not None:
        raise Invalid("give promised_fpr or threshold, not both: one follows from the other")
    old = current(db)
    if promised_fpr is not None:
        if not 0 < promised_fpr < 1:
            raise Invalid(f"promised_fpr = {promised_fpr} must be between 0 and 1")
        threshold = _calibrated(db, old.model_digest, promised_fpr)
    elif threshold is not None:
        if not math.isfinite(threshold) or not 0 < threshold <= 100:
            raise Invalid(f"threshold = {threshold} must be above 0 and at most 100")
    else:
        threshold, promised_fpr = old.threshold, old.promised_fpr
    if keep_fraction is not None and not 0 <= keep_fraction <= 1:
        raise Invalid(f"keep_fraction = {keep_fraction} must be between 0 and 1")
    if max_alerts_per_minute is not None and not 1 <= max_alerts_per_minute <= 1_000_000:
        raise Invalid(f"max_alerts_per_minute = {max_alerts_per_minute} must be between 1 and 1000000")
    return _next(
        db,
        old,
        model_digest=old.model_digest,
        threshold=threshold,
        promised_fpr=promised_fpr,
        keep_fraction=old.keep_fraction if keep_fraction is None else keep_fraction,
        max_alerts_per_minute=old.max_alerts_per_minute if max_alerts_per_minute is None else max_alerts_per_minute,
        by=by,
        reason=reason,
        now_ms=now_ms,
    )


def for_champion(
    db: sqlite3.Connection, digest: str, *, default_fpr: float, by: str, reason: str, now_ms: int
) -> Policy:
    """A new version for a new champion, which keeps the promise (or `default_fpr` if the last one was set by hand)."""
    old = current(db)
    promised = default_fpr if old.promised_fpr is None else old.promised_fpr
    return _next(
        db,
        old,
        model_digest=digest,
        threshold=_calibrated(db, digest, promised),
        promised_fpr=promised,
        keep_fraction=old.keep_fraction,
        max_alerts_per_minute=old.max_alerts_per_minute,
        by=by,
        reason=reason,
        now_ms=now_ms,
    )


def _calibrated(db: sqlite3.Connection, digest: str, promised_fpr: float) -> float:
    row = db.execute("SELECT name, manifest FROM models WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise Conflict(
            "there is no champion whose calibration could give a threshold; promote a model, or set threshold"
        )
    thresholds = [manifest.Threshold(**entry) for entry in json.loads(row["manifest"])["thresholds"]]
    try:
        return threshold_for(row["name"], thresholds, promised_fpr)
    except manifest.ManifestError as error:
        raise Conflict(str(error)) from error


def threshold_for(name: str, thresholds: list[manifest.Threshold], promised_fpr: float) -> float:
    """The manifest's own rule, on the thresholds kept in the registry."""
    calibration = manifest.Manifest(
        name=name, kind="", features=(), feature_digest="", created_ms=0, thresholds=tuple(thresholds)
    )
    return calibration.threshold_for(promised_fpr).score


def _next(db: sqlite3.Connection, old: Policy, *, now_ms: int, by: str, reason: str, **values: Any) -> Policy:
    new = Policy(version=old.version + 1, created_ms=now_ms, by=by, reason=reason[:500], **values)
    _insert(db, new)
    detail = {"threshold": new.threshold, "promised_fpr": new.promised_fpr, "keep_fraction": new.keep_fraction}
    audit.record(db, at_ms=now_ms, actor=by, action="policy.set", about=f"policy {new.version}", detail=detail)
    return new


def _insert(db: sqlite3.Connection, policy: Policy) -> None:
    db.execute(
        "INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            policy.version,
            policy.model_digest,
            policy.threshold,
            policy.promised_fpr,
            policy.keep_fraction,
            policy.max_alerts_per_minute,
            policy.created_ms,
            policy.by,
            policy.reason,
        ),
    )
