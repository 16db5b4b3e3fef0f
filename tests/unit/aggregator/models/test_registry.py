"""Models enter after proof and reign by decision."""

from __future__ import annotations

import json

import pytest

from aggregator import audit
from aggregator.calibration import policies
from aggregator.errors import Conflict, GateFailed, Invalid, ModelRefused, NotFound, StateError
from aggregator.models import registry
from aggregator.models.registry import MOVES, move
from aggregator.rows import ModelState

TIGHT = {"modelcheck_seconds": 1, "modelcheck_memory_mib": 512}


@pytest.fixture
async def hall(tmp_path, parts):
    async with parts.services(tmp_path / "state", **TIGHT) as services:
        yield services


@pytest.fixture
def admit(hall, tmp_path, onnx_models):
    async def admit(name, *, bias=0.0, gate=None, **how):
        path = tmp_path / f"{name}.onnx"
        digest = onnx_models.write_model(path, name=name, bias=bias, **how)
        report = None
        if gate is not None:
            report = tmp_path / f"{name}.report.json"
            report.write_text(json.dumps({"model_digest": digest, "gate": {"passed": gate, "checks": []}}))
        return await hall.registry.admit(path, report=report, by="ada")

    return admit


async def test_a_sound_model_is_admitted_with_its_manifest(hall, admit):
    """Kept under its digest, with the manifest but without its self-test rows."""
    model = await admit("first")
    assert (model.state, model.version, model.gate_passed) == (ModelState.ADMITTED, 1, None)
    assert hall.registry.path(model.digest).read_bytes()
    assert model.manifest["thresholds"][0]["alpha"] == 0.1
    assert "self_test_features" not in model.manifest
    assert hall.registry.get(model.digest[:8]).digest == model.digest
    assert not list(hall.config.models_dir.glob(".incoming*"))


async def test_a_passed_gate_makes_a_candidate_and_the_report_is_kept(hall, admit):
    """The report comes back as the trainer wrote it."""
    model = await admit("first", gate=True)
    assert model.state is ModelState.CANDIDATE
    assert hall.registry.report(model.digest)["gate"]["passed"] is True
    with pytest.raises(NotFound, match="without a report"):
        hall.registry.report((await admit("second", bias=1.0)).digest)


async def test_the_same_file_twice_is_one_model(admit):
    """Uploading again changes nothing."""
    assert (await admit("first")).version == (await admit("first")).version == 1


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        ("write_foreign", "another feature contract"),
        ("write_without_manifest", "not a model made by"),
        ("write_failing_self_test", "self-test fails"),
        ("write_corrupt", "cannot load"),
        ("write_not_a_model", "cannot load"),
        ("write_memory_bomb", "refused"),
        ("write_endless", "did not end within its limits"),
    ],
)
async def test_what_is_no_sound_model_is_refused_with_the_reason(hall, tmp_path, onnx_models, variant, text):
    """Foreign, forged, cut, hungry and endless ones: none enters, and nothing of them stays."""
    getattr(onnx_models, variant)(tmp_path / "bad.onnx")
    with pytest.raises(ModelRefused, match=text):
        await hall.registry.admit(tmp_path / "bad.onnx", report=None, by="ada")
    assert hall.registry.models().items == ()
    assert list(hall.config.models_dir.iterdir()) == []


async def test_size_digest_and_report_must_fit(tmp_path, parts, onnx_models):
    """A file beyond the cap, another one than announced, and a report about something else."""
    async with parts.services(tmp_path / "state", max_model_mib=1) as services:
        (tmp_path / "huge.onnx").write_bytes(b"x" * (1 << 20 | 1))
        with pytest.raises(ModelRefused, match="max_model_mib = 1"):
            await services.registry.admit(tmp_path / "huge.onnx", report=None, by="ada")
        onnx_models.write_model(tmp_path / "good.onnx")
        with pytest.raises(ModelRefused, match="announced"):
            await services.registry.admit(tmp_path / "good.onnx", report=None, by="ada", announced="0" * 64)
        (tmp_path / "report.json").write_text(json.dumps({"model_digest": "0" * 64}))
        with pytest.raises(ModelRefused, match="is about model"):
            await services.registry.admit(tmp_path / "good.onnx", report=tmp_path / "report.json", by="ada")
        with pytest.raises(ModelRefused, match="no model file"):
            await services.registry.admit(tmp_path / "absent.onnx", report=None, by="ada")


