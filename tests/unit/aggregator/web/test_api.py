"""REST: every route asks who, checks what, and answers in the documented shape."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from aggregator.intake import ingest, screening
from aggregator.rows import Role
from aggregator.web.app import build_app
from aggregator.web.guard import safe_next
from protos import contract

BASE = "http://127.0.0.1:8080"
ORIGIN = {"Origin": BASE}


@pytest.fixture
async def hall(tmp_path, parts):
    async with parts.services(tmp_path / "state") as services:
        for role in Role:
            parts.add_user(services, str(role), role)
        yield services


@pytest.fixture
async def web(hall):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=BASE) as client:
        yield client


@pytest.fixture
async def tokens(hall, parts):
    return await parts.headers(hall)


@pytest.fixture
def admin(tokens):
    return tokens["admin", "write"]


@pytest.fixture
async def alerts(hall, parts):
    """Three alerts of one agent, the first two in one incident."""
    from aggregator.events import Events
    from aggregator.triage.grouping import Grouper

    hall.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=parts.START_MS))
    body = parts.batch(6, alerts=(0, 1, 2), targets=["10.0.0.8", "10.0.0.8", "10.0.0.9"], model="a" * 64)
    found = screening.examine(parts.SENDER, parts.record(1, body), hall.config)
    stored = hall.store.write_now(lambda db: ingest.store_records(db, parts.SENDER, [found], now_ms=parts.START_MS))
    await Grouper(hall.store, hall.clock, Events()).round()
    hall.lake.stage()
    return stored.alert_ids


def routes(hall):
    """Every documented method and path, with plausible ids."""
    for path, methods in build_app(hall).openapi()["paths"].items():
        if path.startswith("/api/v1") and "/session" not in path:
            for method in methods:
                yield method, re.sub(r"\{.*?\}", "1", path)


async def test_without_a_login_nothing_is_told(hall, web):
    """Every route under /api/v1 answers 401, to reads and writes alike."""
    for method, path in routes(hall):
        answer = await web.request(method, path, json={})
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set(answer.json()) == {"error", "exit_code"}


DEEDS = {
    "analyst": [
        ("POST", "/labels", {"target": "alert", "id": 1, "verdict": "benign"}),
        ("POST", "/labels/1/undo", {}),
        ("POST", "/suppressions", {"source": "10.0.0.1", "until_ms": 5, "reason": "x"}),
        ("POST", "/suppressions/1/end", {}),
        ("POST", "/suppressions/1/undo", {}),
        ("POST", "/incidents/1/acknowledge", {}),
        ("POST", "/incidents/1/assign", {"to": None}),
        ("POST", "/incidents/1/comment", {"note": ""}),
        ("POST", "/incidents/steps/1/undo", {}),
    ],
    "operator": [
        ("PUT", "/policies/current", {"keep_fraction": 0.1}),
        ("POST", "/models/rollback", {"reason": ""}),
        ("POST", "/suppressions", {"source": "10.0.0.1", "until_ms": 5, "reason": "x", "insist": True}),
        ("POST", f"/models/{'0' * 64}/promote", {"reason": ""}),
        ("POST", f"/models/{'0' * 64}/refuse", {"reason": ""}),
        ("POST", "/jobs/retrain", {"epochs": 0}),
        ("POST", "/jobs/1/cancel", {}),
    ],
    "admin": [
        ("GET", "/users", None),
        ("GET", "/users/audit", None),
        ("POST", "/users", {"name": "x", "role": "viewer", "password": "short"}),
        ("PATCH", "/users/nobody", {"disabled": True}),
    ],
}


@pytest.mark.parametrize("role", list(Role))
async def test_roles_are_enforced(web, tokens, role):
    """Each deed needs its role; with it, the answer is about the deed itself (done, not found, invalid, conflict)."""
    for needed, deeds in DEEDS.items():
        for method, path, body in deeds:
            answer = await web.request(method, f"/api/v1{path}", json=body, headers=tokens[str(role), "write"])
            allowed = role.covers(Role(needed))
            assert (answer.status_code != 403) == allowed, (role, method, path, answer.text)
            if not allowed:
                assert needed in answer.json()["error"]


async def test_a_reading_token_writes_nothing(web, tokens):
    """Not even an administrator's, and not even another token."""
    deeds = [deed for needed in ("analyst", "operator") for deed in DEEDS[needed]]
    deeds += [("POST", "/users", {"name": "x", "role": "viewer", "password": "a long password"})]
    deeds += [
        ("POST", "/users/tokens", {"name": "more", "scope": "write"}),
        ("PATCH", "/users/viewer", {"disabled": True}),
    ]
    for method, path, body in deeds:
        answer = await web.request(method, f"/api/v1{path}", json=body, headers=tokens["admin", "read"])
        assert answer.status_code == 403, (method, path, answer.text)


