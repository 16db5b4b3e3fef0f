"""Conversations: TCP connections and datagram exchanges as they pass a sensor, packet by packet.

Promises:

- A `Connection` or `Datagrams` has a clock, `now`, in microseconds since the start of the scenario. Its methods are
  generators (or return one packet) that move the clock forward, so the packets of a conversation come in time order.
- Sequence and acknowledgement numbers follow what was sent. Delayed acknowledgements, slow start, the wait for a
  window, rare retransmissions, half-open and refused connections look as a sensor in the office sees them.
- The sensor sits inside the office. `Path` therefore has two delays: how long until an answer of the client's side
  passes the sensor, and how long until one of the server's side does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.traffic.packets import ACK, FIN, PSH, RST, SYN, Packet, TcpSender, UdpSender, Wire, even

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from trainer.traffic.templates import Endpoint

_INITIAL_WINDOW = 10
_LARGEST_WINDOW = 64
_PROMPT_US = 2_000
"""A side that answers faster than this acknowledges inside a burst, not a round trip after it."""

_SEQUENCE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Path:
    """Delays as seen by the sensor, in microseconds, and the share of data segments lost."""

    client_us: int
    server_us: int
    gap_us: int
    """Time between two full segments of a burst."""
    loss: float = 0.0


class Connection:
    """One TCP connection. Call `open` first; then `send` (client to server) and `answer`; end it or leave it open."""

    def __init__(
        self,
        wire: Wire,
        rng: random.Random,
        ends: tuple[Endpoint, int, Endpoint, int],
        path: Path,
        start_us: int,
    ) -> None:
        client, sport, server, dport = ends
        self._wire = wire
        self._rng = rng
        self._path = path
        self._sides = ((server, dport, client, sport), (client, sport, server, dport))  # indexed by "from the client"
        self._stamped = client.stamps and server.stamps
        self._senders: list[TcpSender | None] = [None, None]
        bits = rng.getrandbits(64)
        self._next = [bits & _SEQUENCE, bits >> 32]
        self._stamps = [bits >> 8 & 0x3FFFFFFF, bits >> 20 & 0x3FFFFFFF]
        self._windows = [501 + (bits & 7), 513 + (bits >> 3 & 3)]
        self._mss = (1460 if client.version == 4 else 1440) - (12 if self._stamped else 0)
        self._pace = 0.85 + 0.3 * rng.random()
        self.now = start_us

    def wait(self, microseconds: float) -> None:
        """Let time pass without a packet."""
        self.now += int(microseconds)

    def _turn(self, up: bool) -> int:
        """Time until a packet of this side, in answer to one just seen, passes the sensor."""
        base = self._path.client_us if up else self._path.server_us
        return int(base * (0.8 + 0.4 * self._rng.random())) + 1

    def segment(self, up: bool, flags: int, size: int = 0, head: bytes = b"") -> Packet:
        """The next segment of one side at the present time. Its sequence number moves on."""
        sender = self._senders[up]
        if sender is None:
            kind = "tcp_stamped" if self._stamped else "tcp"
            sender = self._senders[up] = TcpSender(self._wire, kind, *self._arguments(up))
        sequences = self._next
        seq = sequences[up]
        stamp = echo = 0
        if self._stamped:
            clock = self.now // 1000
            stamp, echo = self._stamps[up] + clock, self._stamps[not up] + clock
        frame, length = sender.frame(seq, sequences[not up], flags, self._windows[up], size, head, stamp, echo)
        sequences[up] = (seq + size + (flags & FIN)) & _SEQUENCE
        return self.now, frame, length

    def _arguments(self, up: bool) -> tuple[Endpoint, Endpoint, int, int, int]:
        source, sport, target, dport = self._sides[up]
        return source, target, sport, dport, self._rng.getrandbits(16)

    def _greeting(self, up: bool, flags: int) -> Packet:
        sender = TcpSender(self._wire, "syn_stamped" if self._stamped else "syn", *self._arguments(up))
        stamp = self._stamps[up] + self.now // 1000
        echo = self._stamps[not up] + self.now // 1000 if flags & ACK else 0
        ack = self._next[not up] if flags & ACK else 0
        frame, length = sender.frame(self._next[up], ack, flags, 64240, 0, b"", stamp, echo)
        return self.now, frame, length

    def open(self) -> Iterator[Packet]:
        """The three-way handshake. Rarely the first SYN is lost and sent again."""
        yield self._greeting(True, SYN)
        if self._path.loss and self._rng.random() < self._path.loss:
            self.now += 1_000_000
            yield self._greeting(True, SYN)
        self._next[1] = (self._next[1] + 1) & _SEQUENCE
        self.now += self._turn(False)
        yield self._greeting(False, SYN | ACK)
        self._next[0] = (self._next[0] + 1) & _SEQUENCE
        self.now += self._turn(True)
        yield self.segment(True, ACK)

    def refused(self, tries: int = 1) -> Iterator[Packet]:
        """A closed port: a RST for every SYN, half a second between tries as Windows does it."""
        for attempt in range(tries):
            if attempt:
                self.now += 500_000
            yield self._greeting(True, SYN)
            self.now += self._turn(False)
            self._next[0] = 0
            self._next[1] = (self._next[1] + 1) & _SEQUENCE
            yield self.segment(False, RST | ACK)
            self._next[1] = (self._next[1] - 1) & _SEQUENCE

    def unanswered(self, tries: int = 4) -> Iterator[Packet]:
        """SYNs into the void, each after twice the time of the one before."""
        for attempt in range(tries):
            yield self._greeting(True, SYN)
            self.now += 1_000_000 << attempt

    def send(self, size: int, head: bytes = b"", think_us: float = 0) -> Iterator[Packet]:
        """`size` bytes of the client, at least its `head`, after it thought."""
        head = even(head)
        return self._transfer(True, max(size, len(head)), head, think_us)

    def answer(self, size: int, head: bytes = b"", think_us: float = 0) -> Iterator[Packet]:
        """`size` bytes of the server, at least its `head`, after it thought."""
        head = even(head)
        return self._transfer(False, max(size, len(head)), head, think_us)

    def _transfer(self, up: bool, size: int, head: bytes, think_us: float) -> Iterator[Packet]:
        path, rng, mss, segment = self._path, self._rng, self._mss, self.segment
        other = not up
        turn = path.server_us if up else path.client_us
        round_trip = path.client_us + path.server_us
        prompt = turn < _PROMPT_US
        gap = path.gap_us * self._pace
        delay = min(turn, gap * 0.5)
        count = -(-size // mss)
        lost = rng.randrange(count) if path.loss and rng.random() < path.loss * count else -1
        window, done, unacknowledged = _INITIAL_WINDOW, 0, 0
        self.now += int(think_us) + self._turn(up)
        while size > 0:
            burst_end = min(done + window, count)
            began = self.now
            while done < burst_end:
                chunk = min(size, mss)
                size -= chunk
                flags = ACK | PSH if not size or done == burst_end - 1 else ACK
                yield segment(up, flags, chunk, head)
                if done == lost:
                    yield from self._resend(up, chunk, head)
                head = b""
                done += 1
                unacknowledged += 1
                if prompt and unacknowledged == 2 and size:
                    self.now += int(delay * (0.5 + rng.random()))
                    yield segment(other, ACK)
                    unacknowledged = 0
                self.now += int(gap * (0.6 + 0.8 * rng.random())) + 1
            if size:
                if not prompt:
                    self.now += self._turn(other)
                    while unacknowledged > 0:
                        yield segment(other, ACK)
                        unacknowledged -= 2
                        self.now += int(gap)
                    unacknowledged = 0
                self.now = max(self.now, began + int(round_trip * (0.9 + 0.2 * rng.random())))
                window = min(window * 2, _LARGEST_WINDOW)
        # A short message is often acknowledged by the answer itself.
        if count > 1 or rng.random() < 0.55:
            self.now += self._turn(other)
            yield segment(other, ACK)

    def _resend(self, up: bool, size: int, head: bytes) -> Iterator[Packet]:
        self.now += 200_000 + self._rng.randrange(60_000)
        self._next[up] = (self._next[up] - size) & _SEQUENCE
        yield self.segment(up, ACK | PSH, size, head)

    def probe(self, up: bool = True) -> Iterator[Packet]:
        """A TCP keep-alive: an empty segment one byte back, and its acknowledgement."""
        self._next[up] = (self._next[up] - 1) & _SEQUENCE
        yield self.segment(up, ACK)
        self._next[up] = (self._next[up] + 1) & _SEQUENCE
        self.now += self._turn(not up)
        yield self.segment(not up, ACK)

    def close(self, up: bool = True) -> Iterator[Packet]:
        """An orderly end begun by one side; the other's FIN comes with its acknowledgement or just after it."""
        self.now += self._turn(up)
        yield self.segment(up, FIN | ACK)
        self.now += self._turn(not up)
        if self._rng.random() < 0.4:
            yield self.segment(not up, ACK)
            self.now += 50 + self._rng.randrange(400)
        yield self.segment(not up, FIN | ACK)
        self.now += self._turn(up)
        yield self.segment(up, ACK)

    def reset(self, up: bool = True) -> Iterator[Packet]:
        """An abrupt end."""
        self.now += self._turn(up)
        yield self.segment(up, RST | ACK)


