"""REST of learning: the review queue, verdicts on quiet flows, frozen sets; and what a training run is then handed."""

from __future__ import annotations

import io
import json

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator import backups
from aggregator.events import Events
from aggregator.intake import ingest, screening
from aggregator.learning import yardsticks
from aggregator.learning.teaching import review_queue
from aggregator.rows import Role, as_json
from aggregator.storage import parquet
from aggregator.triage.grouping import Grouper
from aggregator.web.app import build_app
from protos import contract

BASE = "http://127.0.0.1:8080"


@pytest.fixture
async def hall(tmp_path, parts):
    async with parts.services(tmp_path / "state") as services:
        for role in Role:
            parts.add_user(services, str(role), role)
        services.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=parts.START_MS))
        body = parts.batch(
            40, alerts=range(6), sources=["10.0.0.1", "10.0.0.2"], targets=["10.0.0.8"], model="a" * 64,
            score=5.0,
        )  # fmt: skip
        found = screening.examine(parts.SENDER, parts.record(1, body), services.config)
        services.store.write_now(lambda db: ingest.store_records(db, parts.SENDER, [found], now_ms=parts.START_MS))
        await Grouper(services.store, services.clock, Events()).round()
        services.lake.stage()
        yield services


@pytest.fixture
async def web(hall):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=f"{BASE}/api/v1") as client:
        yield client


@pytest.fixture
async def tokens(hall):
    made = {}
    for role in Role:
        _, text = await hall.access.add_token(user=str(role), name="t", scope="write", days=1, by="init")
        made[str(role)] = {"Authorization": f"Bearer {text}"}
    return made


def set_file(purpose="attacks", *, rows=5, digest=contract.DIGEST, **about):
    columns = {"family": pa.array(["beacon"] * rows, pa.string())}
    columns |= {name: pa.array(np.full(rows, at, dtype=np.float32)) for at, name in enumerate(contract.FEATURES)}
    told = {
        "format": "anomaflow-set-1",
        "purpose": purpose,
        "made_of": [{"name": "a.pcap", "sha256": "f" * 64}],
        **about,
    }
    metadata = {parquet.DIGEST_KEY: digest.encode(), yardsticks.ABOUT_KEY: json.dumps(told).encode()}
    stream = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), stream)
    return stream.getvalue()


async def post_set(web, tokens, data, role="operator", **form):
    return await web.post(
        "/sets", files={"file": ("set.parquet", data)}, data={"purpose": "attacks", "note": "from the drill"} | form,
        headers=tokens[role],
    )  # fmt: skip


async def test_the_queue_asks_about_alerts_and_quiet_flows_and_forgets_what_was_judged(hall, web, tokens):
    """Each with a reason; the console's page shows the same answer."""
    queue = (await web.get("/labels/queue", headers=tokens["viewer"])).json()
    assert queue == as_json(review_queue(hall))
    alerts = [item for item in queue["items"] if item["alert_id"] is not None]
    quiet = [item for item in queue["items"] if item["alert_id"] is None]
    assert 1 <= len(alerts) <= hall.config.review_alerts
    assert 1 <= len(quiet) <= hall.config.review_flows
    assert all(item["reason"] for item in queue["items"])
    assert len({item["incident_id"] for item in alerts}) == len(alerts)
    for item in (alerts[0], quiet[0]):
        body = {"target": "flow", "flow_id": item["flow_id"], "verdict": "malicious", "family": "beacon"}
        answer = await web.post("/labels", json=body, headers=tokens["analyst"])
        assert answer.status_code == 201, answer.text
        assert answer.json()["target"] == ("alert" if item is alerts[0] else "flow")
    left = {item["flow_id"] for item in (await web.get("/labels/queue", headers=tokens["viewer"])).json()["items"]}
    assert not left & {alerts[0]["flow_id"], quiet[0]["flow_id"]}
    days = (await web.get("/labels/daily", headers=tokens["viewer"])).json()["items"]
    assert [(day["by"], day["labels"], day["malicious"]) for day in days] == [("analyst", 2, 2)]


async def test_suppressed_alerts_are_not_asked_about(hall, web, tokens):
    """Somebody said already that they are normal here."""
    hall.store.write_now(
        lambda db: db.execute(
            'INSERT INTO suppressions (reason, "by", at_ms, since_ms, until_ms, share, forced) '
            "VALUES ('backup', 'ada', 1, 1, 9, 0, 0)"
        )
    )
    hall.store.write_now(lambda db: db.execute("UPDATE alerts SET suppression_id = 1"))
    queue = (await web.get("/labels/queue", headers=tokens["viewer"])).json()
    assert all(item["alert_id"] is None for item in queue["items"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"target": "flow", "id": 1}, 422),
        ({"target": "flow", "id": 1, "flow_id": "x"}, 422),
        ({"target": "alert", "flow_id": "x"}, 422),
        ({"target": "alert"}, 422),
        ({"target": "flow", "flow_id": "sensor-1.c0ffee.9.9"}, 404),
        ({"target": "alert", "id": 1, "expires_ms": 5}, 422),
        ({"target": "alert", "id": 1, "verdict": "benign", "family": "x"}, 422),
    ],
)
async def test_a_verdict_names_one_thing_that_exists(web, tokens, body, status):
    """And makes sense."""
    answer = await web.post("/labels", json={"verdict": "malicious", **body}, headers=tokens["analyst"])
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


