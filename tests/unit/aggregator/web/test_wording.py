"""What operators read: figures, names and states in words."""

from __future__ import annotations

import math

import pytest

from aggregator.errors import NotFound, StateError
from aggregator.rows import Health
from aggregator.web.pages import alert, charts, visits, wording


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0 %"), (0.001, "0.1 %"), (0.00013, "0.013 %"), (0.0253, "2.5 %"), (0.5, "50 %"), (1, "100 %"),
        (math.nan, "unknown"),
    ],
)  # fmt: skip
def test_percent(share: float, said: str) -> None:
    """A share keeps two significant digits, however small it is."""
    assert wording.percent(share) == said


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(340, "340 ms"), (4_200, "4.2 s"), (185_000, "3 min 5 s"), (7_800_000, "2 h 10 min"), (273_600_000, "3 d 4 h")],
)
def test_duration(milliseconds: float, said: str) -> None:
    """A span is said in the two largest units that matter."""
    assert wording.duration(milliseconds) == said


def test_endpoint() -> None:
    """An IPv6 address with a port stands in brackets; without ports there is only the address."""
    assert wording.endpoint("10.0.0.1", 80) == "10.0.0.1:80"
    assert wording.endpoint("2001:db8::1", 80) == "[2001:db8::1]:80"
    assert wording.endpoint("10.0.0.1", 0) == "10.0.0.1"


def test_link_escapes() -> None:
    """What an agent is called cannot change where a link leads."""
    assert wording.link("/alerts", agent="a&b=c d", text=None, min_score="") == "/alerts?agent=a%26b%3Dc+d"


def test_sizes_and_numbers() -> None:
    """Bytes in binary units; measured values short."""
    assert wording.size(114) == "114 B"
    assert wording.size(62_300_000) == "59.4 MiB"
    assert wording.number(2.0) == "2"
    assert wording.number(0.2) == "0.2"
    assert wording.number(math.inf) == "unknown"


def test_what_a_sensor_missed() -> None:
    """Drops come before evictions, and both before good news."""
    assert alert.missed(Health(packets=975, packets_dropped=25, flows_evicted=1))[1].startswith("2.5 % of packets")
    assert alert.missed(Health(packets=10, flows_evicted=1))[0] == "warn"
    assert alert.missed(Health(packets=10))[0] == "good"
    assert alert.missed(Health())[0] == "info"


def test_curves_are_thinned() -> None:
    """A long curve keeps its ends and fits what is drawn."""
    points = [[index / 5_000, 0.0] for index in range(5_001)]
    shown = charts.thinned(points)
    assert len(shown) == charts.MOST_POINTS
    assert (shown[0], shown[-1]) == (points[0], points[-1])


def test_only_refusals_speak_for_themselves() -> None:
    """A refusal is shown as it is; what happened inside is shown as a reference into the log, whatever its text."""
    assert visits.explain(NotFound("there is no alert 7")) == (404, "There is no alert 7.")
    for error in (StateError("writing to /srv/db: disk full"), RuntimeError("secret detail")):
        status, said = visits.explain(error)
        assert status >= 500
        assert str(error) not in said
        assert "reference" in said
