"""Between the sensor and its spool: a full or failing disk does not end the sensor, and no alert is forgotten lightly.

While the spool takes records they go straight to disk. When it does not (no space, I/O error, nothing but alerts in
it), batches with alerts wait in memory, at most `ring_bytes` of them and the oldest go first; quiet batches are counted
and let go. `trouble` says so in words. The spool is tried again with growing pauses; once it works, what was let go is
declared as a gap, then the waiting alerts follow.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from agent.errors import DiskTrouble, SpoolDamaged, SpoolFull

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.clock import Clock
    from agent.spool import Spool
    from agent.spool_file import Entry

log = logging.getLogger(__name__)

RING_BYTES: Final = 8 << 20
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0


class Keeper:
    """Owns the spool's writing side. Raises only what a person must settle: `SpoolBusy`, a newer file, no rights."""

    def __init__(self, open_spool: Callable[[], Spool], *, clock: Clock, ring_bytes: int = RING_BYTES) -> None:
        self._open = open_spool
        self._clock = clock
        self._ring_bytes = ring_bytes
        self._ring: deque[Entry] = deque()
        self._ring_size = 0
        self._lost_flows = 0
        self._lost_alerts = 0
        self._pause = _FIRST_PAUSE_S
        self._retry_at = 0.0
        self._spool: Spool | None = None
        self.trouble = ""
        """Why records do not reach the disk, empty when they do."""
        self._attempt(self._reopen)

    @property
    def waiting(self) -> int:
        """Batches with alerts that wait in memory."""
        return len(self._ring)

    @property
    def lost_alerts(self) -> int:
        """Alerts let go that are not declared on disk yet."""
        return self._lost_alerts

    def keep(self, entries: Sequence[Entry]) -> None:
        """Bring `entries` to disk, or remember what must be remembered."""
        if not entries:
            return
        if self.trouble or not self._attempt(lambda: self._require().enqueue_all(entries)):
            self._hold(entries)
            self._retry()

    def tick(self) -> None:
        """Forget what was committed, and try again what failed. Call about every second."""
        if self.trouble:
            self._retry()
        else:
            self._attempt(lambda: self._require().prune())

    def close(self) -> None:
        """Try a last time and let go of the spool."""
        if self.trouble:
            self._retry_at = 0.0
            self._retry()
        if self._ring:
            log.error("alerts_lost batches=%d reason=%s", len(self._ring), self.trouble)
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _require(self) -> Spool:
        return self._spool or self._reopen()

    def _reopen(self) -> Spool:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._spool = self._open()
        return self._spool

    def _attempt(self, action: Callable[[], object]) -> bool:
        try:
            try:
                action()
            except SpoolDamaged as error:
                log.warning("spool_reopened reason=%s", error)
                self._reopen()  # sets the damaged file aside
                action()
        except (DiskTrouble, SpoolDamaged, SpoolFull) as error:
            if str(error) != self.trouble:
                log.warning("spool_refuses reason=%s", error)
            self.trouble = str(error)
            return False
        return True

    def _hold(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if not entry.alerts:
                self._lost_flows += entry.flows
                continue
            self._ring.append(entry)
            self._ring_size += entry.size
            while self._ring_size > self._ring_bytes and self._ring:
                oldest = self._ring.popleft()
                self._ring_size -= oldest.size
                self._lost_flows += oldest.flows
                self._lost_alerts += oldest.alerts
                log.error("alerts_lost count=%d reason=%s", oldest.alerts, self.trouble)

    def _retry(self) -> None:
        now = self._clock.monotonic()
        if now < self._retry_at:
            return
        if not self._attempt(self._deliver):
            self._retry_at = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
            return
        log.info("spool_works_again")
        self.trouble, self._pause, self._retry_at = "", _FIRST_PAUSE_S, 0.0

    def _deliver(self) -> None:
        spool = self._require()
        spool.prune()
        if self._lost_flows or self._lost_alerts:
            reason = f"not kept, because the spool refused: {self.trouble}"[:500]
            spool.declare(flows=self._lost_flows, alerts=self._lost_alerts, reason=reason)
            self._lost_flows = self._lost_alerts = 0
        while self._ring:
            spool.enqueue_all([self._ring[0]])
            self._ring_size -= self._ring.popleft().size