async def test_an_alert_has_the_documented_fields(web, alerts, tokens):
    """Scripts depend on them."""
    page = (await web.get("/api/v1/alerts?limit=2", headers=tokens["viewer", "read"])).json()
    assert set(page) == {"items", "next"}
    assert set(page["items"][0]) == {
        "id", "agent_id", "flow_id", "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "first_seen_ms",
        "last_seen_ms", "received_ms", "packets", "bytes", "score", "threshold", "model_digest", "reasons", "verdict",
        "incident_id", "suppression_id", "family", "family_share",
    }  # fmt: skip
    assert set(page["items"][0]["reasons"][0]) == {"feature", "observed", "expected", "share", "text"}
    rest = (await web.get(f"/api/v1/alerts?limit=2&cursor={page['next']}", headers=tokens["viewer", "read"])).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == sorted(alerts, reverse=True)
    assert rest["next"] is None


async def test_one_alert_tells_everything(web, alerts, admin):
    """Flow, observed features, the sensor's health at the time, verdict history, incident."""
    alert = (await web.get(f"/api/v1/alerts/{alerts[0]}", headers=admin)).json()
    assert len(alert["features"]) == len(contract.FEATURES)
    assert alert["health"]["packets_dropped"] == 7
    assert (alert["end"], alert["labels"], alert["incident_id"]) == ("tcp", [], 1)
    assert (await web.get("/api/v1/alerts/999", headers=admin)).status_code == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("agent=sensor-1", 3),
        ("agent=other", 0),
        ("incident=1", 2),
        ("verdict=none", 3),
        ("verdict=benign", 0),
        ("host=10.0.0.9", 1),
        ("min_score=5.1", 0),
        (f"model={'a' * 64}", 3),
        ("since_ms=1790000000000", 3),
        ("until_ms=1790000000000", 0),
        ("suppressed=false", 3),
        ("suppressed=true", 0),
    ],
)
async def test_alerts_are_filtered(web, alerts, admin, query, count):
    """Each filter narrows."""
    assert len((await web.get(f"/api/v1/alerts?{query}", headers=admin)).json()["items"]) == count


async def test_a_verdict_round_trip(web, alerts, admin):
    """Given on an incident, seen on its alerts and flows, undone again."""
    body = {"target": "incident", "id": 1, "verdict": "malicious", "note": "saw it"}
    given = await web.post("/api/v1/labels", json=body, headers=admin)
    assert (given.status_code, given.json()["alerts"]) == (201, 2)
    assert (await web.get("/api/v1/incidents/1", headers=admin)).json()["verdict"] == "malicious"
    flows = (await web.get("/api/v1/flows?verdict=malicious", headers=admin)).json()["items"]
    assert len(flows) == 2
    undone = await web.post(f"/api/v1/labels/{given.json()['id']}/undo", json={"note": "wrong host"}, headers=admin)
    assert undone.json()["undoes"] == given.json()["id"]
    incident = (await web.get("/api/v1/incidents/1", headers=admin)).json()
    assert (incident["verdict"], incident["alerts"], len(incident["alert_items"])) == (None, 2, 2)
    assert len((await web.get("/api/v1/labels", headers=admin)).json()["items"]) == 2
    audit = (await web.get("/api/v1/users/audit", headers=admin)).json()["items"]
    assert [entry["action"] for entry in audit[:2]] == ["label.undo", "label.add"]


