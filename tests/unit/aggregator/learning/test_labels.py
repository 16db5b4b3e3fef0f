"""Verdicts: append-only, undoable, and what an alert is called follows from them."""

from __future__ import annotations

import pytest

from aggregator import audit
from aggregator.errors import Conflict, Invalid, NotFound
from aggregator.intake import ingest, screening
from aggregator.learning import judged, labels
from aggregator.storage.store import Store
from aggregator.triage import alerts


@pytest.fixture
def store(tmp_path, parts):
    opened = Store(tmp_path / "aggregator.db").open()
    opened.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=1))
    found = screening.examine(parts.SENDER, parts.record(1, rows=6, alerts=range(6)), parts.config(tmp_path))
    opened.write_now(lambda db: ingest.store_records(db, parts.SENDER, [found], now_ms=1))
    opened.write_now(
        lambda db: db.execute("INSERT INTO incidents (rule, anchor, updated_ms) VALUES ('pair', 'a>b', 1)")
    )
    opened.write_now(lambda db: db.execute("UPDATE alerts SET incident_id = 1 WHERE id <= 3"))
    yield opened
    opened.close()


def add(store, target, target_id, verdict, note="", by="ada"):
    return store.write_now(
        lambda db: labels.add(db, target=target, target_id=target_id, verdict=verdict, note=note, by=by, at_ms=9)
    )


def undo(store, label_id):
    return store.write_now(lambda db: labels.undo(db, label_id, note="", by="bob", at_ms=10))


def verdicts(store):
    return [alert.verdict for alert in reversed(store.read(lambda db: alerts.find(db, limit=10)).items)]


def test_a_verdict_says_who_when_and_why(store):
    """And it is in the audit log too."""
    label = add(store, "alert", 2, "malicious", note="  saw the ransom note ")
    assert (label.by, label.at_ms, label.note, label.alerts) == ("ada", 9, "saw the ransom note", 1)
    detail = store.read(lambda db: alerts.get(db, 2))
    assert detail.alert.verdict == "malicious"
    assert detail.labels == (label,)
    (entry,) = store.read(lambda db: audit.find(db, limit=10)).items
    assert (entry.actor, entry.action, entry.object) == ("ada", "label.add", "alert 2")


def test_a_verdict_on_an_incident_reaches_its_alerts(store):
    """Each of them, and no other."""
    assert add(store, "incident", 1, "benign").alerts == 3
    assert verdicts(store) == ["benign"] * 3 + [None] * 3


def test_the_newest_verdict_counts_and_undoing_brings_back_the_one_before(store):
    """What was said stays on record either way."""
    add(store, "alert", 1, "malicious")
    second = add(store, "incident", 1, "benign")
    assert verdicts(store)[:3] == ["benign"] * 3
    undone = undo(store, second.id)
    assert (undone.undoes, undone.verdict, undone.alerts) == (second.id, None, 3)
    assert verdicts(store)[:3] == ["malicious", None, None]
    history = store.read(lambda db: alerts.get(db, 1)).labels
    assert [(label.verdict, label.undone) for label in history] == [
        (None, False),
        ("benign", True),
        ("malicious", False),
    ]


def test_a_label_is_undone_once(store):
    """A second undoing, or the undoing of an undoing, is refused."""
    label = add(store, "alert", 1, "unsure")
    undone = undo(store, label.id)
    with pytest.raises(Conflict, match="already"):
        undo(store, label.id)
    with pytest.raises(Conflict, match="new verdict"):
        undo(store, undone.id)


@pytest.mark.parametrize(
    ("target", "target_id", "verdict", "error"),
    [
        ("alert", 99, "benign", NotFound),
        ("incident", 99, "benign", NotFound),
        ("alert", 1, "evil", Invalid),
        ("host", 1, "benign", Invalid),
    ],
)
def test_what_cannot_be_judged_is_refused(store, target, target_id, verdict, error):
    """Nothing is stored then."""
    with pytest.raises(error):
        add(store, target, target_id, verdict)
    assert store.read(lambda db: labels.find(db, limit=10)).items == ()


def test_a_note_has_a_limit(store):
    """Named in the message."""
    with pytest.raises(Invalid, match="2000"):
        add(store, "alert", 1, "benign", note="x" * 2001)


def test_an_incident_shows_what_its_alerts_have_in_common(store):
    """None while one is undecided, mixed when they differ."""

    def shown():
        return store.read(lambda db: db.execute("SELECT verdict FROM incidents WHERE id = 1").fetchone()["verdict"])

    add(store, "alert", 1, "benign")
    assert shown() is None
    add(store, "incident", 1, "benign")
    assert shown() == "benign"
    add(store, "alert", 2, "malicious")
    assert shown() == "mixed"


def test_a_changed_verdict_makes_the_lake_stale(store):
    """Until the lake has written it down."""
    add(store, "alert", 4, "benign")
    stale = store.read(lambda db: [row["id"] for row in db.execute("SELECT id FROM alerts WHERE lake_stale = 1")])
    assert stale == [4]


