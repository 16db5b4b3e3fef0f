"""Flow records to the matrix a model reads: the only place where a feature is computed.

A feature that NFStream has is its column as it stands. The others are derived here, or in `context.py` where they need
memory. Every value is finite; nothing is scaled, because scaling belongs to the model (it lives in the ONNX graph).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agent import context as context_module
from agent import context_facts
from agent.flow import FLOW, ICMP, ICMPV6, TCP, UDP
from protos import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from agent.context import Context

_LAST_WELL_KNOWN: Final = 1023
_LAST_REGISTERED: Final = 49151


def _seconds(flows: NDArray) -> NDArray[np.float64]:
    """Duration, at least one millisecond, so that a rate is finite for a single packet."""
    result: NDArray[np.float64] = np.maximum(flows["bidirectional_duration_ms"], 1) / 1000.0
    return result


DERIVED: Final[dict[str, Callable[[NDArray], NDArray]]] = {
    "bytes_per_second": lambda flows: flows["bidirectional_bytes"] / _seconds(flows),
    "packets_per_second": lambda flows: flows["bidirectional_packets"] / _seconds(flows),
    "src2dst_bytes_share": lambda flows: flows["src2dst_bytes"] / np.maximum(flows["bidirectional_bytes"], 1),
    "src2dst_bytes_per_packet": lambda flows: flows["src2dst_bytes"] / np.maximum(flows["src2dst_packets"], 1),
    "unanswered": context_facts.unanswered,
    "dst_is_group": context_facts.group_address,
    "is_tcp": lambda flows: flows["protocol"] == TCP,
    "is_udp": lambda flows: flows["protocol"] == UDP,
    "is_icmp": lambda flows: (flows["protocol"] == ICMP) | (flows["protocol"] == ICMPV6),
    "is_ipv6": lambda flows: flows["ip_version"] == 6,
    "dst_port_well_known": lambda flows: (flows["dst_port"] > 0) & (flows["dst_port"] <= _LAST_WELL_KNOWN),
    "dst_port_registered": lambda flows: (
        (flows["dst_port"] > _LAST_WELL_KNOWN) & (flows["dst_port"] <= _LAST_REGISTERED)
    ),
    "dst_port_dynamic": lambda flows: flows["dst_port"] > _LAST_REGISTERED,
}
"""How each feature is computed that is neither a column of `FLOW` nor a context."""

_CONTEXT: Final = {name: position for position, name in enumerate(context_module.NAMES)}
_CONTEXT_TARGET: Final = [contract.index(name) for name in context_module.NAMES]


def compute(flows: NDArray, context: Context) -> NDArray[np.float32]:
    """The `[n, F]` matrix of `flows` (`FLOW`), in contract order, finite.

    `context` is updated: it must be handed every batch of its source, in order, once.
    """
    matrix = np.empty((len(flows), len(contract.FEATURES)), dtype=np.float32)
    for position, name in enumerate(contract.FEATURES):
        if name in _CONTEXT:
            continue
        matrix[:, position] = DERIVED[name](flows) if name in DERIVED else flows[name]
    matrix[:, _CONTEXT_TARGET] = context.update(flows)
    return matrix


def origin(feature: str) -> str:
    """Where a feature comes from: `flow`, `derived` or `context`. Raises `KeyError` for an unknown one."""
    if feature in _CONTEXT:
        return "context"
    if feature in DERIVED:
        return "derived"
    if feature in (FLOW.names or ()):
        return "flow"
    raise KeyError(feature)
