"""What a rule about normal traffic holds for, and when it is too broad."""

from __future__ import annotations

import pytest

from aggregator.errors import Invalid
from aggregator.triage.normality import Met, Scope, objections


def met(number=1, src="10.1.0.5", dst="10.2.0.9", port=443, **how):
    values = {"src_port": 50_000, "protocol": 6, "kind": "beacon", "agent_id": "gate", "received_ms": 1}
    return Met(number, src, dst_ip=dst, dst_port=port, **{**values, **how})


@pytest.mark.parametrize(
    ("scope", "alert", "holds"),
    [
        (Scope("10.1.0.5"), met(), True),
        (Scope("10.1.0.6"), met(), False),
        (Scope("10.1.0.0/16"), met(), True),
        (Scope("10.1.0.0/16", "10.2.0.9", 443, 6, "beacon", "gate"), met(), True),
        (Scope("10.1.0.0/16", "10.2.0.9", 444), met(), False),
        (Scope("10.1.0.0/16", protocol=17), met(), False),
        (Scope("10.1.0.0/16", kind="tunnel"), met(), False),
        (Scope("10.1.0.0/16", agent_id="other"), met(), False),
        (Scope("10.1.0.0/16", group="plant"), met(group="plant"), True),
        (Scope("10.1.0.0/16", group="plant"), met(group="office"), False),
        (Scope("2001:db8::/32"), met(src="2001:db8::7"), True),
        (Scope("2001:db8::/32"), met(), False),
        (Scope("10.1.0.5", "10.2.0.9", 443), met(src="10.2.0.9", src_port=443, dst="10.1.0.5", port=50_000), False),
        (Scope("10.1.0.5", "10.2.0.9", 443), met(1, "10.2.0.9", "10.1.0.5", 50_000, src_port=443, turned=True), True),
    ],
)
def test_a_rule_holds_for_what_it_names(scope, alert, holds):
    """Every part that is given must fit; a flow whose source is the server is met from the client's side."""
    assert scope.checked().holds(alert) is holds


@pytest.mark.parametrize(
    ("scope", "word"),
    [
        (Scope(), "source or a destination"),
        (Scope(kind="beacon", port=443), "source or a destination"),
        (Scope("10.1.0"), "no address or network"),
        (Scope("10.1.0.5", port=70_000), "port"),
        (Scope("10.1.0.5", protocol=300), "protocol"),
        (Scope("10.1.0.5", kind="witchcraft"), "no kind of incident"),
    ],
)
def test_a_scope_that_cannot_be_is_refused(scope, word):
    """A rule about nobody in particular would hide everybody's alerts."""
    with pytest.raises(Invalid, match=word):
        scope.checked()


def test_a_network_is_kept_in_one_notation():
    """Host bits are cut, and a network of one address is that address."""
    assert Scope("10.1.7.9/16", "10.2.0.9/32").checked() == Scope("10.1.0.0/16", "10.2.0.9")


def test_a_rule_that_would_have_hidden_most_alerts_is_refused():
    """More than half of the recent ones, unless they are few."""
    found = objections(Scope("10.1.0.5"), 100, [met(number) for number in range(60)], 3)
    assert (found.hidden, found.share, found.incidents) == (60, 0.6, 3)
    assert "60%" in found.refusals[0]
    assert objections(Scope("10.1.0.5"), 15, [met(number) for number in range(15)], 3).refusals == ()
    assert objections(Scope("10.1.0.5"), 100, [met(number) for number in range(20)], 3).warnings != ()
    assert objections(Scope("10.1.0.5"), 1000, [met(number) for number in range(20)], 3).warnings == ()


def test_a_broad_network_and_judged_attacks_speak_against_a_rule():
    """A /4 is refused, a /12 earns a warning, and what somebody called an attack is not normal."""
    assert "broader than /8" in objections(Scope("16.0.0.0/4"), 0, [], 0).refusals[0]
    assert "addresses" in objections(Scope("10.16.0.0/12"), 0, [], 0).warnings[0]
    judged = objections(Scope("10.1.0.5"), 1000, [met(verdict="malicious")], 0)
    assert judged.judged_malicious == 1
    assert "judged an attack" in judged.refusals[0]
