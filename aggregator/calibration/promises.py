"""Promises kept by the fleet: what each group is promised, whether that still holds, and the way to a new threshold.

The effects around the pure decisions of recalibration.py, monitor.py and readouts.py: reading counts, setting policies,
auditing, announcing. A look at a week of counts costs some 30 ms an agent, so the answer is kept for `LOOK_S` seconds,
or twenty times as long as it took, or until a policy changes.

**By itself** a group is recalibrated when its promise has expired, or when it still runs on the model's own
calibration or on an estimate although its counts certify a threshold, and not otherwise: at most once in
`recalibrate_hours` (0 switches it off), only after as many hours were counted as `recalibrate_after_hours` says, never
over a threshold set by hand, not for as long after somebody overruled it, and not on a refusal of recalibration.py,
which is logged. Every change is a new policy version with its reason in the audit log, and `undo` brings back what the
version before said.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from aggregator import agents
from aggregator.calibration import counts, groups, monitor, policies, readouts
from aggregator.calibration.policies import DEFAULT
from aggregator.calibration.promised import AgentPromise, GroupPromise, Preview
from aggregator.calibration.readouts import Plan, Wish
from aggregator.calibration.recalibration import Outcome
from aggregator.errors import AggregatorError, Conflict, NotFound
from aggregator.rows import Role
from protos.manifest import ManifestError

if TYPE_CHECKING:
    import sqlite3

    from aggregator.calibration.counts import Quiet, Tally
    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.events import Events
    from aggregator.models.registry import Registry
    from aggregator.rows import Agent, Policy
    from aggregator.storage.store import Store
    from aggregator.users import Principal
    from protos.manifest import Threshold

log = logging.getLogger(__name__)

LOOK_S: Final = 10.0
AUTOMATIC: Final = "recalibration"
"""Who the audit log names when a group was recalibrated by itself."""

LEAST_STEP: Final = 2 / 64
"""A change smaller than this is none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a group: its policy, the champion's thresholds, and what its agents counted."""

    group: str
    agents: tuple[str, ...]
    policy: Policy
    thresholds: list[Threshold]
    hours: tuple[Tally, ...]
    quiet: Quiet
    overruled: bool
    """True when the policy is a person's answer to a recalibration that came by itself."""


