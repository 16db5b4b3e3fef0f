"""Models: admitted after proof, promoted by decision, brought back by one call.

A model file enters only when its size is within bounds, its digest is what it was announced as, and a capped child
process (modelcheck.py) has found a manifest for this feature contract and a self-test that holds. Files are named by
digest and appear by rename; rows and files never disagree about which bytes a digest means.

The state machine is the table `MOVES`. One model at most is champion (a unique index holds it). Every reign remembers
the one before, so a rollback is one step down a stack, and a second rollback is the next step.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aggregator import audit
from aggregator.calibration import policies
from aggregator.config import DIGEST
from aggregator.errors import Conflict, GateFailed, Invalid, ModelRefused, NotFound, StateError
from aggregator.models import admission
from aggregator.rows import Model, ModelState, Page

if TYPE_CHECKING:
    import sqlite3

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.events import Events
    from aggregator.storage.store import Store

log = logging.getLogger(__name__)

MOVES: Final[dict[tuple[ModelState, str], ModelState]] = {
    (ModelState.ADMITTED, "promote"): ModelState.CHAMPION,
    (ModelState.CANDIDATE, "promote"): ModelState.CHAMPION,
    (ModelState.RETIRED, "promote"): ModelState.CHAMPION,
    (ModelState.CHAMPION, "supersede"): ModelState.RETIRED,
    (ModelState.RETIRED, "restore"): ModelState.CHAMPION,
    (ModelState.ADMITTED, "refuse"): ModelState.REFUSED,
    (ModelState.CANDIDATE, "refuse"): ModelState.REFUSED,
    (ModelState.RETIRED, "refuse"): ModelState.REFUSED,
}
"""What may become of a model. What is not in the table is a `Conflict`."""

LONGEST_REASON: Final = 500
INCOMING: Final = ".incoming-"
"""How folders of uploads begin; an upload that was cut off leaves one."""


def move(state: ModelState, deed: str) -> ModelState:
    """The state after `deed`. Raises `Conflict` when the table has no such move."""
    try:
        return MOVES[state, deed]
    except KeyError:
        allowed = [name for before, name in MOVES if before is state]
        raise Conflict(
            f"a model that is {state} cannot be {deed}d; possible: {', '.join(allowed) or 'nothing'}"
        ) from None


class Registry:
    """The models of `config.models_dir` and their rows."""

    def __init__(self, store: Store, config: AggregatorConfig, clock: Clock, events: Events) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._events = events
        self._folder = config.models_dir

    def open(self) -> Registry:
        """Drop what an interrupted upload left behind."""
        for leftover in self._folder.glob(f"{INCOMING}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        return self

    # --- reading -----------------------------------------------------------------------------------------------

    def models(self) -> Page[Model]:
        """Models, newest version first."""
        rows = self._store.read(lambda db: db.execute(_MODELS + "ORDER BY version DESC").fetchall())
        return Page(tuple(_model(row) for row in rows), None)

    def get(self, digest: str) -> Model:
        """One model, by its digest or an unambiguous beginning of at least 8 digits. Raises `NotFound`."""
        return self._store.read(lambda db: find(db, digest))

    def champion(self) -> Model | None:
        """What agents should run, if anything was promoted yet."""
        return self._store.read(champion)

    def path(self, digest: str) -> Path:
        """The file of a model. Raises `NotFound`."""
        return self._folder / f"{self.get(digest).digest}.onnx"

    def report(self, digest: str) -> dict[str, Any]:
        """The training report as the trainer wrote it. Raises `NotFound`."""
        model = self.get(digest)
        try:
            text = (self._folder / f"{model.digest}.report.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotFound(f"model {model.digest[:12]} came without a report") from None
        return dict(json.loads(text))

    def damaged(self) -> dict[str, str]:
        """What is wrong with the files of models that may still run, by digest."""
        problems = {}
        for model in self.models().items:
            path = self._folder / f"{model.digest}.onnx"
            if model.state is ModelState.REFUSED:
                continue
            if not path.exists():
                problems[model.digest] = "its file is missing"
            elif admission.digest_of(path) != model.digest:
                problems[model.digest] = "its file does not have this digest"
        return problems

    # --- doing -------------------------------------------------------------------------------------------------

    async def admit(self, path: Path, *, report: Path | None, by: str, announced: str | None = None) -> Model:
        """Check the file and keep a copy. A model that is here already is returned as it is. Raises `ModelRefused`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=INCOMING, dir=self._folder))
        try:
            copy = incoming / "model.onnx"
            digest = await asyncio.to_thread(admission.take, path, copy, cap_mib=self._config.max_model_mib)
            if announced is not None and announced != digest:
                raise ModelRefused(
                    f"the model's digest is {digest[:12]}, announced was {announced[:12]}; send it again"
                )
            known = self._store.read(lambda db: _by_digest(db, digest))
            if known is not None and known.state is ModelState.REFUSED:
                raise ModelRefused(f"model {digest[:12]} was refused by an operator before")
            if known is not None and await asyncio.to_thread(self._intact, known):
                return known
            described = await admission.prove(copy, self._config)
            summary, gate_passed = admission.read_report(report, digest)
            await asyncio.to_thread(admission.keep, copy, self._folder, digest, summary)
        except OSError as error:
            raise StateError(
                f"keeping model {path}: {error}; check the disk and the rights of {self._folder}"
            ) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, incoming, ignore_errors=True)
        if known is not None:  # its damaged file was replaced
            return known
        size = (self._folder / f"{digest}.onnx").stat().st_size
        now_ms = self._clock.now_ms()
        facts = {"size": size, "gate_passed": gate_passed, "has_report": bool(summary)}
        model = await self._store.write(lambda db: _insert(db, digest, described, facts, by=by, now_ms=now_ms))
        log.info("model_admitted digest=%s name=%s state=%s", digest, model.name, model.state)
        self._events.publish("model", digest=digest, state=str(model.state))
        return model

    async def promote(self, digest: str, *, by: str, reason: str, force: bool) -> Model:
        """Make a model the champion, with a policy of its own. See `queries.promote` for the errors."""
        model = self.get(digest)
        if force and not reason.strip():
            raise Invalid("promoting against the gate needs a reason; it goes into the audit log")
        move(model.state, "promote")
        if model.gate_passed is False and not force:
            raise GateFailed(
                f"model {model.digest[:12]} did not pass its gate against the champion; see its report, or promote it "
                "with force and a reason"
            )
        await self._require_intact(model)
        now_ms = self._clock.now_ms()
        await self._store.write(
            lambda db: _crown(
                db, model.digest, deed="promote", by=by, reason=reason, config=self._config, now_ms=now_ms
            )
        )
        return self._announce(model.digest, "promoted")

    async def rollback(self, *, by: str, reason: str) -> Model:
        """Bring the previous champion back. Raises `Conflict` when there is none."""
        target = self._store.read(_predecessor)
        await self._require_intact(self.get(target))
        now_ms = self._clock.now_ms()
        await self._store.write(
            lambda db: _crown(db, target, deed="restore", by=by, reason=reason, config=self._config, now_ms=now_ms)
        )
        return self._announce(target, "rolled_back_to")

    async def refuse(self, digest: str, *, by: str, reason: str) -> Model:
        """Mark a model as not wanted. Raises `NotFound`, `Conflict`."""
        model = self.get(digest)
        now_ms = self._clock.now_ms()
        await self._store.write(lambda db: _refuse(db, model.digest, by=by, reason=reason, now_ms=now_ms))
        return self._announce(model.digest, "refused")

    def _announce(self, digest: str, deed: str) -> Model:
        model = self.get(digest)
        log.info("model_%s digest=%s name=%s", deed, digest, model.name)
        self._events.publish("model", digest=digest, state=str(model.state))
        self._events.publish("policy")
        return model

    async def _require_intact(self, model: Model) -> None:
        if not await asyncio.to_thread(self._intact, model):
            raise StateError(f"the file of model {model.digest[:12]} is missing or damaged; upload or restore it")

    def _intact(self, model: Model) -> bool:
        path = self._folder / f"{model.digest}.onnx"
        return path.exists() and admission.digest_of(path) == model.digest


