"""Habits of people at workstations and with phones: what they start, how often, and against whom.

A habit is a function of stage, host and party that yields flows in the order of their starts, until the end of the
scenario. Pauses are log-normal around a median that each host scales by its own pace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.traffic import messages, protocols
from trainer.traffic.flows import Flow, Party, Source, ends_of
from trainer.traffic.network import Host, Peer, Role
from trainer.traffic.protocols import MILLISECOND, SECOND, about
from trainer.traffic.stage import Stage, pauses, resolve

if TYPE_CHECKING:
    import random


def _exchanges(rng: random.Random, median_answer: float) -> list[tuple[float, int, int]]:
    """Requests of one page on one connection: the first at once, others as the page asks for them."""
    count = 1
    while count < 10 and rng.random() < 0.55:
        count += 1
    return [
        (
            about(rng, 30 * MILLISECOND, 1.6, 12 * SECOND) if number else 0,
            about(rng, 420, 0.5, 6_000),
            about(rng, median_answer, 1.35, 400_000),
        )
        for number in range(count)
    ]


def visit(stage: Stage, host: Host, party: Party, site: Peer, at_us: float, kind: str, answer: float) -> list[Flow]:
    """One site of a page: a look-up unless it is remembered, then one or two connections, over TCP or QUIC."""
    rng = party.rng
    flows: list[Flow] = []
    v6 = rng.random() < 0.05
    begin = at_us
    if rng.random() < 0.55:
        flows.append(resolve(stage, host, party, f"www.{site.name}", at_us))
        if rng.random() < 0.35:
            second = messages.AAAA if rng.random() < 0.6 else messages.HTTPS
            flows.append(resolve(stage, host, party, f"www.{site.name}", at_us + rng.randrange(500), second))
        begin += stage.network.resolver.path.server_us * 1.3 + about(rng, 3_000, 1.0, 300_000)
    for _ in range(2 if rng.random() < 0.2 else 1):
        flows.append(_site_connection(host, party, site, begin, kind, answer, v6=v6))
        begin += rng.randrange(1, 40_000)
    return flows


def _site_connection(host: Host, party: Party, site: Peer, at_us: float, kind: str, answer: float, *, v6: bool) -> Flow:
    rng = party.rng
    ends = ends_of(host, host.port(), site, 443, v6=v6)
    fate = rng.random()
    if fate < 0.012:
        return party.tcp(kind, ends, site.path, at_us, protocols.unanswered)
    if fate < 0.022:
        return party.tcp(kind, ends, site.path, at_us, protocols.refused)
    exchanges = _exchanges(rng, answer)
    if fate < 0.20:
        return party.udp(kind, ends, site.path, at_us, protocols.quic, exchanges)
    if fate < 0.25:
        plain = (*ends[:3], 80)
        return party.tcp(kind, plain, site.path, at_us, protocols.short_request, 310, exchanges[0][2])
    linger = about(rng, 4 * SECOND, 1.4, 120 * SECOND) if rng.random() < 0.6 else 0
    return party.tcp(kind, ends, site.path, at_us, protocols.tls, exchanges, linger_us=linger)


def browse(stage: Stage, host: Host, party: Party) -> Source:
    """Pages: one site that was asked for, and the two to five others that it drags in."""
    rng, outside = party.rng, stage.network.outside
    for now in pauses(stage, host, rng, 34 if host.role is Role.WORKSTATION else 55):
        flows: list[Flow] = []
        begin = float(now)
        for number, site in enumerate(rng.choices(outside.web, outside.weights, k=1 + rng.randrange(1, 6))):
            flows += visit(stage, host, party, site, begin, "web", 22_000 if number == 0 else 5_000)
            begin += about(rng, 120 * MILLISECOND, 0.9, 2 * SECOND)
        yield from sorted(flows, key=lambda flow: flow.start_us)


def read_mail(stage: Stage, host: Host, party: Party) -> Source:
    """IMAP polls, mostly empty."""
    rng, mail = party.rng, stage.network.outside.mail
    for now in pauses(stage, host, rng, 95, 0.35):
        if rng.random() < 0.25:
            yield resolve(stage, host, party, mail.name, now)
        fetched = about(rng, 18_000, 1.5, 900_000) if rng.random() < 0.3 else 0
        yield _mail(host, party, mail, 993, now + 30 * MILLISECOND, fetched)


def write_mail(stage: Stage, host: Host, party: Party) -> Source:
    """Submissions, some with an attachment."""
    rng, mail = party.rng, stage.network.outside.mail
    for now in pauses(stage, host, rng, 260):
        yield _mail(host, party, mail, 587, now, about(rng, 9_000, 1.5, 2_000_000))


def _mail(host: Host, party: Party, mail: Peer, port: int, at_us: float, size: int) -> Flow:
    script = protocols.submit_mail if port == 587 else protocols.fetch_mail
    return party.tcp("mail", ends_of(host, host.port(), mail, port), mail.path, at_us, script, size)


def work_on_files(stage: Stage, host: Host, party: Party) -> Source:
    """File shares of the server and the NAS."""
    rng, network = party.rng, stage.network
    places = network.having(Role.SERVER, Role.NAS)
    for now in pauses(stage, host, rng, 85):
        place = rng.choice(places)
        if place is host:
            continue
        yield party.tcp(
            "files",
            ends_of(host, host.port(), place, 445, v6=rng.random() < 0.05),
            place.path,
            now,
            protocols.share,
            stage.until_us,
        )


def keep_files_in_cloud(stage: Stage, host: Host, party: Party) -> Source:
    """Synchronisation with a storage service: uploads and downloads of single files."""
    rng, cloud = party.rng, stage.network.outside.cloud
    for now in pauses(stage, host, rng, 150):
        files = 1 + about(rng, 1, 0.8, 8)
        exchanges: list[tuple[float, int, int]] = []
        for _ in range(files):
            size = about(rng, 45_000, 1.3, 1_500_000)
            up = rng.random() < 0.55
            exchanges.append((about(rng, 200 * MILLISECOND, 1.0, 8 * SECOND), size if up else 700, 900 if up else size))
        if rng.random() < 0.3:
            yield resolve(stage, host, party, cloud.name, now)
        yield party.tcp(
            "cloud",
            ends_of(host, host.port(), cloud, 443),
            cloud.path,
            now + 25 * MILLISECOND,
            protocols.tls,
            exchanges,
            linger_us=3 * SECOND,
        )


def chat(stage: Stage, host: Host, party: Party) -> Source:
    """One long connection with small messages; opened again when it breaks."""
    rng, peer = party.rng, stage.network.outside.chat
    now = rng.random() * 20 * SECOND
    while now < stage.until_us:
        yield resolve(stage, host, party, peer.name, now)
        end = min(float(stage.until_us), now + about(rng, 500 * SECOND, 0.7, 7_200 * SECOND))
        yield party.tcp(
            "chat",
            ends_of(host, host.port(), peer, 443),
            peer.path,
            now + 40 * MILLISECOND,
            protocols.held,
            pause_us=about(rng, 14 * SECOND * host.pace, 0.5, 90 * SECOND),
            request=260,
            answer=330,
            until_us=int(end),
        )
        now = end + SECOND


def administer(stage: Stage, host: Host, party: Party) -> Source:
    """SSH to the office's machines and to one outside, with typing."""
    rng, network = party.rng, stage.network
    places: list[Peer] = [*network.having(Role.SERVER, Role.NAS, Role.GATEWAY), network.outside.web[0]]
    for now in pauses(stage, host, rng, 120):
        place = rng.choice(places)
        yield party.tcp(
            "ssh",
            ends_of(host, host.port(), place, 22),
            place.path,
            now,
            protocols.shell,
            about(rng, 45, 0.9, 600),
            stage.until_us,
        )


def printing(stage: Stage, host: Host, party: Party) -> Source:
    """Print jobs, and a look at the printer's status page now and then."""
    rng, printers = party.rng, stage.network.having(Role.PRINTER)
    for now in pauses(stage, host, rng, 420):
        printer = rng.choice(printers)
        if rng.random() < 0.35:
            status = ends_of(host, host.port(), printer, 631)
            yield party.tcp("print", status, printer.path, now, protocols.short_request, 420, 1_900)
        else:
            raw = ends_of(host, host.port(), printer, 9100)
            yield party.tcp("print", raw, printer.path, now, protocols.print_job, about(rng, 90_000, 0.9, 900_000))


def talk_by_phone(stage: Stage, host: Host, party: Party) -> Source:
    """Voice calls of half a minute or so."""
    rng, peer = party.rng, stage.network.outside.chat
    for now in pauses(stage, host, rng, 900):
        ends = ends_of(host, host.port(), peer, 10_000 + 2 * rng.randrange(5_000))
        yield party.udp("voice", ends, peer.path, now, protocols.voice, about(rng, 1_300, 0.6, 6_000))