class Promises:
    """The promises of one aggregator. Reads may come from any thread."""

    def __init__(
        self, store: Store, config: AggregatorConfig, clock: Clock, events: Events, registry: Registry
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._events = events
        self._registry = registry
        self._looking = threading.Lock()
        self._looked: tuple[float, int, tuple[GroupPromise, ...]] | None = None

    # --- reading -----------------------------------------------------------------------------------------------

    def standing(self) -> tuple[GroupPromise, ...]:
        """Every group's promise and what became of it, the default group first."""
        with self._looking:
            newest = self._store.read(lambda db: db.execute("SELECT max(version) FROM policies").fetchone()[0])
            now_s = self._clock.monotonic_s()
            known = self._looked
            if known is None or known[1] != newest or now_s >= known[0]:
                names = self._store.read(groups.names)
                found = tuple(promise(self.evidence(name)) for name in names)
                pause_s = max(LOOK_S, 20 * (self._clock.monotonic_s() - now_s))
                known = self._looked = now_s + pause_s, newest, found
            return known[2]

    def evidence(self, group: str) -> Evidence:
        """What is known of a group. Raises `NotFound` for one that is not there."""
        since_ms = self._clock.now_ms() - round(self._config.calibration_hours * counts.HOUR_MS)

        def ask(db: sqlite3.Connection) -> Evidence:
            if group not in groups.names(db):
                raise NotFound(f"no group named {group[:64]!r}; put an agent into it first")
            policy = replace(policies.current(db, group), group=group)
            try:
                _, thresholds = policies.calibration(db, policy.model_digest)
            except Conflict:
                thresholds = []
            hours = counts.quiet_hours(db, group=group, model_digest=policy.model_digest, since_ms=since_ms)
            members = groups.members(db, group)
            by = [version.by for version in policies.find(db, limit=2, group=group).items]
            overruled = by[1:] == [AUTOMATIC] and by[0] != AUTOMATIC
            return Evidence(group, members, policy, thresholds, hours, counts.together(hours), overruled)

        return self._store.read(ask)

    def preview(self, wish: Wish, *, group: str = DEFAULT, base_rate: float = readouts.BASE_RATE) -> Preview:
        """What a policy for `wish` would do. Raises `Invalid`, `Conflict`, `NotFound`."""
        known, found = self._planned(wish, group)
        curve = self._curve(known.policy.model_digest)
        return readouts.preview(found, known.policy, known.quiet, known.thresholds, curve, base_rate=base_rate)

    def _planned(self, wish: Wish, group: str) -> tuple[Evidence, Plan]:
        known = self.evidence(group)
        curve = self._curve(known.policy.model_digest)
        return known, readouts.plan(wish, known.policy, known.quiet, known.thresholds, curve)

    def _curve(self, digest: str) -> readouts.Labelled:
        try:
            return readouts.labelled(self._registry.report(digest) if digest else None)
        except AggregatorError:
            return readouts.Labelled()

    # --- doing -------------------------------------------------------------------------------------------------

    async def set(self, actor: Principal, wish: Wish, *, group: str = DEFAULT, reason: str = "", **rest: Any) -> Policy:
        """Set a group's policy for `wish`; `rest` as in `policies.change`. Operators and up. Raises as `preview`.

        Where the counts say nothing, or a few hosts own them, the model's own calibration stands in.
        """
        actor.require(Role.OPERATOR)
        known, found = await asyncio.to_thread(self._planned, wish, group)
        return await self._apply(known, found, by=actor.name, reason=reason, **rest)

    async def recalibrate(self, actor: Principal, wish: Wish, *, group: str = DEFAULT, reason: str = "") -> Policy:
        """Choose a group's threshold anew from what it counted, for `wish` or the promise it has.

        Operators and up. Raises `Conflict` with the reason when the counts do not say enough, or say that they are not
        to be trusted; the policy is then as it was.
        """
        actor.require(Role.OPERATOR)
        known, found = await asyncio.to_thread(self._planned, wish, group)
        if found.promised_fpr is None:
            raise Conflict(
                f"group {group!r} has a threshold set by hand: say which rate or how many alerts a day to promise"
            )
        if found.outcome in (Outcome.KEPT, Outcome.REFUSED):
            raise Conflict(f"group {group!r} stays as it is: {found.why}")
        return await self._apply(known, found, by=actor.name, reason=reason)

    async def undo(self, actor: Principal, *, group: str = DEFAULT, reason: str = "") -> Policy:
        """Bring back what the group's policy version before said, as a new version. Operators and up."""
        actor.require(Role.OPERATOR)
        now_ms = self._clock.now_ms()
        made = await self._store.write(
            lambda db: policies.undo(db, group=group, by=actor.name, reason=reason, now_ms=now_ms)
        )
        return self._announce(made)

    async def assign(self, actor: Principal, agent_id: str, group: str) -> Agent:
        """Put an agent into a group. Operators and up. Raises `NotFound`, `Invalid`."""
        actor.require(Role.OPERATOR)
        now_ms = self._clock.now_ms()
        await self._store.write(lambda db: groups.assign(db, agent_id, group, by=actor.name, now_ms=now_ms))
        self._events.publish("agent", id=agent_id)
        self._events.publish("policy")
        return self._store.read(lambda db: agents.get(db, agent_id))

    async def attend(self) -> tuple[Policy, ...]:
        """Recalibrate the groups that need it, and drop counts that are too old."""
        now_ms = self._clock.now_ms()
        keep_ms = now_ms - round(self._config.score_days * counts.DAY_MS)
        await self._store.write(lambda db: counts.forget(db, before_ms=keep_ms))
        made = []
        for name in self._store.read(groups.names):
            known = await asyncio.to_thread(self.evidence, name)
            found = self._due(known, now_ms)
            if found is not None:
                made.append(await self._apply(known, found, by=AUTOMATIC, reason=found.why))
        return tuple(made)

    def _due(self, known: Evidence, now_ms: int) -> Plan | None:
        """The plan for a group that should be recalibrated now."""
        policy, quiet = known.policy, known.quiet
        pause_ms = self._config.recalibrate_hours * counts.HOUR_MS
        if not pause_ms or policy.promised_fpr is None or not known.thresholds or not known.agents:
            return None
        # The first time a pause is no use: the group runs on a calibration that is not its own.
        if policy.basis != "model" and now_ms - policy.created_ms < pause_ms:
            return None
        if known.overruled and now_ms - policy.created_ms < pause_ms:
            return None
        if quiet.covered_ms < self._config.recalibrate_after_hours * counts.HOUR_MS:
            return None
        state = promise(known).state
        found = readouts.plan(Wish(), policy, quiet, known.thresholds, readouts.Labelled())
        if found.outcome is Outcome.REFUSED and state == monitor.State.EXPIRED:
            log.warning("recalibration_refused group=%s why=%s", known.group, found.why)
        if found.outcome not in (Outcome.CERTIFIED, Outcome.ESTIMATED):
            return None
        better = found.outcome is Outcome.CERTIFIED and policy.basis != "certified"
        if state != monitor.State.EXPIRED and not better:
            return None
        return found if abs(found.threshold - policy.threshold) >= LEAST_STEP or better else None

    async def _apply(self, known: Evidence, found: Plan, *, by: str, reason: str, **rest: Any) -> Policy:
        now_ms = self._clock.now_ms()

        def write(db: sqlite3.Connection) -> Policy:
            old = policies.current(db, known.group)
            if old.model_digest != known.policy.model_digest:
                raise Conflict("the champion changed meanwhile; look again")
            kept = policies.limits(old, **rest)
            return policies.follow(
                db,
                old,
                group=known.group,
                threshold=found.threshold,
                promised_fpr=found.promised_fpr,
                basis=found.basis,
                by=by,
                reason=reason or found.why,
                now_ms=now_ms,
                **kept,
            )

        try:
            made = await self._store.write(write)
        except ManifestError as error:
            raise Conflict(str(error)) from error
        return self._announce(made)

    def _announce(self, made: Policy) -> Policy:
        log.info(
            "policy_set version=%d group=%s threshold=%g basis=%s", made.version, made.group, made.threshold, made.basis
        )
        self._events.publish("policy", version=made.version)
        return made


def promise(known: Evidence) -> GroupPromise:
    """A group's promise and what its quiet flows made of it. Pure."""
    policy, quiet = known.policy, known.quiet
    blocks = {
        agent: [readouts.block(hour, policy.threshold) for hour in known.hours if hour.agent_id == agent]
        for agent in known.agents
    }
    found = monitor.watch(_by_hour(block for found in blocks.values() for block in found), policy.promised_fpr)
    daily = quiet.flows_per_day
    share = found.realised
    members = []
    for agent, own in blocks.items():
        said = monitor.watch(own, policy.promised_fpr)
        members.append(AgentPromise(agent, said.state.value, said.since_ms, said.flows, said.exceeding, said.realised))
    return GroupPromise(
        group=known.group,
        agents=len(known.agents),
        policy_version=policy.version,
        threshold=policy.threshold,
        promised_fpr=policy.promised_fpr,
        basis=policy.basis,
        max_alerts_per_minute=policy.max_alerts_per_minute,
        state=found.state.value,
        since_ms=found.since_ms,
        why=found.why,
        hours=quiet.hours,
        flows=found.flows,
        exceeding=found.exceeding,
        realised_fpr=found.realised,
        realised_low=found.low,
        realised_high=found.high,
        evidence=found.evidence,
        flows_per_day=daily,
        expected_alerts_per_day=None if policy.promised_fpr is None or not daily else policy.promised_fpr * daily,
        realised_alerts_per_day=None if share is None else share * daily,
        members=tuple(members),
    )


def _by_hour(blocks: Any) -> list[monitor.Block]:
    """Blocks of several agents, an hour each."""
    hours: dict[int, monitor.Block] = {}
    for one in blocks:
        old = hours.get(one.hour_ms, monitor.Block(one.hour_ms, 0, 0, 0))
        hours[one.hour_ms] = monitor.Block(
            one.hour_ms, old.flows + one.flows, old.exceeding + one.exceeding, old.windows + one.windows
        )
    return list(hours.values())
