"""How a piece of work went, from how its process ended and whether its result is whole. Pure."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from aggregator.work.rows import WorkState

if TYPE_CHECKING:
    from aggregator.work.rows import Ended, Order

LIMITS: Final = {"heavy": "workbench_hours", "light": "workbench_light_minutes"}


def judge(order: Order, ended: Ended, *, whole: bool) -> tuple[WorkState, str]:
    """The state it ended in, and a sentence when it did not end well.

    A cancel counts even when the result was just written; a stop only when the process agreed to it.
    """
    if ended.asked == "cancel":
        return WorkState.CANCELLED, ""
    if ended.timed_out:
        allowed = f"{LIMITS[order.lane]} allows {_lasting(order.seconds)}"
        return WorkState.TIMED_OUT, f"it took longer than allowed ({allowed}); give it less, or raise that setting"
    if whole and ended.exit_code in {0, None} and ended.said not in {"failed", "cancelled"}:
        return WorkState.STOPPED if ended.said == "stopped" else WorkState.DONE, ""
    if ended.exit_code == -signal.SIGKILL:
        return WorkState.FAILED, (
            "it was killed from outside, most likely because this machine ran out of memory; give it fewer rows or "
            "models, or lower workbench_heavy and workbench_light"
        )
    if ended.said == "cancelled" or ended.exit_code == -signal.SIGTERM:
        return WorkState.INTERRUPTED, "somebody ended its process; start it again"
    if "MemoryError" in ended.complaint or "bad_alloc" in ended.complaint or "Unable to allocate" in ended.complaint:
        return WorkState.FAILED, (
            f"it needed more than the {order.memory_mib} MiB of memory it may use ({ended.complaint}); give it fewer "
            "rows, or raise that limit in the settings"
        )
    return WorkState.FAILED, ended.complaint or _silent(ended)


def _silent(ended: Ended) -> str:
    how = "" if ended.exit_code is None else f" (exit code {ended.exit_code})"
    return f"the trainer ended without a result and said nothing{how}; look at the log"


def _lasting(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds >= 7200 else f"{seconds / 60:g} minutes"
