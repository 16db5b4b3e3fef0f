"""Frames: what scapy would have built, cut only where a meter can bear it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dns import DNS
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from trainer.traffic import messages
from trainer.traffic.packets import IcmpSender, TcpSender, TrafficError, UdpSender, Wire, even
from trainer.traffic.templates import Endpoint, arp, neighbour, templates

WIRE = Wire(7)
ENDS = {
    4: (Endpoint(b"\x02" * 6, b"\x0a\x01\x02\x03", 128), Endpoint(b"\x04" * 6, b"\xc6\x33\x64\x07", 57)),
    6: (
        Endpoint(b"\x02" * 6, bytes.fromhex("fe80" + "00" * 12 + "0001"), 64),
        Endpoint(b"\x04" * 6, bytes.fromhex("20010db8" + "ff" * 12), 255),
    ),
}
WORD = st.integers(0, 0xFFFF)
DOUBLE = st.integers(0, 0xFFFFFFFF)
HEAD = st.binary(max_size=200).map(even)


def recomputed(frame: bytes) -> bytes:
    """The frame with every length and checksum left to scapy."""
    packet = Ether(frame)
    layer = packet
    while layer:
        for field in ("chksum", "cksum", "len", "plen"):
            if field in layer.fields:
                del layer.fields[field]
        layer = layer.payload
    return bytes(packet)


SEGMENT = st.fixed_dictionaries(
    {"seq": DOUBLE, "ack": DOUBLE, "flags": st.integers(0, 63), "window": WORD, "stamp": DOUBLE, "echo": DOUBLE}
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["tcp", "tcp_stamped", "syn", "syn_stamped", "syn_bare"]),
    st.sampled_from([4, 6]),
    SEGMENT,
    st.tuples(WORD, WORD),
    st.tuples(st.integers(0, 1400), HEAD),
)
def test_segments_have_the_lengths_and_checksums_scapy_computes(kind, version, fields, ports, payload):
    """A patched TCP frame equals the one scapy builds from its fields."""
    size, head = max(payload[0], len(payload[1])), payload[1]
    sender = TcpSender(WIRE, kind, *ENDS[version], *ports, fields["window"])
    frame, length = sender.frame(**fields, size=size, head=head)
    assert len(frame) == length
    assert frame == recomputed(frame)
    tcp = Ether(frame)["TCP"]
    assert (tcp.sport, tcp.dport) == ports
    assert [int(getattr(tcp, name)) for name in ("seq", "ack", "flags", "window")] == [
        fields[name] for name in ("seq", "ack", "flags", "window")
    ]
    if "stamped" in kind:
        assert dict(tcp.options)["Timestamp"] == (fields["stamp"], fields["echo"])
    assert len(tcp.payload) == size
    assert bytes(tcp.payload).startswith(head)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([4, 6]), st.integers(0, 1400), HEAD, WORD)
def test_datagrams_have_the_lengths_and_checksums_scapy_computes(version, size, head, sport):
    """A patched UDP frame equals the one scapy builds, whatever its size."""
    frame, length = UdpSender(WIRE, *ENDS[version], sport, 9999, sport).frame(max(size, len(head)), head)
    assert len(frame) == length
    assert frame == recomputed(frame)


def test_an_odd_message_that_is_all_of_a_datagram_is_summed_whole():
    """A payload of odd length has its last byte counted as the upper half of a word."""
    frame, _ = UdpSender(WIRE, *ENDS[4], 1, 2, 0).frame(3, b"abc")
    assert frame == recomputed(frame)
    assert frame.endswith(b"abc")


def test_a_checksum_of_zero_is_written_as_all_ones_in_udp_only():
    """Zero would mean "no checksum" in UDP (RFC 768); in TCP it is a checksum like any other."""
    udp = UdpSender(WIRE, *ENDS[4], 1, 2, 0)
    first, _ = udp.frame(2, b"\0\0")
    frame, _ = udp.frame(2, first[40:42])
    assert frame[40:42] == b"\xff\xff"
    assert frame == recomputed(frame)
    tcp = TcpSender(WIRE, "tcp", *ENDS[4], 1, 2, 0)
    first, _ = tcp.frame(1, 2, 16, 3, 2, b"\0\0")
    frame, _ = tcp.frame(1, 2, 16, 3, 2, first[50:52])
    assert frame[50:52] == b"\0\0"
    assert frame == recomputed(frame)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["echo_request", "echo_reply"])
def test_echoes_have_the_checksums_scapy_computes(kind, version):
    """ICMP is summed without, ICMPv6 with a pseudo header."""
    frame, length = IcmpSender(WIRE, kind, *ENDS[version], 5).frame(0xBEEF, 3, 56)
    assert len(frame) == length
    assert frame == recomputed(frame)


def test_an_unreachable_quotes_the_datagram_it_answers():
    """The quoted header is the probe's own."""
    probe, _ = UdpSender(WIRE, *ENDS[4], 40_000, 161, 9).frame(0)
    back = (ENDS[4][1], ENDS[4][0])
    frame, _ = IcmpSender(WIRE, "unreachable", *back, 5).frame(0, 0, 28, probe[14:42])
    quoted = Ether(frame)["IP in ICMP"]
    assert (quoted.src, quoted.dst, quoted["UDP in ICMP"].dport) == ("10.1.2.3", "198.51.100.7", 161)
    assert frame[14:42] == recomputed(frame)[14:42]
    assert sum(int.from_bytes(frame[at : at + 2], "big") for at in range(34, len(frame), 2)) % 65535 == 0