async def test_a_model_is_uploaded_promoted_and_rolled_back(web, admin, tmp_path, onnx_models):
    """Over REST alone, as the registry's rules have it."""
    digests = []
    for place in range(2):
        path = tmp_path / f"{place}.onnx"
        digests.append(onnx_models.write_model(path, name=f"m{place}", bias=float(place)))
        report = json.dumps({"model_digest": digests[-1], "gate": {"passed": place == 0, "checks": []}})
        files = {"model": ("m.onnx", path.read_bytes()), "report": ("report.json", report)}
        answer = await web.post("/api/v1/models", files=files, headers=admin)
        assert answer.status_code == 201, answer.text
    assert (await web.post(f"/api/v1/models/{digests[0]}/promote", json={}, headers=admin)).status_code == 200
    refused = await web.post(f"/api/v1/models/{digests[1]}/promote", json={}, headers=admin)
    assert (refused.status_code, refused.json()["exit_code"]) == (409, 9)
    forced = {"force": True, "reason": "drill"}
    assert (await web.post(f"/api/v1/models/{digests[1][:12]}/promote", json=forced, headers=admin)).status_code == 200
    back = await web.post("/api/v1/models/rollback", json={"reason": "enough"}, headers=admin)
    assert back.json()["digest"] == digests[0]
    policies = (await web.get("/api/v1/policies", headers=admin)).json()["items"]
    assert [policy["version"] for policy in policies] == [4, 3, 2, 1]
    assert policies[0]["model_digest"] == digests[0]
    assert (await web.get(f"/api/v1/models/{digests[0]}/report", headers=admin)).json()["gate"]["passed"] is True


async def test_a_hostile_upload_is_refused_with_the_reason(web, admin, onnx_models, tmp_path):
    """And leaves nothing behind."""
    onnx_models.write_foreign(tmp_path / "bad.onnx")
    answer = await web.post("/api/v1/models", files={"model": (tmp_path / "bad.onnx").open("rb")}, headers=admin)
    assert (answer.status_code, answer.json()["exit_code"]) == (422, 6)
    assert "another feature contract" in answer.json()["error"]
    assert (await web.get("/api/v1/models", headers=admin)).json()["items"] == []


async def test_a_body_that_is_too_large_is_cut_off(web, admin):
    """By counting what comes, not by believing the header."""

    async def endless():
        for _ in range(40):
            yield b"x" * 100_000

    answer = await web.post("/api/v1/labels", content=endless(), headers={**admin, "Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/alerts?limit=0", None),
        ("GET", "/alerts?limit=5000", None),
        ("GET", "/alerts?cursor=evil", None),
        ("GET", "/alerts?verdict=evil", None),
        ("GET", "/incidents?cursor=1~x", None),
        ("GET", "/incidents?state=asleep", None),
        ("GET", "/incidents?kind=witchcraft", None),
        ("GET", "/suppressions?state=asleep", None),
        ("POST", "/suppressions", {"source": "10.0.0.1", "reason": "no end"}),
        ("POST", "/suppressions", {"source": "10.0.0.1", "until_ms": 5, "reason": "in the past"}),
        ("POST", "/suppressions", {"until_ms": 1790000900000, "reason": "about nobody"}),
        ("POST", "/suppressions/preview", {"source": "somewhere"}),
        ("GET", "/flows?cursor=x", None),
        ("GET", "/flows/counts?minutes=0", None),
        ("POST", "/labels", {"target": "alert", "id": 1, "verdict": "evil"}),
        ("POST", "/labels", {"target": "alert", "id": 1, "verdict": "benign", "extra": 1}),
        ("PUT", "/policies/current", {"threshhold": 1}),
        ("PUT", "/policies/current", {"threshold": 1, "promised_fpr": 0.1}),
        ("POST", "/users", {"name": "Ada Lovelace", "role": "viewer", "password": "a long password"}),
    ],
)
async def test_nonsense_is_answered_with_words(web, admin, method, path, body):
    """422 and a sentence, never a stack trace."""
    answer = await web.request(method, f"/api/v1{path}", json=body, headers=admin)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]


async def test_accounts_and_tokens(web, admin, parts):
    """An administrator makes an account; its owner makes a token and revokes it."""
    body = {"name": "grace", "role": "analyst", "password": parts.PASSWORD}
    assert (await web.post("/api/v1/users", json=body, headers=admin)).status_code == 201
    assert (await web.post("/api/v1/users", json=body, headers=admin)).status_code == 409
    await web.post("/api/v1/session", json={"name": "grace", "password": parts.PASSWORD})
    made = await web.post("/api/v1/users/tokens", json={"name": "script", "days": 7}, headers=ORIGIN)
    assert made.status_code == 201
    mine = {"Authorization": f"Bearer {made.json()['text']}"}
    web.cookies.clear()
    me = (await web.get("/api/v1/users/me", headers=mine)).json()
    assert me == {"name": "grace", "role": "analyst", "scope": "read", "via": "token"}
    token_id = made.json()["token"]["id"]
    assert [row["id"] for row in (await web.get("/api/v1/users/tokens", headers=mine)).json()["items"]] == [token_id]
    await web.post(f"/api/v1/users/tokens/{token_id}/revoke", headers=admin)
    assert (await web.get("/api/v1/users/me", headers=mine)).status_code == 401
    changed = await web.patch("/api/v1/users/grace", json={"disabled": True}, headers=admin)
    assert changed.json()["disabled"] is True
    assert "password" not in json.dumps((await web.get("/api/v1/users", headers=admin)).json())


