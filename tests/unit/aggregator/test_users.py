"""Accounts and secrets: what is kept, what ends, who may do what."""

from __future__ import annotations

import pytest

from aggregator import users
from aggregator.errors import Conflict, Forbidden, Invalid, NotFound
from aggregator.rows import Role
from aggregator.storage.store import Store
from aggregator.users import DAY_MS, MINUTE_MS, Principal


@pytest.fixture
def db(tmp_path):
    store = Store(tmp_path / "aggregator.db").open()
    for name, role in (("ada", Role.ADMIN), ("vic", Role.VIEWER)):
        store.write_now(
            lambda db, name=name, role=role: users.add(
                db, name=name, role=role, password_hash="hash", by="init", now_ms=1
            )
        )
    yield store
    store.close()


def session(db, user="vic", now_ms=0):
    return db.write_now(lambda c: users.open_session(c, user=user, now_ms=now_ms, hours=12))


def whose(db, secret, now_ms):
    return db.read(lambda c: users.of_session(c, secret, now_ms=now_ms, idle_minutes=60))


def change(db, name, **what):
    settled = {"role": None, "disabled": None, "password_hash": None, **what}
    return db.write_now(lambda c: users.change(c, name, **settled, by="ada", now_ms=5))


def token(db, user="vic", scope="read", days=1):
    return db.write_now(
        lambda c: users.add_token(c, user=user, name="script", scope=scope, days=days, by=user, now_ms=0)
    )


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("needed", list(Role))
def test_a_role_covers_those_below_it(role, needed):
    """Viewer, analyst, operator, admin: each may do what the one before may."""
    order = [Role.VIEWER, Role.ANALYST, Role.OPERATOR, Role.ADMIN]
    may = order.index(role) >= order.index(needed)
    assert Principal("x", role).may(needed) == may
    if may:
        Principal("x", role).require(needed)
    else:
        with pytest.raises(Forbidden, match=needed):
            Principal("x", role).require(needed)


def test_a_reading_token_of_an_admin_only_reads():
    """The scope bounds the role."""
    reader = Principal("ada", Role.ADMIN, "read", "token")
    reader.require(Role.ADMIN, write=False)
    for role in Role:
        with pytest.raises(Forbidden, match="only read"):
            reader.require(role)


def test_no_secret_is_kept_in_clear(db):
    """Whoever reads the database can neither log in nor use a token."""
    cookie, (_, text) = session(db), token(db)
    everything = repr(
        db.read(
            lambda c: [tuple(row) for table in ("sessions", "tokens") for row in c.execute(f"SELECT * FROM {table}")]
        )
    )
    assert cookie not in everything
    assert text not in everything
    assert text.startswith("anoma_")


def test_a_session_ends_by_idleness_and_by_age(db):
    """Using it prolongs the first, not the second."""
    secret = session(db, now_ms=0)
    assert whose(db, secret, 59 * MINUTE_MS)[0].name == "vic"
    assert whose(db, secret, 61 * MINUTE_MS) is None
    db.write_now(lambda c: users.touch_session(c, secret, now_ms=60 * MINUTE_MS - 1))
    assert whose(db, secret, 61 * MINUTE_MS) is not None
    db.write_now(lambda c: users.touch_session(c, secret, now_ms=12 * 60 * MINUTE_MS))
    assert whose(db, secret, 12 * 60 * MINUTE_MS) is None
    assert whose(db, "guessed", 0) is None


def test_changing_an_account_ends_its_sessions(db):
    """A new role or password, or being disabled, takes effect at once."""
    secret = session(db)
    change(db, "vic", role=Role.ANALYST)
    assert whose(db, secret, 1) is None
    secret, (_, text) = session(db), token(db)
    change(db, "vic", disabled=True)
    assert whose(db, secret, 1) is None
    assert db.read(lambda c: users.of_token(c, text, now_ms=1)) is None
    assert db.read(lambda c: users.password_hash(c, "vic")) is None


def test_the_last_administrator_stays(db):
    """Nobody locks everybody out."""
    for what in ({"disabled": True}, {"role": Role.OPERATOR}):
        with pytest.raises(Conflict, match="last administrator"):
            change(db, "ada", **what)
    change(db, "vic", role=Role.ADMIN)
    assert change(db, "ada", disabled=True).disabled


def test_a_token_expires_and_can_be_revoked(db):
    """By its owner, or by an administrator; not by another user."""
    made, text = token(db, scope="write")
    principal, _, _ = db.read(lambda c: users.of_token(c, text, now_ms=1))
    assert (principal.name, principal.role, principal.scope, principal.via) == ("vic", Role.VIEWER, "write", "token")
    assert db.read(lambda c: users.of_token(c, text, now_ms=DAY_MS)) is None
    with pytest.raises(NotFound):
        db.write_now(lambda c: users.revoke_token(c, made.id, owner="ada", by="ada", now_ms=1))
    db.write_now(lambda c: users.revoke_token(c, made.id, owner="vic", by="vic", now_ms=1))
    assert db.read(lambda c: users.of_token(c, text, now_ms=1)) is None
    assert db.read(lambda c: users.tokens(c, owner="vic")).items[0].revoked


@pytest.mark.parametrize("what", [{"scope": "all"}, {"days": 0}, {"days": 99999}])
def test_a_token_has_a_known_scope_and_an_end(db, what):
    """There is no token for ever."""
    with pytest.raises(Invalid):
        token(db, **what)


@pytest.mark.parametrize("name", ["", "Ada", "a b", "../etc", "-x", "x" * 33])
def test_names_are_plain(name):
    """They appear in logs and in the audit log."""
    with pytest.raises(Invalid):
        users.require_name(name)


def test_a_password_has_a_least_length():
    """And a largest one, because hashing costs."""
    for bad in ("short", "x" * 1025):
        with pytest.raises(Invalid, match="characters"):
            users.require_password(bad)


def test_a_name_is_taken_once(db):
    """The second account of a name is refused."""
    with pytest.raises(Conflict):
        db.write_now(lambda c: users.add(c, name="ada", role=Role.VIEWER, password_hash="h", by="x", now_ms=1))
