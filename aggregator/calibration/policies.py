"""Policies: how scores become decisions. A change is a new version; versions only rise, over all groups together.

Every group of agents has a policy of its own or follows that of the `default` group; an agent belongs to one group
(aggregator/calibration/groups.py). The threshold rests on one of these (`basis`):

- `model`: the champion's own calibration, for the promised false-positive rate;
- `certified` or `estimated`: what the group itself counted (recalibration.py), for the promised rate;
- `hand`: an operator's number. `promised_fpr` is then None.

A new champion begins with its own calibration in every group, because counts of another model's scores say nothing.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from aggregator import audit, paging
from aggregator.errors import Conflict, Invalid
from aggregator.rows import Page, Policy
from protos import manifest

if TYPE_CHECKING:
    import sqlite3

    from aggregator.config import AggregatorConfig

DEFAULT: Final = "default"

_COLUMNS: Final = (
    "version", "model_digest", "threshold", "promised_fpr", "keep_fraction", "max_alerts_per_minute", "created_ms",
    "by", "reason", "group", "basis",
)  # fmt: skip


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
            group=DEFAULT,
            basis="model",
        )
        _insert(db, first)
    return current(db)


def current(db: sqlite3.Connection, group: str = DEFAULT) -> Policy:
    """The policy that the agents of `group` follow: its own, or that of the default group."""
    own = latest(db, group)
    policy = latest(db, DEFAULT) if own is None else own
    if policy is None:
        raise Conflict("there is no policy yet; run `anomaflow-aggregator init` first")
    return policy


def latest(db: sqlite3.Connection, group: str) -> Policy | None:
    """The group's own policy with the highest version, if it ever had one."""
    row = db.execute('SELECT * FROM policies WHERE "group" = ? ORDER BY version DESC LIMIT 1', (group,)).fetchone()
    return None if row is None else _policy(row)


def groups_with_policy(db: sqlite3.Connection) -> tuple[str, ...]:
    """Groups that have a policy of their own, the default one first."""
    names = [row["group"] for row in db.execute('SELECT DISTINCT "group" FROM policies')]
    return tuple(sorted(names, key=lambda name: (name != DEFAULT, name)))


def find(db: sqlite3.Connection, *, limit: int, cursor: str | None = None, group: str | None = None) -> Page[Policy]:
    """Policies of every group or of one, newest version first."""
    rows = db.execute(
        'SELECT * FROM policies WHERE version < ? AND (? IS NULL OR "group" = ?) ORDER BY version DESC LIMIT ?',
        (paging.id_cursor(cursor), group, group, paging.size(limit) + 1),
    ).fetchall()
    return paging.page([_policy(row) for row in rows], limit, lambda policy: str(policy.version))


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
    group: str = DEFAULT,
) -> Policy:
    """A new version for `group` with what is not None changed. Raises `Invalid`, `Conflict`."""
    if promised_fpr is not None and threshold is not None:
        raise Invalid("give promised_fpr or threshold, not both: one follows from the other")
    old = current(db, group)
    basis = old.basis
    if promised_fpr is not None:
        require_rate(promised_fpr)
        threshold, basis = _calibrated(db, old.model_digest, promised_fpr), "model"
    elif threshold is not None:
        if not math.isfinite(threshold) or not 0 < threshold <= 100:
            raise Invalid(f"threshold = {threshold} must be above 0 and at most 100")
        basis = "hand"
    else:
        threshold, promised_fpr = old.threshold, old.promised_fpr
    return follow(
        db,
        old,
        group=group,
        threshold=threshold,
        promised_fpr=promised_fpr,
        basis=basis,
        **limits(old, keep_fraction=keep_fraction, max_alerts_per_minute=max_alerts_per_minute),
        by=by,
        reason=reason,
        now_ms=now_ms,
    )


def for_champion(
    db: sqlite3.Connection, digest: str, *, default_fpr: float, by: str, reason: str, now_ms: int
) -> Policy:
    """New versions for a new champion: each group keeps its promise (`default_fpr` where it was set by hand).

    Gives that of the default group.
    """
    for group in reversed(groups_with_policy(db)):
        old = current(db, group)
        promised = default_fpr if old.promised_fpr is None else old.promised_fpr
        made = follow(
            db,
            old,
            group=group,
            model_digest=digest,
            threshold=_calibrated(db, digest, promised),
            promised_fpr=promised,
            basis="model",
            by=by,
            reason=reason,
            now_ms=now_ms,
        )
    return made


