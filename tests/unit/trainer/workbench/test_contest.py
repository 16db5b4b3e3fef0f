"""A run: it ends whatever its candidates do, keeps what is done, and its choice never sees a test row."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tables_of_rows import columns, write

from trainer.progress import Progress
from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.catalogue import catalogue
from trainer.workbench.candidates.classifiers import Learner, tree
from trainer.workbench.candidates.graph import session
from trainer.workbench.contest.course import Asked, Clock
from trainer.workbench.contest.events import Events
from trainer.workbench.contest.run import Contest
from trainer.workbench.files.whole import inputs
from trainer.workbench.rows.dealing import deal
from trainer.workbench.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workbench.candidates.base import Classifier

CATALOGUE = catalogue()
FEW = {name: CATALOGUE[name] for name in ("most-frequent", "stump", "lightgbm", "decision-tree")}
DETECTORS = {name: CATALOGUE[name] for name in ("std-count", "mahalanobis", "knn-distance")}


class Time:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def contest(
    where: Path,
    settings: Settings,
    *,
    candidates: dict[str, Described] = FEW,
    time: Time | None = None,
    table: dict[str, Any] | None = None,
    test: dict[str, Any] | None = None,
    out: io.StringIO | None = None,
) -> Contest:
    where.mkdir(parents=True, exist_ok=True)
    progress = Progress("json" if out is not None else "none", out=out or io.StringIO(), terminal=io.StringIO())
    tables = (
        write(where / "table.parquet", table or columns(500)),
        None if test is None else write(where / "test.parquet", test),
    )
    events = Events(where / "events.jsonl", progress, lambda: 1)
    return Contest(Asked(where, settings, tables, "d", candidates, events, Clock(time or Time(), 0.0)))


def failing(described: Described, error: BaseException) -> Described:
    def make(_given: dict[str, Any], _seed: int) -> Classifier:
        raise error

    return replace(described, make=make)


def events(where: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (where / "events.jsonl").read_text().splitlines()]


def test_a_run_leaves_everything_that_is_promised(tmp_path: Path) -> None:
    """A result, a file and a description for every candidate, events that end, and JSON without NaN."""
    out = io.StringIO()
    told = contest(tmp_path, Settings(label="kind", search=False), out=out).run()
    text = (tmp_path / "result.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == told
    assert told["state"] == "done"
    assert told["task"] == "binary"
    assert told["metric"] == "average_precision"
    assert told["best"] in {"lightgbm", "decision-tree", "blend"}
    assert "The test rows had no say" in told["why_best"]
    assert told["split"]["warning"]
    assert told["baselines"] == ["most-frequent", "stump"]
    for entry in told["leaderboard"]:
        where = tmp_path / "models" / entry["name"]
        assert entry["state"] == "done"
        assert entry["bytes"] == (where / "model.onnx").stat().st_size
        result, model = (json.loads((where / name).read_text()) for name in ("result.json", "model.json"))
        assert {row["class"] for row in result["by_class"]} == {"normal", "scan"}
        assert sum(map(sum, result["confusion"]["matrix"])) == told["split"]["test"]
        assert [column["input"] for column in model["columns"]] == ["c0", "c1", "c2", "c3"]
        assert model["columns"][2]["kind"] == "word"
        assert entry["test"]["accuracy"] is not None
        assert entry["train"]["f1"] is not None
    found = events(tmp_path)
    fractions = [one["fraction"] for one in found if one["event"] == "stage"]
    assert fractions == sorted(fractions)
    assert found[-1]["event"] == "end"
    assert found == [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_file_answers_for_raw_columns_as_was_judged(tmp_path: Path) -> None:
    """model.onnx takes the table's own columns, and the test accuracy can be counted again with it."""
    settings = Settings(label="kind", search=False)
    told = contest(tmp_path, settings).run()
    dealt = deal(settings, tmp_path / "table.parquet", None)
    for entry in told["leaderboard"]:
        run = session(str(tmp_path / "models" / entry["name"] / "model.onnx"))
        chances = run.run(["chances"], inputs(dealt.encoder, dealt.raw, slice(None)))[0]
        right = float((chances.argmax(axis=1) == dealt.test.truth).mean())
        assert right == pytest.approx(entry["test"]["accuracy"], abs=1e-6)


def test_one_failing_candidate_does_not_end_the_run(tmp_path: Path) -> None:
    """It is in the leaderboard with its error, and the others are done."""
    broken = {**FEW, "lightgbm": failing(FEW["lightgbm"], ValueError("no memory of that size"))}
    told = contest(tmp_path, Settings(label="kind", search=False), candidates=broken).run()
    states = {entry["name"]: entry["state"] for entry in told["leaderboard"]}
    assert states["lightgbm"] == "failed"
    assert states["decision-tree"] == "done"
    assert told["state"] == "done"
    assert told["best"] == "decision-tree"
    why = next(entry["why"] for entry in told["leaderboard"] if entry["name"] == "lightgbm")
    assert "no memory of that size" in why
    assert "no memory of that size" in (tmp_path / "log.txt").read_text()


