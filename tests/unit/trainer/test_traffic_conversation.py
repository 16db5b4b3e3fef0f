"""Conversations: in time order, with numbers that follow what was said."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from trainer.traffic import protocols
from trainer.traffic.conversation import Connection, Datagrams, Path
from trainer.traffic.packets import Wire
from trainer.traffic.templates import Endpoint

WIRE = Wire(1)
CLIENT = Endpoint(b"\x02" * 6, b"\x0a\x00\x00\x01", 64, stamps=True)
SERVER = Endpoint(b"\x04" * 6, b"\x0a\x00\x00\x02", 64, stamps=True)
ENDS = (CLIENT, 50_000, SERVER, 443)
NEAR = Path(client_us=100, server_us=300, gap_us=20)
FAR = Path(client_us=150, server_us=40_000, gap_us=200, loss=0.01)
INBOUND = Path(client_us=30_000, server_us=250, gap_us=150)


def talk(path: Path, seed: int = 0) -> Connection:
    return Connection(WIRE, random.Random(seed), ENDS, path, 1_000)


def read(packets):
    """`(time, from the client, TCP layer)` of every packet."""
    return [(time, frame[26:30] == CLIENT.ip, Ether(frame)[TCP]) for time, frame, _ in packets]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([NEAR, FAR, INBOUND]),
    st.integers(0, 1 << 30),
    st.lists(st.tuples(st.booleans(), st.integers(1, 60_000)), max_size=4),
    st.sampled_from(["close", "reset", "leave"]),
)
def test_a_connection_is_in_order_and_its_numbers_follow_the_bytes(path, seed, messages, end):
    """Times never go back; a segment starts where the last ended, or is one sent again; acknowledgements are exact."""
    connection = talk(path, seed)
    packets = list(connection.open())
    for up, size in messages:
        packets += connection.send(size) if up else connection.answer(size)
    if end != "leave":
        packets += connection.close() if end == "close" else connection.reset()
    seen = read(packets)
    assert [time for time, _, _ in seen] == sorted(time for time, _, _ in seen)
    following: dict[bool, int] = {}
    sent = {True: 0, False: 0}
    for _, up, tcp in seen:
        size = len(tcp.payload)
        length = size + bool(tcp.flags & "S") + bool(tcp.flags & "F")
        if up in following and tcp.seq != following[up]:
            assert (tcp.seq + length) & 0xFFFFFFFF == following[up], "neither the next segment nor the last again"
        else:
            following[up] = (tcp.seq + length) & 0xFFFFFFFF
            sent[up] += size
        if tcp.flags & "A":
            assert tcp.ack == following[not up]
    for up in (True, False):
        assert sent[up] == sum(size for direction, size in messages if direction == up)


@pytest.mark.parametrize("path", [NEAR, FAR, INBOUND])
def test_a_handshake_takes_a_round_trip_as_the_sensor_sees_it(path):
    """The answer of each side comes after that side's delay."""
    syn, answer, done = read(list(talk(Path(path.client_us, path.server_us, path.gap_us)).open()))
    assert str(syn[2].flags) + str(answer[2].flags) + str(done[2].flags) == "SSAA"
    assert 0.8 * path.server_us <= answer[0] - syn[0] <= 1.2 * path.server_us + 2
    assert 0.8 * path.client_us <= done[0] - answer[0] <= 1.2 * path.client_us + 2


def test_a_lost_segment_is_sent_again():
    """With loss there are retransmissions, with none there are none."""

    def repeated(loss: float) -> int:
        connection = talk(Path(150, 20_000, 100, loss), 5)
        packets = [*connection.open(), *connection.answer(400_000)]
        numbers = [tcp.seq for _, up, tcp in read(packets) if not up and len(tcp.payload)]
        return len(numbers) - len(set(numbers))

    assert repeated(0.01) == 1
    assert repeated(0.0) == 0


def test_a_closed_port_refuses_and_a_dead_host_is_silent():
    """A RST for each SYN; or SYNs further and further apart."""
    refused = read(list(talk(NEAR).refused(tries=2)))
    assert [str(tcp.flags) for _, _, tcp in refused] == ["S", "RA", "S", "RA"]
    assert all(tcp.ack == refused[0][2].seq + 1 for _, up, tcp in refused if not up)
    silent = read(list(talk(NEAR).unanswered(tries=3)))
    assert [time // 1_000_000 for time, _, _ in silent] == [0, 1, 3]
    assert {tcp.seq for _, _, tcp in silent} == {silent[0][2].seq}


def test_a_keep_alive_probe_is_one_byte_back():
    """It asks for an acknowledgement without sending anything new."""
    connection = talk(NEAR)
    opened = read([*connection.open(), *connection.send(100)])
    ask, reply = read(list(connection.probe()))
    assert ask[2].seq == opened[0][2].seq + 100
    assert reply[2].ack == ask[2].seq + 1


DIALOGUES = {
    "tls": lambda talk, rng: protocols.tls(talk, rng, [(0, 500, 9_000), (1e6, 300, 80_000)], linger_us=1e6),
    "held": lambda talk, rng: protocols.held(
        talk, rng, pause_us=9e6, request=100, answer=100, until_us=talk.now + 120_000_000
    ),
    "submit_mail": lambda talk, rng: protocols.submit_mail(talk, rng, 20_000),
    "fetch_mail": lambda talk, rng: protocols.fetch_mail(talk, rng, 5_000),
    "share": lambda talk, rng: protocols.share(talk, rng, 200_000_000),
    "shell": lambda talk, rng: protocols.shell(talk, rng, 40, 200_000_000),
    "print_job": lambda talk, rng: protocols.print_job(talk, rng, 90_000),
    "short_request": lambda talk, rng: protocols.short_request(talk, rng, 100, 900),
}


@pytest.mark.parametrize("name", DIALOGUES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_dialogue_opens_and_stays_in_order(name, seed):
    """Each begins with a SYN, goes both ways, and never goes back in time."""
    packets = list(DIALOGUES[name](talk(FAR, seed), random.Random(seed)))
    times = [time for time, _, _ in packets]
    assert times == sorted(times)
    seen = read(packets[:3])
    assert str(seen[0][2].flags) == "S"
    assert {frame[26:30] for _, frame, _ in packets} == {CLIENT.ip, SERVER.ip}


@pytest.mark.parametrize("path", [NEAR, FAR])
def test_datagrams_are_in_order_both_ways(path):
    """QUIC and voice keep to the clock, and to the size that was asked for."""
    for script, arguments in ((protocols.quic, ([(0, 900, 40_000)],)), (protocols.voice, (50,))):
        packets = list(script(Datagrams(WIRE, random.Random(1), ENDS, path, 500), random.Random(2), *arguments))
        times = [time for time, _, _ in packets]
        assert times == sorted(times)
        down = sum(length - 42 for _, frame, length in packets if frame[26:30] == SERVER.ip)
        assert down >= (40_000 if script is protocols.quic else 50 * 92)
