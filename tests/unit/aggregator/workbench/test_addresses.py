"""Which hosts may be asked is a decision over addresses; how they are looked up is handed in."""

from __future__ import annotations

import pytest

from aggregator.errors import Forbidden, Invalid
from aggregator.workbench import addresses


def known(*found):
    return lambda _: list(found)


@pytest.mark.parametrize(
    ("found", "allowed", "fits"),
    [
        (["93.184.216.34"], (), True),
        (["2606:2800:220:1::1"], (), True),
        (["10.0.0.5"], (), False),
        (["127.0.0.1"], (), False),
        (["169.254.169.254"], (), False),
        (["::1"], (), False),
        (["fe80::1%eth0"], (), False),
        (["::ffff:10.0.0.5"], (), False),
        (["224.0.0.1"], (), False),
        (["93.184.216.34", "10.0.0.5"], (), False),
        (["10.0.0.5"], ("10.0.0.0/24",), True),
        (["10.0.1.5"], ("10.0.0.0/24",), False),
        (["93.184.216.34"], ("10.0.0.0/24",), False),
        (["10.0.0.5"], ("db.example",), True),
        (["10.0.0.5"], ("DB.example",), True),
        (["10.0.0.5"], ("other.example",), False),
    ],
)
def test_a_host_is_public_or_named(found, allowed, fits):
    """Every address it has must be; one private among them is enough to say no."""
    if fits:
        addresses.require_reachable("db.example", allowed, known(*found))
        return
    with pytest.raises(Forbidden, match="workbench_hosts"):
        addresses.require_reachable("db.example", allowed, known(*found))


def test_what_is_shown_of_an_address_holds_no_secret():
    """Neither the name, the password, nor a parameter."""
    parts = addresses.require_database(
        "postgresql+psycopg://ada:pw@[2001:db8::1]:5432/shop?sslmode=require", ("postgresql",)
    )
    assert addresses.shown(parts) == "postgresql+psycopg://[2001:db8::1]:5432/shop"


@pytest.mark.parametrize(
    "url",
    ["", "x", "postgresql://", "postgresql://a,b/x", "postgresql://h:99999999/x", "postgresql://h\\@evil/x", "a" * 5000,
     "postgresql://h/x\n"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(url):
    """It might hold a password."""
    with pytest.raises((Invalid, Forbidden)) as caught:
        addresses.require_database(url, ("postgresql",))
    assert len(url) < 3 or url not in str(caught.value)