class Datagrams:
    """UDP between two ends, with the same clock and delays as a connection."""

    def __init__(
        self,
        wire: Wire,
        rng: random.Random,
        ends: tuple[Endpoint, int, Endpoint, int],
        path: Path,
        start_us: int,
    ) -> None:
        client, sport, server, dport = ends
        self._rng = rng
        self._path = path
        salt = rng.getrandbits(32)
        self._up = UdpSender(wire, client, server, sport, dport, salt & 0xFFFF)
        self._down: UdpSender | None = None
        self._reverse = (wire, server, client, dport, sport, salt >> 16)
        self.now = start_us

    def wait(self, microseconds: float) -> None:
        """Let time pass without a packet."""
        self.now += int(microseconds)

    def send(self, size: int, head: bytes = b"") -> Packet:
        """A datagram of the client, now."""
        frame, length = self._up.frame(size, head)
        return self.now, frame, length

    def answer(self, size: int, head: bytes = b"", think_us: float = 0) -> Packet:
        """A datagram of the server, after its delay and `think_us`."""
        self.now += int(think_us) + int(self._path.server_us * (0.8 + 0.4 * self._rng.random())) + 1
        return self.follow(size, head)

    def follow(self, size: int, head: bytes = b"") -> Packet:
        """A datagram of the server, now: one more of a burst."""
        if self._down is None:
            self._down = UdpSender(*self._reverse)
        frame, length = self._down.frame(size, head)
        return self.now, frame, length

    def stream(self, up: bool, size: int, largest: int = 1350) -> Iterator[Packet]:
        """`size` bytes of one side in datagrams of at most `largest`, paced; the other side answers every eighth."""
        rng, path = self._rng, self._path
        self.now += int((path.client_us if up else path.server_us) * (0.8 + 0.4 * rng.random()))
        say, reply = (self.send, self.follow) if up else (self.follow, self.send)
        sent = 0
        while size > 0:
            chunk = min(size, largest)
            size -= chunk
            sent += 1
            yield say(chunk)
            self.now += int(path.gap_us * (0.6 + 0.8 * rng.random())) + 1
            if sent % 8 == 0:
                yield reply(33 + rng.randrange(12))