async def test_viewers_judge_nothing_and_analysts_freeze_nothing(web, tokens, hall):
    """A set decides about every future model."""
    flow_id = review_queue(hall).items[0].flow_id
    body = {"target": "flow", "flow_id": flow_id, "verdict": "benign"}
    assert (await web.post("/labels", json=body, headers=tokens["viewer"])).status_code == 403
    assert (await post_set(web, tokens, set_file(), role="analyst")).status_code == 403
    for path in ("/sets/incidents", "/sets/1/retire"):
        answer = await web.post(path, json={"incident": 1, "note": "x"} if "inc" in path else {"note": "x"},
                                headers=tokens["analyst"])  # fmt: skip
        assert answer.status_code == 403


async def test_a_set_is_added_used_and_retired_and_never_changed(hall, web, tokens):
    """Its rows stay on disk under their digest; the same rows cannot be in use twice."""
    made = await post_set(web, tokens, set_file())
    assert made.status_code == 201, made.text
    one = made.json()
    assert (one["rows"], one["families"], one["usable"], one["by"]) == (5, {"beacon": 5}, True, "operator")
    assert (await post_set(web, tokens, set_file())).status_code == 409
    path = yardsticks.file_of(hall.config.sets_dir, hall.store.read(yardsticks.in_use)[0])
    assert path.read_bytes() == set_file()
    gone = await web.post(f"/sets/{one['id']}/retire", json={"note": "drill is over"}, headers=tokens["operator"])
    assert gone.json()["retired_note"] == "drill is over"
    assert hall.store.read(yardsticks.in_use) == ()
    assert path.exists()
    again = await web.post(f"/sets/{one['id']}/retire", json={"note": "x"}, headers=tokens["operator"])
    assert again.status_code == 409
    assert len((await web.get("/sets", headers=tokens["viewer"])).json()["items"]) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", set_file("golden"), set_file(format="other"), set_file(rows=0), set_file(made_of=[1])],
    ids=["nothing", "no Parquet", "another purpose", "another format", "no rows", "made of nonsense"],
)
async def test_what_is_no_such_set_is_refused(hall, web, tokens, data):
    """And not kept."""
    assert (await post_set(web, tokens, data)).status_code == 422
    assert not hall.config.sets_dir.exists()


async def test_a_set_of_another_contract_is_kept_and_told_apart(web, tokens):
    """An upgrade must not make it vanish: the gate fails on it until it is made again or retired."""
    made = await post_set(web, tokens, set_file(digest="0" * 64))
    assert made.json()["usable"] is False


async def test_a_judged_incident_becomes_a_set_of_its_own(hall, web, tokens, parts):
    """Malicious: attacks by its kind. Without a verdict there is nothing to go by."""
    hall.store.write_now(
        lambda db: db.execute(
            "INSERT INTO models (digest, version, name, kind, state, size, feature_digest, created_ms, admitted_ms, "
            "admitted_by, has_report, manifest) VALUES (?, 1, 'm', 'k', 'champion', 1, ?, 1, 1, 'x', 0, '{}')",
            ("a" * 64, contract.DIGEST),
        )
    )
    incident = hall.store.read(lambda db: db.execute("SELECT incident_id AS id FROM alerts").fetchone())["id"]
    body = {"incident": incident, "note": "the drill of May"}
    assert (await web.post("/sets/incidents", json=body, headers=tokens["operator"])).status_code == 409
    label = {"target": "incident", "id": incident, "verdict": "malicious", "family": "tunnel"}
    await web.post("/labels", json=label, headers=tokens["analyst"])
    made = await web.post("/sets/incidents", json=body, headers=tokens["operator"])
    assert made.status_code == 201, made.text
    one = made.json()
    assert one["purpose"] == "attacks"
    assert list(one["families"]) == ["tunnel"]
    table = pq.read_table(yardsticks.file_of(hall.config.sets_dir, hall.store.read(yardsticks.in_use)[0]))
    sent = contract.unpack_matrix(
        parts.batch(40, alerts=range(6), model="a" * 64).features, 40
    )  # the seed is the same, so are the rows
    assert np.isin(table[contract.FEATURES[0]].to_numpy(), sent[:6, 0]).all()


async def test_a_set_whose_file_is_lost_is_noticed(hall, web, tokens):
    """`anomaflow-aggregator check` says so; a training would fail on it."""
    await post_set(web, tokens, set_file())
    assert not [problem for problem in backups.check(hall.config) if problem.startswith("sets")]
    yardsticks.file_of(hall.config.sets_dir, hall.store.read(yardsticks.in_use)[0]).unlink()
    [problem] = [problem for problem in backups.check(hall.config) if problem.startswith("sets")]
    assert "missing" in problem
