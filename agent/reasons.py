"""Why a flow is strange, in plain words. Pure.

The model's graph says, per feature, its share of the strangeness and what it expected. The strongest few become
sentences that a person on call can read: what was observed, against what is usual. Every feature of the contract has a
phrase (a test holds the table to the contract).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MOST: Final = 5
LEAST_SHARE: Final = 0.02
ALIKE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature's part. `observed` and `expected` in the feature's unit, `share` 0 to 1."""

    feature: str
    observed: float
    expected: float
    share: float
    text: str


def strongest(
    features: Sequence[str],
    observed: NDArray[np.float32],
    contributions: NDArray[np.float32],
    expected: NDArray[np.float32],
    *,
    most: int = MOST,
) -> tuple[Reason, ...]:
    """The reasons of one flow, strongest first; rows [F] each.

    Parts below `LEAST_SHARE` are noise and left out, and so is a value within `ALIKE` of what was expected: "30
    bytes/s, expected about 30" explains nothing to a reader, whatever its part in the score.
    """
    parts = np.where(np.isfinite(contributions) & (contributions > 0), contributions, 0).astype(np.float64)
    total = float(parts.sum())
    if total <= 0:
        return ()
    order = np.argsort(-parts, kind="stable")
    told = order[~_alike(observed[order], expected[order])]
    # A broken correlation can lie in values that are each as expected: better to say which than to say nothing.
    chosen = told if len(told) and parts[told[0]] >= LEAST_SHARE * total else order
    result = []
    for position in chosen[:most].tolist():
        share = float(parts[position]) / total
        if share < LEAST_SHARE:
            break
        seen, usual = float(observed[position]), float(expected[position])
        usual = usual if math.isfinite(usual) else 0.0
        result.append(Reason(features[position], seen, usual, share, phrase(features[position], seen, usual)))
    return tuple(result)


def with_others(
    reasons: tuple[Reason, ...], *, own: float, score: float, flows: float, usual: float
) -> tuple[Reason, ...]:
    """`reasons` of a flow that scores `own` alone, and what the flows of its two hosts say together, if that decides.

    `flows` of these hosts were counted over the last five minutes, `usual` were expected. What they add to the score is
    their share, and the others' shares make up the rest.
    """
    if score <= own:
        return reasons
    part = (score - own) / score
    text = (
        f"about {count(flows)} flows of these two hosts in 5 min score {score:.1f} together, this one alone {own:.1f}"
    )
    first = Reason("pair_flows_300s", flows, usual if math.isfinite(usual) else 0.0, part, text)
    rest = (replace(one, share=one.share * (1 - part)) for one in reasons[: MOST - 1])
    return (first, *rest)