_MODELS: Final = (
    "SELECT models.*, (SELECT count(*) FROM agents WHERE agents.model_digest = models.digest) AS agents, "
    "(SELECT count(*) FROM alerts WHERE alerts.model_digest = models.digest) AS alerts FROM models "
)


def find(db: sqlite3.Connection, digest: str) -> Model:
    """A model by its digest or an unambiguous beginning of it. Raises `NotFound`, `Invalid`."""
    if DIGEST.fullmatch(digest):
        if (model := _by_digest(db, digest)) is not None:
            return model
    elif DIGEST.fullmatch(digest.ljust(64, "0")) and len(digest) >= 8:
        rows = db.execute(_MODELS + "WHERE digest GLOB ? || '*' LIMIT 2", (digest,)).fetchall()
        if len(rows) == 1:
            return _model(rows[0])
        if rows:
            raise Invalid(f"several models begin with {digest}; give more digits")
    raise NotFound(f"there is no model {digest[:64]!r} in the registry")


def champion(db: sqlite3.Connection) -> Model | None:
    """What agents should run."""
    row = db.execute(_MODELS + "WHERE state = 'champion'").fetchone()
    return None if row is None else _model(row)


def _by_digest(db: sqlite3.Connection, digest: str) -> Model | None:
    row = db.execute(_MODELS + "WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else _model(row)


def _insert(
    db: sqlite3.Connection,
    digest: str,
    described: dict[str, Any],
    facts: dict[str, Any],
    *,
    by: str,
    now_ms: int,
) -> Model:
    state = ModelState.CANDIDATE if facts["gate_passed"] else ModelState.ADMITTED
    kept = {key: value for key, value in described.items() if not key.startswith("self_test")}
    version = db.execute("SELECT coalesce(max(version), 0) + 1 FROM models").fetchone()[0]
    db.execute(
        "INSERT INTO models (digest, version, name, kind, state, size, feature_digest, created_ms, admitted_ms, "
        "admitted_by, gate_passed, has_report, manifest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            digest,
            version,
            described["name"][:128],
            described["kind"][:64],
            state,
            facts["size"],
            described["feature_digest"],
            described["created_ms"],
            now_ms,
            by,
            facts["gate_passed"],
            facts["has_report"],
            json.dumps(kept),
        ),
    )
    detail = {"name": described["name"][:128], "version": version, "gate_passed": facts["gate_passed"]}
    audit.record(db, at_ms=now_ms, actor=by, action="model.admit", about=digest, detail=detail)
    return find(db, digest)


