"""REST of incidents and of what is normal here: states, evidence, rules, and that both read the same store."""

from __future__ import annotations

import httpx
import pytest

from aggregator import audit
from aggregator.events import Events
from aggregator.intake import ingest, screening
from aggregator.rows import Role
from aggregator.triage.grouping import Grouper
from aggregator.triage.normality import DAY_MS
from aggregator.web.app import build_app

BASE = "http://127.0.0.1:8080/api/v1"


@pytest.fixture
async def hall(tmp_path, parts):
    """A port scan of 30 ports, and a stranger."""
    async with parts.services(tmp_path / "state") as services:
        parts.add_user(services, "ada", Role.ANALYST)
        parts.add_user(services, "omar", Role.OPERATOR)
        services.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=parts.START_MS))
        scan = parts.batch(30, alerts=range(30), ports=range(1, 31))
        stranger = parts.batch(1, alerts=(0,), sources=["192.0.2.1"], ports=[8443], at_ms=parts.START_MS + 5000)
        for sequence, body in enumerate((scan, stranger), 1):
            found = screening.examine(parts.SENDER, parts.record(sequence, body), services.config)
            services.store.write_now(
                lambda db, found=found: ingest.store_records(db, parts.SENDER, [found], now_ms=parts.START_MS)
            )
        await Grouper(services.store, services.clock, Events()).round()
        yield services


@pytest.fixture
async def web(hall):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=BASE) as client:
        yield client


@pytest.fixture
async def ada(hall):
    _, text = await hall.access.add_token(user="ada", name="t", scope="write", days=1, by="init")
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
async def omar(hall):
    _, text = await hall.access.add_token(user="omar", name="t", scope="write", days=1, by="init")
    return {"Authorization": f"Bearer {text}"}


async def kinds(web, asker, query=""):
    return [found["kind"] for found in (await web.get(f"/incidents{query}", headers=asker)).json()["items"]]


async def test_incidents_are_narrowed(web, ada, hall):
    """By state, kind, verdict and host."""
    assert await kinds(web, ada) == ["single flow", "port scan"]
    assert await kinds(web, ada, "?kind=port scan") == ["port scan"]
    assert await kinds(web, ada, "?host=192.0.2.1") == ["single flow"]
    assert await kinds(web, ada, "?state=open") == ["single flow", "port scan"]
    assert await kinds(web, ada, "?verdict=malicious") == []
    hall.clock.forward(hours=2)
    assert await kinds(web, ada, "?state=open") == []
    assert await kinds(web, ada, "?state=closed&limit=1") == ["single flow"]


async def test_an_incident_has_evidence_and_a_timeline(web, ada):
    """Sentences with numbers, and when its alerts began."""
    listed = (await web.get("/incidents?kind=port scan", headers=ada)).json()["items"][0]
    one = (await web.get(f"/incidents/{listed['id']}", headers=ada)).json()
    assert {name: one[name] for name in listed} == listed
    assert (one["state"], one["conversations"], one["suppressed"], one["reopened"]) == ("open", 30, 0, 0)
    assert any("30 different ports" in sentence for sentence in one["evidence"])
    assert sum(part["alerts"] for part in one["timeline"]) == one["alerts"] == 30


async def test_what_alerts_look_like_supports_an_incident(web, ada, hall, parts):
    """Named on the alert, found by it, counted in the incident's evidence; the kind is the flows' own."""
    body = parts.batch(12, alerts=range(12), sources=["10.0.7.7"], targets=["10.0.7.9"], ports=range(1, 13))
    for alert in body.alerts[:11]:
        alert.family, alert.family_share = "portscan\n", 0.93
    body.alerts[11].family_share = 0.4
    found = screening.examine(parts.SENDER, parts.record(3, body), hall.config)
    hall.store.write_now(lambda db: ingest.store_records(db, parts.SENDER, [found], now_ms=parts.START_MS))
    await Grouper(hall.store, hall.clock, Events()).round()
    alerts = (await web.get("/alerts?family=portscan", headers=ada)).json()["items"]
    assert [(alert["family"], round(alert["family_share"], 4)) for alert in alerts] == [("portscan", 0.93)] * 11
    others = (await web.get("/alerts?host=10.0.7.7&limit=1", headers=ada)).json()["items"]
    assert [(alert["family"], alert["family_share"]) for alert in others] == [(None, None)]
    (incident,) = (await web.get("/incidents?host=10.0.7.7", headers=ada)).json()["items"]
    assert incident["kind"] == "port scan"
    assert incident["evidence"][-1] == "11 alerts of 12 look like portscan to the model (0.93 on average)."