def test_a_cut_off_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    """What was done before SIGTERM stays and is not fitted again; the rest follows."""
    settings = Settings(label="kind", search=False)
    cut = {**FEW, "decision-tree": failing(FEW["decision-tree"], KeyboardInterrupt())}
    with pytest.raises(KeyboardInterrupt):
        contest(tmp_path, settings, candidates=cut).run()
    assert json.loads((tmp_path / "result.json").read_text())["state"] == "stopped"
    assert events(tmp_path)[-1] == {**events(tmp_path)[-1], "event": "end", "state": "cancelled"}
    before = (tmp_path / "models/lightgbm/model.onnx").stat().st_mtime_ns
    again = {name: failing(one, AssertionError("fitted again")) for name, one in FEW.items()}
    again["decision-tree"] = FEW["decision-tree"]
    told = contest(tmp_path, settings, candidates=again).run()
    assert {entry["state"] for entry in told["leaderboard"]} == {"done"}
    assert (tmp_path / "models/lightgbm/model.onnx").stat().st_mtime_ns == before
    assert any("went on" in note for note in told["notes"])


def test_a_stop_file_ends_the_run_with_what_there_is(tmp_path: Path) -> None:
    """Candidates not begun are skipped, and the best of those done is chosen."""

    def stops(given: dict[str, Any], seed: int) -> Classifier:
        (tmp_path / "stop").touch()
        return FEW["lightgbm"].make(given, seed)

    told = contest(
        tmp_path, Settings(label="kind"), candidates={**FEW, "lightgbm": replace(FEW["lightgbm"], make=stops)}
    ).run()
    states = {entry["name"]: entry["state"] for entry in told["leaderboard"]}
    assert states["decision-tree"] == "skipped"
    assert told["state"] == "stopped"
    assert told["best"] == "lightgbm"


def test_no_fit_begins_when_the_budget_is_used_up(tmp_path: Path) -> None:
    """What came before counts; the rest is skipped and says what to do."""
    time = Time()

    def slow(given: dict[str, Any], seed: int) -> Classifier:
        time.now += 98.0
        return FEW["lightgbm"].make({"rounds": 5, **given}, seed)

    told = contest(
        tmp_path,
        Settings(label="kind", time_budget_s=100.0),
        candidates={**FEW, "lightgbm": replace(FEW["lightgbm"], make=slow)},
        time=time,
    ).run()
    entries = {entry["name"]: entry for entry in told["leaderboard"]}
    assert entries["decision-tree"]["state"] == "skipped"
    assert "raise it" in entries["decision-tree"]["why"]
    assert told["state"] == "done"
    assert time.now < 110.0


def test_a_search_keeps_better_settings_and_never_worse_ones(tmp_path: Path) -> None:
    """Tries are counted; the log loss of what is kept is at most that of the defaults."""
    time = Time()

    def ticks(given: dict[str, Any], seed: int) -> Classifier:
        time.now += 4.0
        return FEW["decision-tree"].make(given, seed)

    one = {"decision-tree": replace(FEW["decision-tree"], make=ticks)}
    settings = Settings(label="kind", time_budget_s=120.0)
    plain = contest(tmp_path / "a", replace(settings, search=False), candidates=one).run()["leaderboard"][0]
    time.now = 0.0
    found = contest(tmp_path / "b", settings, candidates=one, time=time).run()["leaderboard"][0]
    assert found["searched"] > 3
    assert found["loss"] <= plain["loss"]
    assert time.now <= 132.0


def test_a_blend_surer_than_its_members_is_kept_and_fitted_again(tmp_path: Path) -> None:
    """Of six trees of other random cuts: together they are surer; the last fit is theirs, and the file answers for it."""

    def cut_at_random(number: int) -> Described:
        def make(_given: dict[str, Any], seed: int) -> Classifier:
            return Learner(tree, {"splitter": "random", "max_features": 1, "min_samples_leaf": 5}, seed + number)

        return replace(FEW["decision-tree"], name=f"tree-{number}", title=f"Tree {number}", make=make)

    trees = {one.name: one for one in map(cut_at_random, range(6))}
    settings = Settings(label="kind", search=False)
    told = contest(tmp_path, settings, candidates=trees, table=columns(3000)).run()
    entries = {entry["name"]: entry for entry in told["leaderboard"]}
    assert told["best"] == "blend"
    assert len(entries["blend"]["params"]["members"]) >= 2
    assert entries["blend"]["loss"] < 0.95 * min(entries[name]["loss"] for name in trees)
    assert [name for name, entry in entries.items() if entry["fitted_again"]] == ["blend"]
    assert any(note.startswith("Blend of the best was fitted once more") for note in told["notes"])
    dealt = deal(settings, tmp_path / "table.parquet", None)
    run = session(str(tmp_path / "models/blend/model.onnx"))
    chances = run.run(["chances"], inputs(dealt.encoder, dealt.raw, slice(None)))[0]
    right = float((chances.argmax(axis=1) == dealt.test.truth).mean())
    assert right == pytest.approx(entries["blend"]["test"]["accuracy"], abs=1e-6)


