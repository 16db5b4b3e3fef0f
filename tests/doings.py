"""Attacks and everyday doings told as flows, and the kinds of incident a person would call them."""

from __future__ import annotations

import random

from aggregator.triage.incidents import (
    BEACON,
    EXFILTRATION,
    FLOOD,
    HOST_SWEEP,
    NETWORK_SCAN,
    PASSWORD_GUESSING,
    PORT_SCAN,
    REMOTE_ADMINISTRATION,
    SINGLE_FLOW,
    TUNNEL,
    UNUSUAL_EXCHANGE,
    WEB_SCAN,
    Point,
)

A, B, V = "10.0.0.5", "10.0.0.9", "192.0.2.80"
TCP, UDP, ICMP = 6, 17, 1
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class Story:
    """Flows of a doing, one after the other. Sizes are on the wire."""

    def __init__(self, seed=1):
        self.points = []
        self.random = random.Random(seed)

    def flow(self, src, dst, port, at, *, proto=TCP, out=(1, 60), back=(0, 0), lasts=5, src_port=None, **how):
        """`out` and `back` are packets and bytes."""
        number = len(self.points) + 1
        if src_port is None:
            src_port = 0 if proto == ICMP else 32_768 + number % 28_000
        self.points.append(
            Point(
                number, src, dst, port, proto, at, at + lasts, out[0] + back[0], out[1] + back[1], out[1], back[1],
                4.0, src_port=src_port, src_packets=out[0], **how,
            )
        )  # fmt: skip
        return self


def host(number, net="10.1"):
    return f"{net}.{number // 250}.{number % 250 + 1}"


def port_scan():
    story = Story()
    for port in range(1, 400):
        story.flow(A, B, port, port * 20, back=(1, 60) if port % 3 else (0, 0), refused=bool(port % 3))
    return story


def slow_port_scan():
    story = Story()
    for step in range(60):
        story.flow(A, B, 20 + step, step * 5 * MINUTE)
    return story


def udp_port_scan():
    story = Story()
    for port in range(1, 200):
        story.flow(A, B, port, port * 500, proto=UDP, out=(1, 42))
        story.flow(B, A, 0, port * 500 + 1, proto=ICMP, out=(1, 70))
    return story


def telnet_sweep():
    story = Story()
    for number in range(300):
        story.flow(A, host(number, "203.0"), 23 if number % 10 else 2323, number * 100)
    return story


def udp_spray():
    story = Story()
    for number in range(300):
        story.flow(A, host(number, "203.0"), 6892, number * 30, proto=UDP, out=(1, 56), src_port=51_194)
    return story


def ping_sweep():
    story = Story()
    for number in range(100):
        story.flow(
            A, host(number), 0, number * 50, proto=ICMP, out=(1, 98), back=(1, 98) if number % 5 == 0 else (0, 0)
        )
    return story


def network_scan():
    story = Story()
    for number in range(30):
        for port in (22, 80, 443, 445, 3389, 8080):
            story.flow(A, host(number), port, number * 900 + port)
    return story


def snmp_sweep():
    story = Story()
    for number in range(60):
        story.flow(A, host(number), 161, number * 60, proto=UDP, out=(1, 85), back=(1, 130))
    return story


def guessing(port, attempts=120, every=SECOND):
    story = Story()
    for attempt in range(attempts):
        size = story.random.randint(900, 1100)
        story.flow(A, B, port, attempt * every, out=(10, size), back=(9, 1500), lasts=800)
    return story


def spraying():
    story = Story()
    for turn in range(2):
        for number in range(25):
            story.flow(A, host(number), 445, turn * 10 * MINUTE + number * 700, out=(9, 1400), back=(8, 1300), lasts=90)
    return story


def spoofed_syn_flood():
    story = Story()
    for number in range(2000):
        story.flow(host(number, "198.18"), V, 443, number * 3)
        if number % 2:  # the victim answers
            story.flow(V, host(number, "198.18"), 40_000 + number, number * 3 + 1, src_port=443, opened=False)
    return story


def botnet_udp_flood():
    story = Story()
    for bot in range(40):
        for shot in range(20):
            port = story.random.randint(1, 65_000)
            story.flow(host(bot, "198.51"), V, port, shot * 400 + bot, proto=UDP, out=(3, 1500), src_port=4444)
    return story