class TestCookies:
    """What a browser may do with its session."""

    @pytest.fixture
    async def browser(self, web, parts):
        answer = await web.post("/api/v1/session", json={"name": "operator", "password": parts.PASSWORD})
        assert answer.status_code == 200
        return web

    async def test_a_write_needs_to_come_from_our_own_pages(self, browser):
        """Another site can make a browser send its cookie, but not our origin."""
        for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
            answer = await browser.put("/api/v1/policies/current", json={"keep_fraction": 0.2}, headers=headers)
            assert answer.status_code == 403
        answer = await browser.put("/api/v1/policies/current", json={"keep_fraction": 0.2}, headers=ORIGIN)
        assert answer.status_code == 200

    async def test_another_site_cannot_log_a_browser_in(self, web, parts):
        """A login from a foreign page is refused before the password is looked at."""
        body = {"name": "operator", "password": parts.PASSWORD}
        answer = await web.post("/api/v1/session", json=body, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403

    async def test_logging_out_ends_it(self, browser):
        """On the server."""
        kept = browser.cookies["anomaflow_session"]
        assert (await browser.delete("/api/v1/session", headers=ORIGIN)).status_code == 204
        browser.cookies.set("anomaflow_session", kept)
        assert (await browser.get("/api/v1/users/me")).status_code == 401

    @pytest.mark.parametrize(
        "path", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\nb", None]
    )
    def test_a_way_out_of_the_site_is_no_way_to_go(self, path):
        """What is not a path of this site becomes the front page."""
        assert safe_next(path) == "/"


async def test_pages_need_a_login_and_lead_to_it(web):
    """Whatever page; static files and health do not."""
    answer = await web.get("/incidents/5")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/incidents/5")
    assert (await web.get("/healthz")).json() == {"status": "ok"}


async def test_a_foreign_host_name_is_not_served(web, admin):
    """A stranger's page whose name was pointed at this machine reads nothing."""
    answer = await web.get("/api/v1/alerts", headers={**admin, "Host": "evil.example"})
    assert answer.status_code == 421


async def test_every_answer_carries_the_headers_that_browsers_heed(web, admin):
    """REST allows a browser nothing; pages allow what NiceGUI needs, from here only."""
    api = await web.get("/api/v1/alerts", headers=admin)
    assert api.headers["content-security-policy"].startswith("default-src 'none'")
    assert api.headers["cache-control"] == "no-store"
    page = await web.get("/whatever")
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    for answer in (api, page):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


async def test_the_overview_tells_what_the_first_page_shows(web, alerts, tokens):
    """Counts, the policy, and sixty minutes of alerts, quiet ones included."""
    told = (await web.get("/api/v1/overview", headers=tokens["viewer", "read"])).json()
    assert (told["alerts"], told["incidents"], told["alerts_without_verdict"], told["flows_staged"]) == (3, 2, 3, 6)
    assert (told["champion"], told["job"], told["policy"]["version"]) == (None, None, 1)
    assert [len(told["alerts_per_minute"]), told["alerts_per_minute"][-1]["alerts"]] == [60, 3]


async def test_metrics_are_prometheus_text_without_names(web, alerts):
    """Every line has help and type; no address and no agent's name is in it."""
    answer = await web.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "anomaflow_alerts_total 3" in answer.text
    for line in answer.text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) anomaflow_\w+ .+|anomaflow_\w+(\{group=\"default\"\})? [\d.]+", line), line
    assert "sensor-1" not in answer.text
    assert "10.0.0" not in answer.text


async def test_the_documentation_needs_nothing_from_elsewhere(web):
    """One page, every route, no script and no other origin."""
    page = (await web.get("/api/docs")).text
    assert "<script" not in page
    assert "http" not in page.replace("http://", "", 0).partition("<style>")[0]
    for path in ("/api/v1/alerts", "/api/v1/models/{digest}/promote", "/api/v1/jobs/retrain", "max_alerts_per_minute"):
        assert path in page


async def test_an_unknown_path_is_said_in_json(web, admin):
    """Under /api, for scripts."""
    answer = await web.get("/api/v1/nonsense", headers=admin)
    assert (answer.status_code, set(answer.json())) == (404, {"error"})