def test_labels_page_newest_first(store):
    """By cursor, without gaps or repeats."""
    made = [add(store, "alert", number, "benign").id for number in range(1, 6)]
    first = store.read(lambda db: labels.find(db, limit=2))
    second = store.read(lambda db: labels.find(db, limit=2, cursor=first.next))
    third = store.read(lambda db: labels.find(db, limit=2, cursor=second.next))
    found = [label.id for page in (first, second, third) for label in page.items]
    assert found == made[::-1]
    assert third.next is None


def say(store, verdict, by, *, at_ms=9, **more):
    return store.write_now(
        lambda db: labels.add(db, target="alert", target_id=1, verdict=verdict, note="", by=by, at_ms=at_ms, **more)
    )


def disputed(store):
    row = store.read(lambda db: db.execute("SELECT verdict, disputed FROM alerts WHERE id = 1").fetchone())
    return row["verdict"], bool(row["disputed"])


def test_two_people_who_contradict_each_other_make_a_dispute_and_one_person_may_think_again(store):
    """Shown with the newest word, believed by no training, until they agree or one takes it back."""
    say(store, "malicious", "ada")
    assert disputed(store) == ("malicious", False)
    second = say(store, "benign", "bob")
    assert disputed(store) == ("benign", True)
    undo(store, second.id)
    assert disputed(store) == ("malicious", False)
    say(store, "benign", "ada")
    assert disputed(store) == ("benign", False)
    say(store, "unsure", "bob")
    assert disputed(store) == ("unsure", False)


def test_an_operator_settles_what_was_said_before(store):
    """And whoever speaks against the operator afterwards opens the dispute anew."""
    say(store, "malicious", "ada")
    say(store, "benign", "bob")
    assert disputed(store)[1]
    say(store, "malicious", "olga", settles=True)
    assert disputed(store) == ("malicious", False)
    say(store, "benign", "bob")
    assert disputed(store) == ("benign", True)


def test_a_verdict_that_expires_counts_until_then_and_the_one_before_counts_again(store):
    """What trains no longer must not come back by itself either: it stays on record as expired."""
    say(store, "malicious", "ada")
    label = say(store, "benign", "ada", at_ms=10, expires_ms=100)
    assert disputed(store)[0] == "benign"
    assert store.write_now(lambda db: labels.expire(db, now_ms=99)) == 0
    assert store.write_now(lambda db: labels.expire(db, now_ms=100)) == 1
    assert disputed(store)[0] == "malicious"
    assert store.write_now(lambda db: labels.expire(db, now_ms=100)) == 0
    (shown,) = [one for one in store.read(lambda db: labels.find(db, limit=9, now_ms=100)).items if one.id == label.id]
    assert shown.expired


@pytest.mark.parametrize(
    "more",
    [{"expires_ms": 9}, {"expires_ms": 1}, {"family": "scan", "verdict": "benign"}, {"family": "x" * 65}],
)
def test_senseless_verdicts_are_refused(store, more):
    """An expiry in the past, a family of something benign, a name without end."""
    with pytest.raises(Invalid):
        say(store, more.pop("verdict", "malicious"), "ada", **more)


def flow(store, verdict, by="ada", flow_id="sensor-1.c0ffee.1.5x", **more):
    return store.write_now(
        lambda db: labels.add_to_flow(db, judged.Place(flow_id, "sensor-1", 1), labels.Said(verdict, "", by, 9, **more))
    )


def test_a_flow_without_an_alert_gets_verdicts_of_its_own(store):
    """Undone, disputed and named like any other."""
    first = flow(store, "malicious", family="beacon")
    assert (first.target, first.flow_id, first.alerts, first.family) == ("flow", "sensor-1.c0ffee.1.5x", 1, "beacon")
    second = flow(store, "benign", by="bob")
    assert second.target_id == first.target_id
    known = store.read(lambda db: db.execute("SELECT verdict, disputed, lake_stale FROM judged_flows").fetchall())
    assert [tuple(row) for row in known] == [("benign", 1, 1)]
    undo(store, second.id)
    undo(store, first.id)
    (row,) = store.read(lambda db: db.execute("SELECT verdict, disputed FROM judged_flows").fetchall())
    assert tuple(row) == (None, 0)


def test_a_flow_that_raised_an_alert_is_judged_as_that_alert(store):
    """There is one history, wherever the verdict was given."""
    label = flow(store, "malicious", flow_id="sensor-1.c0ffee.1.0")
    assert (label.target, label.target_id) == ("alert", 1)
    assert verdicts(store)[0] == "malicious"


def test_who_says_how_much_is_counted_by_day(store):
    """One account that labels in bulk shows; what was undone is told apart."""
    say(store, "malicious", "ada")
    add(store, "incident", 1, "benign", by="bulk")
    undone = flow(store, "unsure", by="bulk")
    undo(store, undone.id)
    days = store.read(lambda db: labels.per_day(db, now_ms=9, days=2))
    told = {day.by: (day.labels, day.undone, day.benign, day.malicious, day.unsure) for day in days}
    assert told == {"ada": (1, 0, 0, 1, 0), "bulk": (2, 1, 3, 0, 0)}
    assert {day.day for day in days} == {"1970-01-01"}