def one_udp_flood():
    story = Story()
    for cut in range(4):
        story.flow(A, V, 9999, cut * MINUTE, proto=UDP, out=(60_000, 30_000_000), lasts=MINUTE - 10, src_port=5555)
    return story


def random_port_udp_flood():
    story = Story()
    for number in range(400):
        story.flow(A, V, 1 + number * 37, number * 10, proto=UDP, out=(1, 1066))
    return story


def icmp_flood():
    return Story().flow(A, V, 0, 0, proto=ICMP, out=(20_000, 2_000_000), back=(9_000, 900_000), lasts=30 * SECOND)


def syn_flood_from_one():
    story = Story()
    for number in range(1500):
        story.flow(A, V, 80, number * 10)
    return story


def http_flood():
    story = Story()
    for number in range(3000):
        story.flow(host(number % 80, "198.51"), V, 80, number * 10, out=(6, 900), back=(6, 5000), lasts=60)
    return story


def amplification(port):
    story = Story()
    for number in range(400):
        at = number * 4
        story.flow(host(number, "203.0"), V, 50_000, at, proto=UDP, out=(3, 4300), src_port=port)
    return story


def reflector(port):
    story = Story()
    for number in range(300):
        story.flow(V, B, port, number * 100, proto=UDP, out=(2, 140), back=(20, 9000))
    return story


def equal_requests():
    story = Story()
    for number in range(2000):
        story.flow(A, V, 80, number * 60, out=(5, 640), back=(5, 4000), lasts=40)
    return story


def one_reflector():
    story = Story()
    for cut in range(4):
        story.flow(B, V, 50_000, cut * MINUTE, proto=UDP, out=(900, 400_000), lasts=MINUTE - 10, src_port=123)
    return story


def decoys():
    story = Story()
    for port in range(1, 300):
        for helper in range(8):
            story.flow(host(helper, "198.51"), V, port, port * 20 + helper)
    return story


def beacon_in_one_connection():
    story = Story()
    for turn in range(30):
        at = turn * MINUTE + story.random.randint(0, 4000)
        story.flow(A, V, 443, at, out=(2, 300), back=(2, 400), lasts=200, src_port=50_000, opened=turn == 0)
    return story


def long_download():
    story = Story()
    for cut in range(12):
        story.flow(
            A, V, 443, cut * (MINUTE + 50), out=(4000, 260_000), back=(9000, 12_000_000), lasts=MINUTE, src_port=50_000
        )
    return story


def slowloris():
    story = Story()
    for connection in range(100):
        for turn in range(6):
            story.flow(
                A, V, 80, turn * 15 * SECOND + connection * 20, src_port=40_000 + connection, out=(1, 75), back=(1, 60),
                opened=turn == 0, lasts=1,
            )  # fmt: skip
    return story


def beacon(every, jitter, port=443, proto=TCP, calls=40):
    story = Story()
    at = 0
    for _ in range(calls):
        at += round(every * (1 + story.random.uniform(-jitter, jitter)))
        out, back = ((8, 1200), (7, 3000)) if proto == TCP else ((1, 90), (1, 150))
        story.flow(A, V, port, at, proto=proto, out=out, back=back, lasts=300)
    return story


def dns_tunnel_one_socket():
    story = Story()
    for cut in range(3):
        story.flow(
            A, B, 53, cut * MINUTE, proto=UDP, out=(200, 30_000), back=(200, 52_000), lasts=50_000, src_port=5000
        )
    return story


def dns_tunnel_many_questions():
    story = Story()
    for number in range(150):
        story.flow(A, B, 53, number * 600, proto=UDP, out=(1, 190), back=(1, 320))
    return story


def icmp_tunnel():
    story = Story()
    for cut in range(5):
        story.flow(
            A, V, 0, cut * MINUTE, proto=ICMP, out=(60, 14_000), back=(60, 16_000), lasts=59_000, deviation=180.0
        )
    return story


def upload():
    story = Story()
    for cut in range(6):
        story.flow(A, V, 443, cut * MINUTE, out=(9000, 12_000_000), back=(4000, 260_000), lasts=59_000, src_port=50_000)
    return story


def web_scan():
    story = Story()
    for number in range(600):
        story.flow(A, B, 8080, number * 20, out=(6, story.random.randint(500, 900)), back=(6, 1100), lasts=4)
    return story