def _alike(observed: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the two differ by less than `ALIKE` of the larger one `[F]`."""
    largest = np.maximum(np.abs(observed), np.abs(expected))
    with np.errstate(invalid="ignore", over="ignore"):
        same: NDArray[np.bool_] = np.abs(observed - expected) < ALIKE * largest
    return same


def phrase(feature: str, observed: float, expected: float) -> str:
    """One feature in plain words."""
    words = _special(feature, observed, expected)
    if words is not None:
        return words
    for pattern, template, unit in _PATTERNS:
        match = pattern.fullmatch(feature)
        if match:
            subject = template.format(**{key: _WORDS.get(value, value) for key, value in match.groupdict().items()})
            return _against(subject, unit, observed, expected)
    return _against(feature.replace("_", " "), count, observed, expected)


def _against(subject: str, unit: Callable[[float], str], observed: float, expected: float) -> str:
    seen, usual = unit(observed), unit(max(0.0, expected))
    sentence = subject.format(seen) if "{}" in subject else f"{subject}: {seen}"
    return f"{sentence}, expected about {usual}"


# --- values ------------------------------------------------------------------------------------------------------


def count(value: float) -> str:
    """`1,234`, `2.4`, `0`: a number without a unit."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def size(value: float) -> str:
    """`512 bytes`, `1.2 kB`, `3.4 MB`."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e4, "kB")):
        if value >= limit:
            return f"{value / (limit if limit > 1e4 else 1e3):,.1f} {unit}"
    return f"{value:,.0f} bytes"


def duration(value: float) -> str:
    """`12 ms`, `3.4 s`, `2.1 min`, from milliseconds."""
    if value >= 120_000:
        return f"{value / 60_000:,.1f} min"
    if value >= 1_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 or value == round(value) else f"{value:.1f} ms"


def rate(value: float) -> str:
    """`3.4 kB/s`."""
    return f"{size(value)}/s"


def packet_rate(value: float) -> str:
    """`120 packets/s`."""
    return f"{count(value)} packets/s"


def share(value: float) -> str:
    """`87 %`."""
    return f"{100 * value:.0f} %"


# --- phrases -----------------------------------------------------------------------------------------------------

_WORDS: Final = {
    "bidirectional": "both ways",
    "src2dst": "from the initiator",
    "dst2src": "from the responder",
    "min": "smallest",
    "mean": "mean",
    "stddev": "spread of",
    "max": "largest",
    "10s": "10 s",
    "300s": "5 min",
    **{flag: flag.upper() for flag in ("syn", "cwr", "ece", "urg", "ack", "psh", "rst", "fin")},
}
_WHERE: Final = r"(?P<where>bidirectional|src2dst|dst2src)"
_WHAT: Final = r"(?P<what>min|mean|stddev|max)"
_WINDOW: Final = r"(?P<window>10s|300s)"

_PATTERNS: Final[tuple[tuple[re.Pattern[str], str, Callable[[float], str]], ...]] = tuple(
    (re.compile(pattern), template, unit)
    for pattern, template, unit in (
        (rf"{_WHERE}_duration_ms", "lasted {{}} ({where})", duration),
        (rf"{_WHERE}_packets", "{{}} packets ({where})", count),
        (rf"{_WHERE}_bytes", "{{}} transferred ({where})", size),
        (rf"{_WHERE}_{_WHAT}_ps", "{what} packet size {{}} ({where})", size),
        (rf"{_WHERE}_{_WHAT}_piat_ms", "{what} pause between packets {{}} ({where})", duration),
        (rf"{_WHERE}_(?P<flag>[a-z]+)_packets", "{{}} packets with {flag} set ({where})", count),
        (rf"src_flows_{_WINDOW}", "the initiator opened {{}} flows in the last {window}", count),
        (rf"src_peers_{_WINDOW}", "the initiator contacted {{}} distinct hosts in the last {window}", count),
        (rf"src_ports_{_WINDOW}", "the initiator contacted {{}} distinct ports in the last {window}", count),
        (rf"src_unanswered_{_WINDOW}", "{{}} attempts of the initiator went unanswered in the last {window}", count),
        (rf"dst_flows_{_WINDOW}", "the responder received {{}} flows in the last {window}", count),
        (rf"dst_peers_{_WINDOW}", "{{}} distinct hosts contacted the responder in the last {window}", count),
        (rf"dst_ports_{_WINDOW}", "{{}} distinct ports of the responder were contacted in the last {window}", count),
        (rf"dst_unanswered_{_WINDOW}", "the responder left {{}} attempts unanswered in the last {window}", count),
        (rf"pair_flows_{_WINDOW}", "{{}} flows between these two hosts in the last {window}", count),
        (
            rf"pair_ports_{_WINDOW}",
            "the initiator contacted {{}} distinct ports on this host in the last {window}",
            count,
        ),
        (
            rf"pair_unanswered_{_WINDOW}",
            "{{}} attempts between these two hosts went unanswered in the last {window}",
            count,
        ),
        (rf"service_flows_{_WINDOW}", "{{}} flows to this host and port in the last {window}", count),
        (rf"src_refused_{_WINDOW}", "{{}} connections of the initiator were refused in the last {window}", count),
        (
            rf"src_service_peers_{_WINDOW}",
            "the initiator contacted {{}} distinct hosts on this port in the last {window}",
            count,
        ),
        (
            rf"service_held_{_WINDOW}",
            "{{}} times a conversation with this host and port was held open with hardly a word in the last {window}",
            count,
        ),
        (
            rf"repeat_exchanges_{_WINDOW}",
            "{{}} short exchanges of these two hosts on this port in the last {window}",
            count,
        ),
        (
            rf"repeat_paced_{_WINDOW}",
            "these two hosts began anew on this port {{}} times at a steady pace in the last {window}",
            count,
        ),
        (
            rf"repeat_alike_{_WINDOW}",
            "{{}} flows of one size between these two hosts on this port in the last {window}",
            count,
        ),
        (
            rf"repeat_routine_{_WINDOW}",
            "{{}} short exchanges of these two hosts on this port, alike in size and pace, in the last {window}",
            count,
        ),
        (rf"src_out_bytes_per_second_{_WINDOW}", "the initiator sent {{}} to all hosts over the last {window}", rate),
        (
            rf"dst_in_bytes_per_second_{_WINDOW}",
            "the responder was sent {{}} by all hosts over the last {window}",
            rate,
        ),
        (
            rf"pair_out_bytes_per_second_{_WINDOW}",
            "the initiator sent {{}} to this host over the last {window}",
            rate,
        ),
        (
            rf"pair_in_bytes_per_second_{_WINDOW}",
            "the initiator received {{}} from this host over the last {window}",
            rate,
        ),
        (
            rf"dns_packets_per_minute_{_WINDOW}",
            "the initiator sent {{}} DNS packets a minute over the last {window}",
            count,
        ),
        (rf"dns_bytes_per_second_{_WINDOW}", "the initiator sent {{}} of DNS over the last {window}", rate),
        (
            rf"dns_large_bytes_per_second_{_WINDOW}",
            "the initiator's DNS questions carried {{}} more than names of hosts need over the last {window}",
            rate,
        ),
        (
            rf"icmp_packets_per_minute_{_WINDOW}",
            "the initiator exchanged {{}} ICMP packets a minute over the last {window}",
            count,
        ),
        (rf"icmp_bytes_per_second_{_WINDOW}", "the initiator exchanged {{}} of ICMP over the last {window}", rate),
        (
            rf"icmp_large_bytes_per_second_{_WINDOW}",
            "the initiator's ICMP carried {{}} more than a usual ping over the last {window}",
            rate,
        ),
        ("bytes_per_second", "{{}}", rate),
        ("packets_per_second", "{{}}", packet_rate),
        ("src2dst_bytes_share", "the initiator sent {{}} of the bytes", share),
        ("src2dst_bytes_per_packet", "{{}} in a packet of the initiator", size),
    )
)

_INDICATORS: Final = {
    "unanswered": ("the responder never answered", "an answer came"),
    "dst_is_group": ("the flow goes to a group of hosts", "the flow goes to one host"),
    "is_tcp": ("the flow is TCP", "the flow is not TCP"),
    "is_udp": ("the flow is UDP", "the flow is not UDP"),
    "is_icmp": ("the flow is ICMP", "the flow is not ICMP"),
    "is_ipv6": ("the flow is IPv6", "the flow is IPv4"),
    "dst_port_well_known": ("the responder's port is a well-known one", "the responder's port is not a well-known one"),
    "dst_port_registered": ("the responder's port is a registered one", "the responder's port is not a registered one"),
    "dst_port_dynamic": ("the responder's port is a dynamic one", "the responder's port is not a dynamic one"),
}


def _special(feature: str, observed: float, expected: float) -> str | None:
    if feature not in _INDICATORS:
        return None
    yes, no = _INDICATORS[feature]
    alike = min(1.0, max(0.0, expected if observed >= 0.5 else 1 - expected))
    return f"{yes if observed >= 0.5 else no}, expected for about {share(alike)} of such flows"
