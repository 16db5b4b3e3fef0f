"""Logins and what guards them."""

from __future__ import annotations

import argon2
import pytest
from starlette.requests import HTTPConnection

from aggregator.errors import TooMany, Unauthenticated
from aggregator.web.access import COOKIE, NOBODY, Access, Failures


@pytest.fixture
async def hall(tmp_path, parts):
    async with parts.services(tmp_path / "state") as services:
        parts.add_user(services, "ada", "admin")
        yield services


def request(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw, "path": "/", "method": "GET"})


async def test_a_login_makes_a_session_that_is_looked_up_every_time(hall, parts):
    """And a logout ends it on the server, not only in the browser."""
    secret = await hall.access.login("ada", parts.PASSWORD, address="127.0.0.1")
    carrying = request(cookie=f"{COOKIE}={secret}")
    assert hall.access.current_user(carrying).name == "ada"
    await hall.access.logout(carrying)
    assert hall.access.current_user(carrying) is None


async def test_a_token_identifies_its_owner(hall):
    """By the Authorization header, in any case of the word Bearer."""
    _, text = await hall.access.add_token(user="ada", name="t", scope="read", days=1, by="ada")
    assert hall.access.current_user(request(authorization=f"bearer {text}")).scope == "read"
    assert hall.access.current_user(request(authorization=f"Bearer {text}x")) is None
    assert hall.access.current_user(request(authorization=text)) is None
    assert hall.access.current_user(request()) is None


async def test_wrong_password_and_unknown_name_are_told_apart_by_nobody(hall):
    """The same words, and a hash is verified in both cases."""
    texts = set()
    for name in ("ada", "nobody"):
        with pytest.raises(Unauthenticated) as refused:
            await hall.access.login(name, "wrong password", address="127.0.0.1")
        texts.add(str(refused.value))
    assert len(texts) == 1


def test_a_name_that_does_not_exist_costs_as_much_as_one_that_does():
    """The stand-in hash is at the cost of new ones: time tells nothing."""
    assert not argon2.PasswordHasher().check_needs_rehash(NOBODY)


async def test_a_password_is_kept_as_argon2id(hall):
    """Whoever reads the database has to guess at that cost."""
    await hall.access.add_user(name="grace", role="viewer", password="a long password", by="ada")
    kept = hall.store.read(lambda db: db.execute("SELECT password_hash FROM users WHERE name = 'grace'").fetchone()[0])
    assert kept.startswith("$argon2id$")
    assert await hall.access.login("grace", "a long password", address="127.0.0.1")


async def test_guessing_has_to_wait(hall, parts):
    """After five failures even the right password waits; then it works again."""
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await hall.access.login("ada", "wrong password", address="127.0.0.1")
    with pytest.raises(TooMany, match="try again") as refused:
        await hall.access.login("ada", parts.PASSWORD, address="127.0.0.1")
    assert 0 < refused.value.retry_after_s <= 60
    hall.clock.forward(seconds=61)
    assert await hall.access.login("ada", parts.PASSWORD, address="127.0.0.1")


def test_one_address_cannot_try_many_names_for_ever():
    """Failures are counted by address too, and the memory of them is bounded."""
    failures = Failures(5, 60)
    for number in range(20):
        failures.add(f"user{number}", "127.0.0.1", 0)
    with pytest.raises(TooMany):
        failures.require_patience("user99", "127.0.0.1", 1)
    failures.require_patience("user99", "127.0.0.2", 1)
    for number in range(20_000):
        failures.add(f"name{number}", f"10.0.{number // 256}.{number % 256}", 0)
    assert len(failures._times) <= Failures.BOUND


async def test_use_keeps_a_session_alive(hall, parts):
    """Reading counts as use; being away for two hours ends it."""
    secret = await hall.access.login("ada", parts.PASSWORD, address="127.0.0.1")
    carrying = request(cookie=f"{COOKIE}={secret}")
    for _ in range(3):
        hall.clock.forward(seconds=90 * 60)
        assert hall.access.current_user(carrying) is not None
        hall.store.write_now(lambda db: None)  # the note of its use is written behind the answer
    hall.clock.forward(seconds=121 * 60)
    assert hall.access.current_user(carrying) is None


@pytest.mark.parametrize(("https", "secure"), [(False, False), (True, True)])
def test_the_cookie_is_kept_from_scripts_and_other_sites(tmp_path, parts, https, secure):
    """HttpOnly, SameSite=Lax, and Secure behind HTTPS."""
    from starlette.responses import Response

    from aggregator.storage.store import Store

    access = Access(Store(tmp_path / "x.db"), parts.HandClock(), parts.config(tmp_path, https=https))
    response = Response()
    access.set_cookie(response, "secret")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert ("Secure" in cookie) == secure