def psexec():
    story = Story().flow(A, B, 135, 0, out=(7, 900), back=(6, 700), lasts=80)
    story.flow(A, B, 445, 100, out=(173, 182_000), back=(66, 11_000), lasts=600)
    return story.flow(A, B, 49_688, 200, out=(11, 2300), back=(10, 1600), lasts=200)


def lateral():
    story = Story()
    for number in range(6):
        story.flow(A, host(number), 445, number * 20 * SECOND, out=(60, 70_000), back=(50, 9_000), lasts=9_000)
        story.flow(A, host(number), 5985, number * 20 * SECOND + 400, out=(20, 8_000), back=(18, 9_000), lasts=900)
    return story


def smb_worm():
    story = Story()
    for number in range(200):
        story.flow(A, host(number), 445, number * 40)
    return story


def knocking():
    story = Story()
    for step, port in enumerate((7000, 8000, 9000)):
        story.flow(A, B, port, step * 300)
    return story


def heartbleed():
    return Story().flow(A, V, 443, 0, out=(12, 1400), back=(40, 66_000), lasts=2_000)


ATTACKS = {
    "port scan": (port_scan, {PORT_SCAN}),
    "slow port scan": (slow_port_scan, {PORT_SCAN}),
    "UDP port scan": (udp_port_scan, {PORT_SCAN}),
    "telnet sweep": (telnet_sweep, {HOST_SWEEP}),
    "UDP spray": (udp_spray, {HOST_SWEEP}),
    "ping sweep": (ping_sweep, {HOST_SWEEP}),
    "network scan": (network_scan, {NETWORK_SCAN}),
    "SNMP sweep": (snmp_sweep, {HOST_SWEEP}),
    "SMB worm": (smb_worm, {HOST_SWEEP}),
    "SSH guessing": (lambda: guessing(22), {PASSWORD_GUESSING}),
    "RDP guessing, slow": (lambda: guessing(3389, 200, 4 * SECOND), {PASSWORD_GUESSING}),
    "MySQL guessing, fast": (lambda: guessing(3306, 500, 50), {PASSWORD_GUESSING}),
    "password spraying": (spraying, {PASSWORD_GUESSING}),
    "spoofed SYN flood that is answered": (spoofed_syn_flood, {FLOOD}),
    "UDP flood of a botnet": (botnet_udp_flood, {FLOOD}),
    "UDP flood on random ports": (random_port_udp_flood, {FLOOD}),
    "SYN flood from one source": (syn_flood_from_one, {FLOOD}),
    "HTTP flood": (http_flood, {FLOOD}),
    "NTP amplification": (lambda: amplification(123), {FLOOD}),
    "memcached amplification": (lambda: amplification(11_211), {FLOOD}),
    "DNS amplification": (lambda: amplification(53), {FLOOD}),
    "CharGEN amplification": (lambda: amplification(19), {FLOOD}),
    "SSDP reflector": (lambda: reflector(1900), {FLOOD}),
    "slowloris": (slowloris, {FLOOD}),
    "equal requests": (equal_requests, {FLOOD}),
    "scan behind decoys": (decoys, {PORT_SCAN}),
    "beacon, a minute": (lambda: beacon(MINUTE, 0.05), {BEACON}),
    "beacon, an hour": (lambda: beacon(HOUR, 0.05, calls=60), {BEACON}),
    "beacon with jitter": (lambda: beacon(MINUTE, 0.3, calls=80), {BEACON}),
    "DNS tunnel, many questions": (dns_tunnel_many_questions, {TUNNEL}),
    "web scan": (web_scan, {WEB_SCAN}),
    "lateral movement": (lateral, {REMOTE_ADMINISTRATION}),
}
WHOLE = {
    "NTP answers of one host": (one_reflector, {FLOOD}),
    "beacon in one connection": (beacon_in_one_connection, {BEACON}),
    "long download": (long_download, {SINGLE_FLOW}),
    "UDP flood of one": (one_udp_flood, {FLOOD}),
    "ICMP flood": (icmp_flood, {FLOOD}),
    "DNS tunnel over one socket": (dns_tunnel_one_socket, {TUNNEL}),
    "ICMP tunnel": (icmp_tunnel, {TUNNEL}),
    "upload": (upload, {EXFILTRATION}),
    "psexec": (psexec, {REMOTE_ADMINISTRATION}),
    "port knocking": (knocking, {UNUSUAL_EXCHANGE}),
    "one large answer": (heartbleed, {SINGLE_FLOW}),
}