async def test_somebody_looks_after_an_incident(web, ada, omar, hall):
    """Acknowledged, assigned, commented on, narrowed by it, taken back; every step in the history and the audit log."""
    (scan,) = (await web.get("/incidents?kind=port scan", headers=ada)).json()["items"]
    assert (scan["acknowledged_by"], scan["assignee"], scan["comments"]) == (None, None, 0)
    at = f"/incidents/{scan['id']}"
    seen = await web.post(f"{at}/acknowledge", json={"note": "looking"}, headers=ada)
    assert (seen.status_code, seen.json()["by"], seen.json()["kind"]) == (201, "ada", "port scan")
    again = await web.post(f"{at}/acknowledge", headers=omar)
    assert (again.status_code, "ada has acknowledged" in again.json()["error"]) == (409, True)
    assert (await web.post(f"{at}/assign", headers=ada)).json()["assignee"] == "ada"
    assert (await web.post(f"{at}/assign", json={"to": "omar", "note": "yours"}, headers=ada)).status_code == 201
    assert (await web.post(f"{at}/comment", json={"note": "a test of ours?"}, headers=omar)).status_code == 201
    assert (await web.post(f"{at}/comment", json={"note": " "}, headers=omar)).status_code == 422
    for query, narrowed in (
        ("assignee=me", ["port scan"]),
        ("assignee=ada", []),
        ("assignee=none", ["single flow"]),
        ("acknowledged=true", ["port scan"]),
        ("acknowledged=false", ["single flow"]),
    ):
        assert await kinds(web, omar, f"?{query}") == narrowed, query
    one = (await web.get(at, headers=ada)).json()
    assert [step["deed"] for step in one["steps"]] == ["comment", "assign", "assign", "acknowledge"]
    assert (one["acknowledged_by"], one["assignee"], one["comments"]) == ("ada", "omar", 1)
    undone = await web.post(f"/incidents/steps/{one['steps'][1]['id']}/undo", json={"note": "not yours"}, headers=ada)
    assert undone.status_code == 201
    assert (await web.get(at, headers=ada)).json()["assignee"] == "ada"
    assert (await web.post(f"/incidents/steps/{one['steps'][1]['id']}/undo", headers=ada)).status_code == 409
    assert (await web.post(f"{at}/assign", json={"to": None}, headers=ada)).json()["assignee"] is None
    done = hall.store.read(lambda db: [row["action"] for row in db.execute("SELECT action FROM audit ORDER BY id")])
    assert done[-6:] == [
        f"incident.{deed}" for deed in ("acknowledge", "assign", "assign", "comment", "undo", "assign")
    ]
    assert hall.store.read(audit.broken_link) is None


async def test_who_may_look_after_incidents(web, ada, hall, parts):
    """Analysts and up: they may be assigned, and act; viewers only read."""
    parts.add_user(hall, "vic", Role.VIEWER)
    _, text = await hall.access.add_token(user="vic", name="t", scope="write", days=1, by="init")
    vic = {"Authorization": f"Bearer {text}"}
    assert (await web.get("/incidents/assignees", headers=vic)).json() == {"items": ["ada", "omar"]}
    for deed in ("acknowledge", "assign", "comment"):
        assert (await web.post(f"/incidents/1/{deed}", json={"note": "x"}, headers=vic)).status_code == 403
    assert (await web.post("/incidents/steps/1/undo", headers=vic)).status_code == 403
    for name in ("vic", "nobody-known"):
        refused = await web.post("/incidents/1/assign", json={"to": name}, headers=ada)
        assert (refused.status_code, "use ada, omar" in refused.json()["error"]) == (422, True)
    assert (await web.post("/incidents/99/acknowledge", headers=ada)).status_code == 404
    assert (await web.post("/incidents/steps/99/undo", headers=ada)).status_code == 404


async def test_a_rule_from_preview_to_undoing(web, ada, hall):
    """What the preview promised is what is hidden; ended, new alerts show; undone, all is back."""
    scope = {"source": "192.0.2.1", "port": 8443}
    seen = (await web.post("/suppressions/preview", json=scope, headers=ada)).json()
    assert (seen["hidden"], seen["incidents"], seen["kinds"], seen["refusals"]) == (1, 1, {"single flow": 1}, [])
    now = hall.clock.now_ms()
    rule = {**scope, "until_ms": now + 30 * DAY_MS, "since_ms": now - DAY_MS, "reason": "our monitoring"}
    made = await web.post("/suppressions", json=rule, headers=ada)
    assert (made.status_code, made.json()["alerts"], made.json()["state"]) == (201, 1, "in force")
    assert await kinds(web, ada) == ["port scan"]
    assert await kinds(web, ada, "?state=suppressed") == ["single flow"]
    hidden = (await web.get("/alerts?suppressed=true", headers=ada)).json()["items"]
    assert [(alert["src_ip"], alert["suppression_id"], alert["verdict"]) for alert in hidden] == [
        ("192.0.2.1", made.json()["id"], None)
    ]
    told = (await web.get("/overview", headers=ada)).json()
    assert (told["alerts"], told["alerts_without_verdict"], told["incidents"]) == (31, 30, 1)
    number = made.json()["id"]
    assert (await web.post(f"/suppressions/{number}/end", json={}, headers=ada)).json()["state"] == "ended"
    assert (await web.post(f"/suppressions/{number}/end", headers=ada)).status_code == 409
    undone = (await web.post(f"/suppressions/{number}/undo", json={"reason": "a mistake"}, headers=ada)).json()
    assert (undone["state"], undone["alerts"], undone["ended_by"]) == ("undone", 0, "ada")
    assert await kinds(web, ada) == ["single flow", "port scan"]
    listed = (await web.get("/suppressions", headers=ada)).json()
    assert listed == {"items": [(await web.get(f"/suppressions/{number}", headers=ada)).json()], "next": None}
    assert (await web.get("/suppressions/99", headers=ada)).status_code == 404


async def test_a_rule_too_broad_is_refused_to_analysts(web, ada, omar, hall):
    """An operator may insist, and the rule says so."""
    rule = {"source": "10.0.0.0/8", "until_ms": hall.clock.now_ms() + DAY_MS, "reason": "all of it"}
    refused = await web.post("/suppressions", json=rule, headers=ada)
    assert (refused.status_code, "too broad" in refused.json()["error"]) == (409, True)
    assert (await web.post("/suppressions", json={**rule, "insist": True}, headers=ada)).status_code == 403
    made = await web.post("/suppressions", json={**rule, "insist": True}, headers=omar)
    assert (made.status_code, made.json()["forced"]) == (201, True)