def undo(db: sqlite3.Connection, *, group: str, by: str, reason: str, now_ms: int) -> Policy:
    """A new version that says what the group's version before said. Raises `Conflict` when there is none to go to."""
    versions = find(db, limit=2, group=group).items
    if len(versions) < 2:
        raise Conflict(f"group {group!r} has no policy of its own before this one; set one instead")
    now, before = versions
    if before.model_digest != now.model_digest:
        raise Conflict(
            f"policy {before.version} was made for another model: scores of two models do not compare; set one instead"
        )
    said = f"back to what version {before.version} said" + (f": {reason}" if reason.strip() else "")
    return follow(
        db,
        before,
        group=group,
        by=by,
        reason=said,
        now_ms=now_ms,
    )


def follow(
    db: sqlite3.Connection, old: Policy, *, group: str, now_ms: int, by: str, reason: str, **values: Any
) -> Policy:
    """The next version, for `group`: `old` with `values` in their place; written into the audit log."""
    kept = {name: getattr(old, name) for name in _COLUMNS} | values
    version = db.execute("SELECT max(version) + 1 FROM policies").fetchone()[0]
    made = {"version": version, "created_ms": now_ms, "by": by, "reason": reason[:500], "group": group}
    new = Policy(**(kept | made))
    _insert(db, new)
    detail = {
        "group": group,
        "threshold": new.threshold,
        "promised_fpr": new.promised_fpr,
        "basis": new.basis,
        "keep_fraction": new.keep_fraction,
        "reason": new.reason,
    }
    audit.record(db, at_ms=now_ms, actor=by, action="policy.set", about=f"policy {new.version}", detail=detail)
    return new


def limits(
    old: Policy, *, keep_fraction: float | None = None, max_alerts_per_minute: int | None = None
) -> dict[str, Any]:
    """Sample and cap of a new version; what is None stays. Raises `Invalid`."""
    if keep_fraction is not None and not 0 <= keep_fraction <= 1:
        raise Invalid(f"keep_fraction = {keep_fraction} must be between 0 and 1")
    if max_alerts_per_minute is not None and not 1 <= max_alerts_per_minute <= 1_000_000:
        raise Invalid(f"max_alerts_per_minute = {max_alerts_per_minute} must be between 1 and 1000000")
    return {
        "keep_fraction": old.keep_fraction if keep_fraction is None else keep_fraction,
        "max_alerts_per_minute": old.max_alerts_per_minute if max_alerts_per_minute is None else max_alerts_per_minute,
    }


def require_rate(rate: float) -> float:
    """`rate`, when it can be promised. Raises `Invalid`."""
    if not 0 < rate < 1:
        raise Invalid(f"promised_fpr = {rate} must be between 0 and 1")
    return rate


def calibration(db: sqlite3.Connection, digest: str) -> tuple[str, list[manifest.Threshold]]:
    """Name and thresholds of a model in the registry. Raises `Conflict` when it is not there."""
    row = db.execute("SELECT name, manifest FROM models WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise Conflict(
            "there is no champion whose calibration could give a threshold; promote a model, or set threshold"
        )
    return row["name"], manifest.read_thresholds(json.loads(row["manifest"])["thresholds"])


def threshold_for(name: str, thresholds: list[manifest.Threshold], promised_fpr: float) -> float:
    """The manifest's own rule, on the thresholds kept in the registry."""
    described = manifest.Manifest(
        name=name, kind="", features=(), feature_digest="", created_ms=0, thresholds=tuple(thresholds)
    )
    return described.threshold_for(promised_fpr).score


def _calibrated(db: sqlite3.Connection, digest: str, promised_fpr: float) -> float:
    try:
        return threshold_for(*calibration(db, digest), promised_fpr)
    except manifest.ManifestError as error:
        raise Conflict(str(error)) from error


def _policy(row: sqlite3.Row) -> Policy:
    return Policy(**{name: row[name] for name in _COLUMNS})


def _insert(db: sqlite3.Connection, policy: Policy) -> None:
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    marks = ", ".join("?" for _ in _COLUMNS)
    db.execute(
        f"INSERT INTO policies ({names}) VALUES ({marks})",  # noqa: S608 - our own names
        [getattr(policy, name) for name in _COLUMNS],
    )