def _crown(
    db: sqlite3.Connection, digest: str, *, deed: str, by: str, reason: str, config: AggregatorConfig, now_ms: int
) -> None:
    """Retire the champion, crown `digest`, write the reign, the policy and the audit entry: all or nothing."""
    reign = db.execute("SELECT * FROM reigns ORDER BY id DESC LIMIT 1").fetchone()
    predecessor = None if reign is None else reign["id"]
    if deed == "restore":
        if _predecessor(db) != digest:
            raise Conflict("the champion changed meanwhile; look again")
        predecessor = db.execute("SELECT predecessor FROM reigns WHERE id = ?", (reign["predecessor"],)).fetchone()[0]
    crowned = find(db, digest)
    state = move(crowned.state, deed)
    if (old := champion(db)) is not None:
        db.execute("UPDATE models SET state = ? WHERE digest = ?", (move(old.state, "supersede"), old.digest))
    db.execute("UPDATE models SET state = ? WHERE digest = ?", (state, digest))
    reason = reason.strip()[:LONGEST_REASON]
    db.execute(
        'INSERT INTO reigns (digest, predecessor, since_ms, "by", how, reason) VALUES (?, ?, ?, ?, ?, ?)',
        (digest, predecessor, now_ms, by, deed, reason),
    )
    detail = {"reason": reason, "previous": None if old is None else old.digest, "gate_passed": crowned.gate_passed}
    audit.record(db, at_ms=now_ms, actor=by, action=f"model.{deed}", about=digest, detail=detail)
    policies.for_champion(
        db, digest, default_fpr=config.promised_fpr, by=by, reason=f"{deed} of {digest[:12]}", now_ms=now_ms
    )


def _predecessor(db: sqlite3.Connection) -> str:
    """The digest a rollback returns to. Raises `Conflict`."""
    row = db.execute(
        "SELECT before.digest FROM reigns JOIN reigns AS before ON before.id = reigns.predecessor "
        "WHERE reigns.id = (SELECT max(id) FROM reigns)"
    ).fetchone()
    if row is None:
        raise Conflict("there is no earlier champion to go back to")
    return str(row["digest"])


def _refuse(db: sqlite3.Connection, digest: str, *, by: str, reason: str, now_ms: int) -> None:
    state = move(find(db, digest).state, "refuse")
    db.execute("UPDATE models SET state = ? WHERE digest = ?", (state, digest))
    detail = {"reason": reason.strip()[:LONGEST_REASON]}
    audit.record(db, at_ms=now_ms, actor=by, action="model.refuse", about=digest, detail=detail)


def _model(row: sqlite3.Row) -> Model:
    return Model(
        digest=row["digest"],
        name=row["name"],
        kind=row["kind"],
        version=row["version"],
        state=ModelState(row["state"]),
        size=row["size"],
        feature_digest=row["feature_digest"],
        created_ms=row["created_ms"],
        admitted_ms=row["admitted_ms"],
        admitted_by=row["admitted_by"],
        gate_passed=None if row["gate_passed"] is None else bool(row["gate_passed"]),
        has_report=bool(row["has_report"]),
        agents=row["agents"],
        alerts=row["alerts"],
        manifest=json.loads(row["manifest"]),
    )