def test_rare_frames_are_whole_and_addressed():
    """ARP and neighbour discovery carry the hosts' own addresses."""
    question, reply = arp(*ENDS[4])
    assert (Ether(question).dst, Ether(question)[ARP].pdst, Ether(reply)[ARP].hwsrc) == (
        "ff:ff:ff:ff:ff:ff",
        "198.51.100.7",
        "04:04:04:04:04:04",
    )
    for frame in neighbour(*ENDS[6]):
        assert frame == recomputed(frame)


def test_a_cut_frame_keeps_its_length_and_an_ipv6_frame_is_never_cut():
    """The engine counts cut IPv4 packets by their original length, but ignores cut IPv6 ones."""
    wire = Wire(7, snap=96)
    frame, length = TcpSender(wire, "tcp_stamped", *ENDS[4], 1, 2, 0).frame(1, 2, 16, 3, 1400, b"abcdef")
    whole, _ = TcpSender(WIRE, "tcp_stamped", *ENDS[4], 1, 2, 0).frame(1, 2, 16, 3, 1400, b"abcdef")
    assert (len(frame), length) == (96, 1466)
    assert frame == whole[:96]
    assert Ether(frame)[IP].len == 1452
    frame, length = UdpSender(wire, *ENDS[6], 1, 2, 0).frame(1000)
    assert len(frame) == length == 1062
    assert Ether(frame)[IPv6].plen == 1008


def test_a_snap_length_that_cuts_headers_is_refused():
    """Every template fits the smallest one allowed, and less is said to be too little."""
    assert max(len(template.data) for template in templates().values() if template.version == 4) <= 80
    with pytest.raises(TrafficError, match="at least 80"):
        Wire(1, snap=64)


def test_dns_messages_are_what_a_resolver_would_read():
    """Questions, answers and missing names parse."""
    query = DNS(messages.dns_query(77, "www.example.org", messages.TXT))
    assert (query.id, query.qd[0].qname, query.qd[0].qtype) == (77, b"www.example.org.", messages.TXT)
    answer = DNS(messages.dns_answer(77, "www.example.org", messages.A, [b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"]))
    assert [record.rdata for record in answer.an] == ["1.2.3.4", "5.6.7.8"]
    assert DNS(messages.dns_answer(1, "x.y", messages.A, [], missing=True)).rcode == 3
    long = messages.txt(b"z" * 300)
    assert len(long) == 302
    announced = DNS(messages.mdns("_ipp._tcp.local", record=messages.encode_name("printer3._ipp._tcp.local")))
    assert announced.an[0].rdata == b"printer3._ipp._tcp.local."
