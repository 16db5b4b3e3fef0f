"""Dialogues: what client and server say to each other in a session of each protocol, and how long they think.

Every function takes a conversation and yields its packets. Sizes and pauses are drawn from heavy-tailed distributions
around what such sessions look like on a wire; think times are log-normal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trainer.traffic import messages

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from trainer.traffic.conversation import Connection, Datagrams
    from trainer.traffic.packets import Packet

SECOND = 1_000_000
MILLISECOND = 1_000


def about(rng: random.Random, median: float, spread: float, largest: float) -> int:
    """A log-normal draw around `median`, at most `largest`."""
    return int(min(largest, median * math.exp(rng.gauss(0, spread))))


def tls_greeting(talk: Connection, rng: random.Random) -> Iterator[Packet]:
    """Handshake of TCP and of TLS: a full one, or a resumption with a short answer."""
    yield from talk.open()
    hello = rng.choice((517, 517, 517, 583, 1_792, 240 + rng.randrange(160)))
    yield from talk.send(hello, messages.client_hello(hello))
    answer = about(rng, 3_400, 0.3, 7_000) if rng.random() < 0.65 else 220 + rng.randrange(80)
    yield from talk.answer(answer, messages.tls_record(22, answer), about(rng, 2_000, 0.8, 80_000))
    yield from talk.send(64 + rng.randrange(70), messages.tls_record(20, 64))
    if rng.random() < 0.6:
        yield from talk.answer(230 + rng.randrange(330), messages.tls_record(23, 300))


def tls(
    talk: Connection,
    rng: random.Random,
    exchanges: Sequence[tuple[float, int, int]],
    *,
    linger_us: float = 0,
    stays: bool = False,
) -> Iterator[Packet]:
    """A TLS session: `exchanges` are pauses before a request (microseconds), request and answer sizes in bytes.

    The connection then lingers and ends in one of the usual ways, or `stays` open past the end of what is seen.
    """
    yield from tls_greeting(talk, rng)
    for pause, request, answer in exchanges:
        talk.wait(pause)
        yield from talk.send(request, messages.tls_record(23, request))
        yield from talk.answer(answer, messages.tls_record(23, answer), about(rng, 25 * MILLISECOND, 1.0, 3 * SECOND))
    if stays:
        return
    talk.wait(linger_us)
    yield from ending(talk, rng)


def ending(talk: Connection, rng: random.Random) -> Iterator[Packet]:
    """How connections end: mostly orderly, some with a reset, a few never."""
    fate = rng.random()
    if fate < 0.66:
        yield from talk.close(up=rng.random() < 0.7)
    elif fate < 0.80:
        yield talk.segment(True, 0x18, 24 + rng.randrange(8))  # close_notify, then gone
        yield from talk.close(up=True)
        yield from talk.reset(up=True)
    elif fate < 0.93:
        yield from talk.reset(up=rng.random() < 0.75)


def held(
    talk: Connection,
    rng: random.Random,
    *,
    pause_us: float,
    request: int,
    answer: int,
    until_us: int,
    push: float = 0.5,
) -> Iterator[Packet]:
    """A TLS connection kept for long: small messages either way, keep-alives in longer silences.

    `push` is the share of messages the server begins.
    """
    yield from tls_greeting(talk, rng)
    while talk.now < until_us:
        pause = about(rng, pause_us, 0.7, 6 * pause_us)
        while pause > 45 * SECOND:
            talk.wait(45 * SECOND)
            pause -= 45 * SECOND
            yield from talk.probe()
        talk.wait(pause)
        if rng.random() < push:
            yield from talk.answer(about(rng, answer, 0.7, 40 * answer), messages.tls_record(23, answer))
            if rng.random() < 0.5:
                yield from talk.send(35 + rng.randrange(40), think_us=about(rng, 5_000, 1.0, SECOND))
        else:
            yield from talk.send(about(rng, request, 0.7, 40 * request), messages.tls_record(23, request))
            yield from talk.answer(about(rng, answer, 0.7, 40 * answer), think_us=about(rng, 8_000, 1.0, SECOND))


def quic(talk: Datagrams, rng: random.Random, exchanges: Sequence[tuple[float, int, int]]) -> Iterator[Packet]:
    """A QUIC session: padded handshake datagrams, then streams."""
    yield talk.send(1250, messages.quic_initial())
    yield talk.answer(1250, messages.quic_initial())
    for _ in range(rng.randrange(1, 4)):
        talk.wait(60)
        yield talk.answer(600 + rng.randrange(650)) if rng.random() < 0.5 else talk.send(1250)
    for pause, request, answer in exchanges:
        talk.wait(pause)
        yield from talk.stream(True, request)
        yield from talk.stream(False, answer)
        talk.wait(300 + rng.randrange(25_000))
        yield talk.send(30 + rng.randrange(12))
    if rng.random() < 0.4:
        talk.wait(rng.randrange(20 * SECOND))
        yield talk.send(35)


def dns(
    talk: Datagrams, rng: random.Random, name: str, kind: int, records: list[bytes], fate: float
) -> Iterator[Packet]:
    """One question. `fate` below 0.02: no such name; above 0.995: no answer, asked again after five seconds."""
    ident = rng.getrandbits(16)
    query = messages.dns_query(ident, name, kind)
    yield talk.send(len(query), query)
    if fate > 0.995:
        talk.wait(5 * SECOND)
        yield talk.send(len(query), query)
    missing = fate < 0.02
    answer = messages.dns_answer(ident, name, kind, [] if missing else records, missing=missing)
    yield talk.answer(len(answer), answer, about(rng, 900, 1.2, 400 * MILLISECOND))


def lines(talk: Connection, rng: random.Random, count: int, ask: int, reply: int, think_us: float) -> Iterator[Packet]:
    """`count` commands of a line protocol and their replies."""
    for _ in range(count):
        yield from talk.send(about(rng, ask, 0.4, 20 * ask), think_us=about(rng, think_us, 0.8, 30 * think_us))
        yield from talk.answer(about(rng, reply, 0.5, 30 * reply), think_us=about(rng, 1_500, 1.0, SECOND))


def submit_mail(talk: Connection, rng: random.Random, size: int) -> Iterator[Packet]:
    """SMTP with STARTTLS: greeting, envelope, a message of `size` bytes."""
    yield from talk.open()
    yield from talk.answer(40 + rng.randrange(60), b"220 mail ESMTP\r\n", about(rng, 9_000, 1.0, 2 * SECOND))
    yield from talk.send(18 + rng.randrange(24), b"EHLO office\r\n")
    yield from talk.answer(120 + rng.randrange(160), b"250-mail\r\n")
    yield from talk.send(10, b"STARTTLS\r\n")
    yield from talk.answer(24, b"220 ready\r\n")
    yield from talk.send(517, messages.client_hello(517))
    yield from talk.answer(about(rng, 3_400, 0.2, 6_000), messages.tls_record(22, 3_000))
    yield from lines(talk, rng, 5, 60, 45, 600)
    yield from talk.send(size, messages.tls_record(23, size), about(rng, 4_000, 0.8, SECOND))
    yield from talk.answer(60 + rng.randrange(40), think_us=about(rng, 60 * MILLISECOND, 0.9, 5 * SECOND))
    yield from talk.send(31)
    yield from talk.answer(46)
    yield from talk.close(up=rng.random() < 0.5)


def fetch_mail(talk: Connection, rng: random.Random, fetched: int) -> Iterator[Packet]:
    """IMAP over TLS: log in, look, fetch `fetched` bytes if there are any, log out."""
    yield from tls_greeting(talk, rng)
    yield from talk.answer(90 + rng.randrange(60), messages.tls_record(23, 90))
    yield from lines(talk, rng, 4, 70, 180, 1_200)
    if fetched:
        yield from talk.send(80 + rng.randrange(30))
        yield from talk.answer(fetched, messages.tls_record(23, fetched), about(rng, 12_000, 0.8, SECOND))
    yield from lines(talk, rng, 1, 50, 90, 1_000)
    yield from ending(talk, rng)


def share(talk: Connection, rng: random.Random, until_us: int) -> Iterator[Packet]:
    """SMB: a session set-up, then bursts of looking, reading and writing with pauses in between."""
    yield from talk.open()
    for ask, reply in ((108, 240), (232, 330), (180, 300), (590, 160), (140, 150)):
        yield from talk.send(ask + rng.randrange(30), messages.SMB2)
        yield from talk.answer(reply + rng.randrange(40), messages.SMB2, about(rng, 400, 0.7, 50_000))
    for _ in range(1 + about(rng, 3, 0.8, 25)):
        yield from lines(talk, rng, 2 + about(rng, 5, 0.7, 40), 190, 320, 350)
        work = rng.random()
        if work < 0.40:
            yield from talk.send(140)
            yield from talk.answer(about(rng, 50_000, 1.3, 1_500_000), messages.SMB2, about(rng, 900, 0.9, 80_000))
        elif work < 0.56:
            yield from talk.send(about(rng, 30_000, 1.2, 600_000), messages.SMB2)
            yield from talk.answer(100, messages.SMB2, about(rng, 1_500, 0.9, 120_000))
        talk.wait(about(rng, 6 * SECOND, 1.0, 90 * SECOND))
        if talk.now > until_us:
            break
    if rng.random() < 0.7:
        yield from lines(talk, rng, 2, 110, 110, 300)
        yield from ending(talk, rng)


def shell_greeting(talk: Connection, rng: random.Random) -> Iterator[Packet]:
    """SSH up to the moment where the client gives its first credentials."""
    yield from talk.open()
    yield from talk.send(22 + rng.randrange(20), b"SSH-2.0-OpenSSH_9.2\r\n")
    yield from talk.answer(22 + rng.randrange(20), b"SSH-2.0-OpenSSH_9.2\r\n", about(rng, 9_000, 0.7, 400_000))
    yield from talk.send(1_300 + rng.randrange(260))
    yield from talk.answer(900 + rng.randrange(200))
    yield from talk.send(1_208 if rng.random() < 0.5 else 48)
    yield from talk.answer(1_100 + rng.randrange(500), think_us=about(rng, 6_000, 0.6, 100_000))
    yield from talk.send(16)
    yield from lines(talk, rng, 1, 44, 44, 300)


def shell(talk: Connection, rng: random.Random, keys: int, until_us: int) -> Iterator[Packet]:
    """An SSH session: log in (now and then with a mistyped password), then `keys` strokes with echoes and output."""
    yield from shell_greeting(talk, rng)
    yield from lines(talk, rng, 2 if rng.random() < 0.85 else 3, 150, 60, 900 * MILLISECOND)
    for stroke in range(keys):
        talk.wait(about(rng, 160 * MILLISECOND, 0.7, 4 * SECOND))
        if talk.now > until_us:
            return
        yield from talk.send(36)
        yield from talk.answer(36)
        if stroke % 14 == 13:
            yield from talk.answer(about(rng, 600, 1.2, 60_000), think_us=about(rng, 20_000, 1.0, 2 * SECOND))
            talk.wait(about(rng, 3 * SECOND, 0.9, 40 * SECOND))
    yield from talk.close()


def print_job(talk: Connection, rng: random.Random, size: int) -> Iterator[Packet]:
    """A raw print job: the page description up, a little status down."""
    yield from talk.open()
    yield from talk.send(about(rng, 200, 0.3, 600), b"\x1b%-12345X@PJL\r\n")
    yield from talk.answer(40 + rng.randrange(60), think_us=about(rng, 30_000, 0.6, 2 * SECOND))
    yield from talk.send(size, think_us=about(rng, 10_000, 0.7, SECOND))
    yield from talk.answer(30 + rng.randrange(60), think_us=about(rng, 300_000, 0.8, 8 * SECOND))
    yield from talk.close()


def short_request(talk: Connection, rng: random.Random, request: int, answer: int) -> Iterator[Packet]:
    """One request, one answer and an end: directory look-ups, status pages, small services."""
    yield from talk.open()
    yield from talk.send(request)
    yield from talk.answer(answer, think_us=about(rng, 2_500, 1.0, SECOND))
    yield from ending(talk, rng)


def refused(talk: Connection, rng: random.Random) -> Iterator[Packet]:
    """A closed port, tried once or, as some systems do, three times."""
    yield from talk.refused(tries=rng.choice((1, 1, 3)))


def unanswered(talk: Connection, rng: random.Random) -> Iterator[Packet]:
    """Nobody there."""
    yield from talk.unanswered(tries=rng.choice((2, 3, 4)))


def voice(talk: Datagrams, rng: random.Random, frames: int) -> Iterator[Packet]:
    """A call: a frame every twenty milliseconds, both ways."""
    size = rng.choice((172, 120, 92))
    yield talk.send(size)
    yield talk.answer(size)
    for _ in range(frames):
        talk.wait(9_000 + rng.randrange(1_500))
        yield talk.send(size)
        talk.wait(9_000 + rng.randrange(1_500))
        yield talk.follow(size)
