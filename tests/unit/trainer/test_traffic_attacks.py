"""Attacks: each looks like what it is called."""

from __future__ import annotations

import ipaddress
import statistics
from itertools import pairwise

import pytest

from trainer.traffic.attacks import ATTACKS, password_guessing
from trainer.traffic.flows import Flow
from trainer.traffic.network import draw
from trainer.traffic.office import Office
from trainer.traffic.packets import TrafficError
from trainer.traffic.schedule import play

MINUTE = 60_000_000


def campaign(name: str, seed: int = 3, **settings) -> tuple[list[Flow], list]:
    """The flows of one attack from the first second of a five-minute scenario, and their packets."""
    office = Office(seed)
    flows: list[Flow] = []
    source = ATTACKS[name](office.stage(5 * MINUTE), office.party(name, 7), 1_000_000, **settings)
    packets = list(play([source], 5 * MINUTE, flows.append))
    return flows, packets


def ends(flows: list[Flow], place: int) -> set:
    return {str(flow.ends[place]) for flow in flows}


@pytest.mark.parametrize("name", ATTACKS)
def test_all_flows_carry_name_and_campaign(name):
    """The kind is the attack's name, the campaign the one asked for, and nothing comes before its start."""
    flows, packets = campaign(name)
    assert {(flow.kind, flow.campaign) for flow in flows} == {(name, 7)}
    assert packets[0][0] >= 1_000_000
    assert packets[-1][0] < 5 * MINUTE


def test_horizontal_scan_is_one_port_on_many_addresses():
    """Most of which nobody has."""
    flows, _ = campaign("horizontal_scan")
    assert len(ends(flows, 3)) == 1
    assert len(ends(flows, 2)) == len(flows) == 250
    assert sum(flow.written == 1 for flow in flows) > 200


def test_vertical_scan_is_many_ports_of_one_host():
    """Open ones answer with SYN/ACK and get a RST, closed ones with a RST."""
    flows, _ = campaign("vertical_scan")
    assert len(ends(flows, 2)) == 1
    assert len(ends(flows, 3)) == len(flows) == 1000
    assert sum(flow.written == 3 for flow in flows) >= 5


def test_connect_scan_finishes_handshakes_where_it_can():
    """Several hosts, the same ports on each."""
    flows, _ = campaign("connect_scan")
    assert len(ends(flows, 2)) == 8
    assert len(flows) == 8 * len(ends(flows, 3))
    assert {flow.written for flow in flows} >= {2, 4}


def test_udp_scan_gets_few_and_slow_unreachables():
    """About one a second, as systems limit them; the rest is asked twice."""
    flows, packets = campaign("udp_scan")
    [unreachable] = [flow for flow in flows if flow.protocol == 1]
    seconds = (unreachable.last_us - unreachable.first_us) / 1e6
    assert unreachable.written <= seconds / 0.9 + 1
    assert len(packets) > 1.5 * len(flows)


def test_syn_flood_comes_from_everywhere():
    """Spoofed sources, one port, no handshake completed."""
    flows, packets = campaign("syn_flood")
    assert len(flows) > 2000
    assert len(ends(flows, 0)) > 0.99 * len(flows)
    assert len(ends(flows, 2)) == len(ends(flows, 3)) == 1
    assert not [frame for _, frame, _ in packets if frame[47] == 0x10]


@pytest.mark.parametrize(("service", "port"), [("ssh", 22), ("ftp", 21)])
def test_password_guessing_is_many_short_log_ins_in_parallel(service, port):
    """Same pair, same port, a few at a time."""
    flows, _ = campaign("password_guessing", service=service)
    assert ends(flows, 3) == {str(port)}
    assert len(flows) == 120
    assert len(ends(flows, 0)) == len(ends(flows, 2)) == 1
    middle = sorted(flow.first_us for flow in flows)[60]
    assert 1 <= sum(flow.first_us <= middle <= flow.last_us for flow in flows) <= 5


def test_password_guessing_ends_with_the_scenario():
    """What begins too late does not begin."""
    office = Office(3)
    assert not list(password_guessing(office.stage(MINUTE), office.party("x", 1), MINUTE))


def test_exfiltration_is_one_long_upload():
    """Nearly all bytes go out, for a minute and more, to an address outside."""
    [flow], packets = campaign("exfiltration")
    up = sum(length for _, frame, length in packets if frame[26:30] == flow.ends[0].ip)
    assert up > 15_000_000
    assert up > 0.9 * sum(length for _, _, length in packets)
    assert flow.last_us - flow.first_us > 60_000_000
    assert ipaddress.ip_address(str(flow.ends[2])).is_global


def test_dns_tunnel_has_long_names_of_one_zone():
    """Queries far longer than a host name, all to the resolver."""
    flows, packets = campaign("dns_tunnel")
    assert len(ends(flows, 2)) == 1
    assert len(ends(flows, 1)) == len(flows) > 300
    queries = [length for _, frame, length in packets if frame[36:38] == b"\x00\x35"]
    assert statistics.median(queries) > 150


def test_beacon_comes_back_at_nearly_regular_times():
    """The same two ends, pauses within the jitter."""
    flows, _ = campaign("beacon", every_s=10, jitter=0.2)
    assert len(ends(flows, 0)) == len(ends(flows, 2)) == 1
    starts = sorted(flow.first_us for flow in flows)
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert len(pauses) > 20
    assert all(7_900_000 <= pause <= 12_100_000 for pause in pauses)


def test_slowloris_holds_many_connections_with_hardly_a_byte():
    """They live for a minute and more and send a line now and then."""
    flows, packets = campaign("slowloris")
    assert len(flows) == 150
    assert statistics.median(flow.last_us - flow.first_us for flow in flows) > 60_000_000
    assert statistics.mean(length for _, _, length in packets) < 120


def test_networks_differ_in_everything_an_address_could_tell():
    """Ranges, gateways, outside addresses and MACs of two seeds have nothing to do with each other."""
    networks = [draw(seed, 24) for seed in range(12)]
    assert len({network.subnets[0] for network in networks}) == 12
    assert len({network.gateway.v4.mac for network in networks}) == 12
    for one, other in pairwise(networks):
        assert not {peer.v4.ip for peer in one.outside.web} & {peer.v4.ip for peer in other.outside.web}
    assert {len(network.subnets) for network in networks} == {1, 2, 3}
    assert all(subnet.is_private for network in networks for subnet in network.subnets)


@pytest.mark.parametrize("hosts", [8, 24, 200])
def test_a_network_has_the_hosts_asked_for_at_addresses_of_their_own(hosts):
    """Whatever its size, with somebody at work in it."""
    network = draw(1, hosts)
    assert len({host.v4.ip for host in network.hosts}) == hosts
    assert len(network.having("workstation")) >= 2
    with pytest.raises(TrafficError, match="8 to 200"):
        draw(1, 7)