def test_test_rows_have_no_say(tmp_path: Path) -> None:
    """With every test label turned round, the same candidate is chosen for the same reason."""
    held = columns(300, seed=9)
    turned = {**held, "kind": ["scan" if kind == "normal" else "normal" for kind in held["kind"]]}
    settings = Settings(label="kind", search=False)
    one = contest(tmp_path / "a", settings, test=held).run()
    two = contest(tmp_path / "b", settings, test=turned).run()
    assert (one["best"], one["why_best"]) == (two["best"], two["why_best"])
    assert one["leaderboard"][0]["test"]["accuracy"] > 0.7 > two["leaderboard"][0]["test"]["accuracy"]


def test_the_same_run_gives_the_same_figures(tmp_path: Path) -> None:
    """Same data, settings and seed; only times differ."""
    both = [contest(tmp_path / name, Settings(label="kind", search=False)).run() for name in "ab"]
    figures = [[(one["name"], one["select"], one["test"]) for one in told["leaderboard"]] for told in both]
    assert figures[0] == figures[1]
    assert both[0]["settings_digest"] == both[1]["settings_digest"]


def test_detectors_are_chosen_by_known_strange_rows_and_have_a_threshold(tmp_path: Path) -> None:
    """Benign-only: average precision decides, and promised stands beside realised false alerts."""
    told = contest(
        tmp_path, Settings(label="kind", task="benign-only", search=False), candidates=DETECTORS, table=columns(1500)
    ).run()
    assert told["metric"] == "average_precision"
    assert told["promised_fpr"] == 0.01
    assert 0.0 <= told["realised_fpr"] <= 0.1
    best = next(entry for entry in told["leaderboard"] if entry["name"] == told["best"])
    assert best["select"]["average_precision"] == max(
        entry["select"]["average_precision"] for entry in told["leaderboard"]
    )
    assert best["threshold"] is not None
    description = json.loads((tmp_path / "models" / told["best"] / "model.json").read_text())
    assert description["judges"] == "strangeness"
    assert description["threshold"] == pytest.approx(best["threshold"], rel=1e-6)


def test_without_labels_nothing_is_pretended(tmp_path: Path) -> None:
    """Unsupervised: no figures, a choice that says why, and a threshold all the same."""
    held = columns(800)
    del held["kind"]
    told = contest(tmp_path, Settings(search=False), candidates=DETECTORS, table=held).run()
    assert told["task"] == "unsupervised"
    assert told["prevalence"] is None
    assert all(entry["test"]["roc_auc"] is None for entry in told["leaderboard"])
    assert "nothing could be compared" in told["why_best"]
    assert told["promised_fpr"] == 0.01


def test_several_classes_have_their_own_figures(tmp_path: Path) -> None:
    """Per class precision and recall; weighted means with the plain mean of F1 beside."""
    told = contest(tmp_path, Settings(label="kind", search=False), table=columns(900, kinds=3)).run()
    assert told["task"] == "multiclass"
    best = told["leaderboard"][0]
    assert best["test"]["macro_f1"] != best["test"]["f1"]
    result = json.loads((tmp_path / "models" / best["name"] / "result.json").read_text())
    rows = np.array([one["rows"] for one in result["by_class"]])
    f1 = np.array([one["f1"] for one in result["by_class"]])
    assert float(np.average(f1, weights=rows)) == pytest.approx(best["test"]["f1"], abs=1e-6)


def test_a_column_that_decides_is_the_most_important(tmp_path: Path) -> None:
    """Permutation importance on train and on test; noise has nearly none."""
    contest(tmp_path, Settings(label="kind", search=False)).run()
    told = json.loads((tmp_path / "models/lightgbm/result.json").read_text())["importance"]
    assert {one["feature"] for one in told} == {"packets", "rate", "service", "noise"}
    found = {one["feature"]: one for one in told}
    assert told[0]["feature"] == "service"
    assert found["service"]["test"] > 10 * abs(found["noise"]["test"]) + 0.05
    assert found["service"]["train"] > 0.05
