"""Titles and evidence of incidents: sentences with numbers, from an incident's figures. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregator.triage.points import ADMINISTRATION, ICMP, TCP, name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aggregator.triage.conversations import Facts


FAMILIES_SHOWN: Final = 3


def title(rule: str, facts: Facts) -> str:
    """One plain sentence for the rule (of kinds.py) that named the incident."""
    return _TITLES[rule](facts)


def sentences(rule: str, facts: Facts) -> tuple[str, ...]:
    """What speaks for it, as sentences with numbers."""
    found = [_extent(facts), _pace(facts)]
    if facts.unanswered or facts.probes:
        found.append(
            f"{_percent(facts.unanswered)} of them were not answered or were refused; {_percent(facts.probes)} carried "
            "no conversation at all."
        )
    if facts.rule == "source" or rule in {"ports", "sweep", "network", "together"}:
        found.append(f"{_count(facts.endpoints, 'different port')} on {_count(facts.servers, 'host')} were tried.")
    if rule in {"amplified", "backscatter", "unasked"}:
        found.append(
            f"{_percent(facts.answering)} are answers that nobody here was seen asking for, from {_main(facts)}."
        )
    if rule in {"guessing", "spraying"}:
        found.append(
            f"{facts.main_answered} conversations with {_main(facts)} on {_count(facts.main_servers, 'host')}, "
            f"{facts.main_answered / max(facts.main_servers, 1):.1f} a host."
        )
    if rule == "held open":
        found.append(
            f"{facts.open_at_once} connections were open at the same time while next to nothing was sent over them; "
            f"the longest for {_time(facts.longest_ms)}."
        )
    if rule in {"questions", "echo tunnel", "heavy", "reflector", "one-sided", "echoes"}:
        found.append(
            f"A packet out has {facts.query_bytes:.0f} bytes on average, a packet back {facts.reply_bytes:.0f}; the "
            f"largest conversation has {facts.biggest_packets} packets."
        )
    rhythm = facts.rhythm
    if rhythm.starts > 3 and (rule == "beat" or facts.servers <= 2):
        line = (
            f"{rhythm.client} came back to {rhythm.server} {rhythm.starts} times, every {_time(rhythm.mean_ms)} on "
            f"average, varying by {_percent(rhythm.variation)}"
        )
        if rule == "beat" and rhythm.variation > 0.35:
            line += f"; the distances fit multiples of {_time(rhythm.period_ms)} to {_percent(rhythm.fit)}"
        found.append(line + ".")
    found.append(f"{size(facts.out_bytes)} went out and {size(facts.in_bytes)} came back.")
    return tuple(found)


def beside(alerts: int) -> tuple[str, ...]:
    """What is said of alerts of an incident that its name is not about."""
    return (f"{_count(alerts, 'alert')} more of the same hosts belong to it.",) if alerts else ()


def likenesses(families: Sequence[tuple[str, int, float]], alerts: int) -> tuple[str, ...]:
    """What a taught model says of an incident's `alerts`. `families`: name, alerts and mean share, most alerts first.

    It supports, and decides nothing: the incident's kind follows from its flows alone.
    """
    return tuple(
        f"{_count(number, 'alert')} of {alerts} {'looks' if number == 1 else 'look'} like {family} to the model "
        f"({share:.2f}{' on average' if number > 1 else ''})."
        for family, number, share in families[:FAMILIES_SHOWN]
    )


def _extent(facts: Facts) -> str:
    what = _count(facts.conversations, "conversation")
    alerts = "" if facts.alerts == facts.conversations else f" ({_count(facts.alerts, 'alert')})"
    mostly = f", mostly {_main(facts)}" if facts.ports > 1 and facts.main_share >= 0.5 else ""
    if facts.rule == "target":
        return f"{what}{alerts} between {_count(facts.senders, 'host')} and {facts.victim}{mostly}."
    others = f"; {facts.others} more the other way" if facts.others else ""
    ends = f"from {_client(facts)} to {_server(facts)} on {_count(facts.ports, 'port')}"
    return f"{what}{alerts} {ends}{mostly}{others}."


def _pace(facts: Facts) -> str:
    if facts.conversations == 1:
        return f"It lasted {_time(facts.span_ms)} and has {_count(facts.packets, 'packet')}."
    return (
        f"Within {_time(facts.span_ms)}; {facts.peak_per_minute} began in the busiest minute, "
        f"{facts.per_minute:.1f} a minute on average."
    )


def _client(facts: Facts) -> str:
    return facts.client or _count(facts.clients, "host")


def _server(facts: Facts) -> str:
    return facts.server or _count(facts.servers, "host")


def _main(facts: Facts) -> str:
    return name(facts.protocol, facts.port)


def _only(facts: Facts) -> str:
    return f"{_server(facts)}" + (f", {_main(facts)}" if facts.ports == 1 else "")


_TITLES: dict[str, Callable[[Facts], str]] = {
    "amplified": lambda f: f"{f.senders} hosts flood {f.victim} with amplified answers from {_main(f)}",
    "backscatter": lambda f: f"{f.server} answers {f.clients} hosts that never asked: it is flooded under false names",
    "reflector": lambda f: f"{f.server} is misused to flood {_client(f)} with answers from {_main(f)}",
    "unasked": lambda f: f"{_server(f)} floods {_client(f)} with answers from {_main(f)} that nobody asked for",
    "together": lambda f: f"{f.clients} sources tried {f.ports} ports of {f.server}",
    "crowd": lambda f: f"{f.senders} sources flood {f.victim}" + (f", {_main(f)}" if f.main_share >= 0.5 else ""),
    "one-sided": lambda f: f"{_client(f)} floods {f.server} with {f.packets} packets" + _protocol(f),
    "echoes": lambda f: f"{_client(f)} floods {_server(f)} with {f.packets} ICMP packets",
    "heavy": lambda f: f"{_client(f)} floods {f.server} with large packets on {f.ports} ports",
    "held open": lambda f: (
        f"Slow flood: {_client(f)} held {f.open_at_once} connections to {_only(f)} open and sent next to nothing"
    ),
    "ports": lambda f: f"{_client(f)} tried {f.ports} ports of {f.server}",
    "sweep": lambda f: (
        f"{_client(f)} tried to reach {f.servers} hosts"
        + (" by ICMP" if f.protocol in ICMP else f" on {_main(f)}" if f.port else "")
    ),
    "network": lambda f: f"{_client(f)} tried {f.ports} ports on {f.servers} hosts",
    "guessing": lambda f: f"{_client(f)} tried to log in {f.main_answered} times to {_at(f)}",
    "spraying": lambda f: f"{_client(f)} tried to log in to {f.main_servers} hosts, {_main(f)}",
    "hammering": lambda f: f"{_client(f)} floods {_only(f)} with {f.conversations} connections",
    "questions": lambda f: (
        f"{_client(f)} carries data through DNS by way of {_server(f)}: {f.out_packets} questions, "
        f"{size(f.out_bytes)} out, {size(f.in_bytes)} back"
    ),
    "echo tunnel": lambda f: (
        f"{_client(f)} and {_server(f)} carry data in ICMP: {f.packets} packets, {size(f.out_bytes + f.in_bytes)}"
    ),
    "outflow": lambda f: f"{_client(f)} sent {size(f.out_bytes)} to {_only(f)} and got {size(f.in_bytes)} back",
    "requests": lambda f: f"{_client(f)} made {f.main_answered} requests of {_at(f)}, as a scanner does",
    "beat": lambda f: (
        f"{f.rhythm.client or _client(f)} calls {f.rhythm.server or _server(f)}, {_main(f)}, "
        f"about every {_time(f.rhythm.mean_ms if f.rhythm.variation <= 0.6 else f.rhythm.period_ms)}"
    ),
    "remote": lambda f: f"{_client(f)} used {_commands(f)} on {_server(f)}",
    "single": lambda f: f"One strange flow from {_client(f)} to {_only(f)}",
    "unusual": lambda f: (
        f"{f.conversations} strange flows between {_count(f.senders, 'host')} and {f.victim}"
        if f.rule == "target"
        else f"{_count(f.conversations + f.others, 'strange flow')} {_ends(f)}"
    ),
}


def _ends(facts: Facts) -> str:
    if facts.others and facts.rule in {"pair", "lasting"}:
        return f"between {_client(facts)} and {_server(facts)}"
    return f"from {_client(facts)} to {_only(facts)}"


def _protocol(facts: Facts) -> str:
    return "" if not facts.port or facts.ports > 1 else f" on {_main(facts)}"


def _at(facts: Facts) -> str:
    return (facts.server or _count(facts.main_servers, "host")) + f", {_main(facts)}"


def _commands(facts: Facts) -> str:
    used = {ADMINISTRATION[port] for protocol, port in facts.services if protocol == TCP and port in ADMINISTRATION}
    return " and ".join(sorted(used))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _time(milliseconds: float) -> str:
    seconds = milliseconds / 1000
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {word}" if value < 10 else f"{value:.0f} {word}"
    return f"{seconds / 86_400:.1f} days"


def size(amount: float) -> str:
    """Bytes in words."""
    for unit, word in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount >= unit:
            return f"{amount / unit:.1f} {word}"
    return f"{amount:.0f} bytes"