async def test_a_promotion_crowns_retires_and_sets_the_policy(hall, admit):
    """One champion; the threshold follows from its own calibration; both deeds are in the audit log."""
    first, second = await admit("first"), await admit("second", bias=1.0)
    await hall.registry.promote(first.digest, by="ada", reason="", force=False)
    champion = await hall.registry.promote(second.digest, by="ada", reason="better", force=False)
    assert champion.state is ModelState.CHAMPION
    assert hall.registry.get(first.digest).state is ModelState.RETIRED
    policy = hall.store.read(policies.current)
    assert (policy.version, policy.model_digest, policy.promised_fpr) == (3, second.digest, 0.001)
    assert policy.threshold == 3.0
    log = hall.store.read(lambda db: audit.find(db, limit=10)).items
    assert [entry.action for entry in log][:2] == ["policy.set", "model.promote"]
    assert log[1].detail["reason"] == "better"


async def test_a_failed_gate_needs_force_and_a_reason(hall, admit):
    """Nobody promotes against the evidence by accident."""
    model = await admit("worse", gate=False)
    with pytest.raises(GateFailed, match="force"):
        await hall.registry.promote(model.digest, by="ada", reason="", force=False)
    with pytest.raises(Invalid, match="reason"):
        await hall.registry.promote(model.digest, by="ada", reason=" ", force=True)
    champion = await hall.registry.promote(model.digest, by="ada", reason="drill", force=True)
    assert champion.state is ModelState.CHAMPION


async def test_rollback_is_a_step_down_a_stack(hall, admit):
    """One call back to the champion before, and again to the one before that."""
    models = [await admit(name, bias=float(place)) for place, name in enumerate(("a", "b", "c"))]
    with pytest.raises(Conflict, match="no earlier"):
        await hall.registry.rollback(by="ada", reason="")
    for model in models:
        await hall.registry.promote(model.digest, by="ada", reason="", force=False)
    assert (await hall.registry.rollback(by="ada", reason="too loud")).digest == models[1].digest
    assert (await hall.registry.rollback(by="ada", reason="")).digest == models[0].digest
    with pytest.raises(Conflict, match="no earlier"):
        await hall.registry.rollback(by="ada", reason="")
    policy = hall.store.read(policies.current)
    assert (policy.version, policy.model_digest) == (6, models[0].digest)
    await hall.registry.promote(models[2].digest, by="ada", reason="", force=False)
    assert (await hall.registry.rollback(by="ada", reason="")).digest == models[0].digest


async def test_a_refused_model_is_never_promoted_nor_taken_again(hall, admit):
    """The operator's no is final."""
    model = await admit("first")
    await hall.registry.refuse(model.digest, by="ada", reason="made elsewhere")
    with pytest.raises(Conflict, match="refused"):
        await hall.registry.promote(model.digest, by="ada", reason="", force=False)
    with pytest.raises(ModelRefused, match="before"):
        await admit("first")


async def test_a_damaged_file_is_never_promoted_and_is_mended_by_uploading_again(hall, admit):
    """Digest and bytes must agree at the moment of the promotion."""
    model = await admit("first")
    hall.registry.path(model.digest).write_bytes(b"bit rot")
    assert hall.registry.damaged() == {model.digest: "its file does not have this digest"}
    with pytest.raises(StateError, match="damaged"):
        await hall.registry.promote(model.digest, by="ada", reason="", force=False)
    await admit("first")
    assert hall.registry.damaged() == {}
    assert (await hall.registry.promote(model.digest, by="ada", reason="", force=False)).version == 1


def test_the_table_of_moves_is_the_state_machine():
    """What is not in the table is a conflict that names what is possible."""
    assert {state for state, _ in MOVES} | set(MOVES.values()) == set(ModelState)
    assert all(before is not ModelState.REFUSED for before, _ in MOVES)
    with pytest.raises(Conflict, match="supersede"):
        move(ModelState.CHAMPION, "promote")


def test_a_beginning_that_fits_several_models_is_ambiguous(tmp_path, parts):
    """Or too short, or none."""
    from aggregator.storage.store import Store

    store = Store(tmp_path / "x.db").open()
    for version, digest in enumerate(("ab" * 32, "ab" * 31 + "cd"), start=1):
        store.write_now(
            lambda db, digest=digest, version=version: db.execute(
                "INSERT INTO models VALUES (?, ?, 'n', 'k', 'admitted', 1, 'f', 1, 1, 'x', NULL, 0, '{}')",
                (digest, version),
            )
        )
    with pytest.raises(Invalid, match="several"):
        store.read(lambda db: registry.find(db, "abababab"))
    for digest in ("abab", "ffffffff", "not hex!"):
        with pytest.raises(NotFound):
            store.read(lambda db, digest=digest: registry.find(db, digest))
    store.close()
