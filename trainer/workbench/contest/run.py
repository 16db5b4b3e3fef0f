"""A run from its folder: rows dealt, candidates fitted one after the other, judged, improved while there is time.

- What is done stays: each candidate's entry and file are on disk when it is judged, and a run that was cut off goes on
  with what is missing. A file named `stop` in the folder ends it with what there is.
- A candidate that fails says why in the leaderboard, and the others go on.
- The time budget holds for everything, from reading to the last file. A fit that cannot be broken off is tried on a few
  rows first; if all rows would take too long it gets as many as there is time for, and says so.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos.version import VERSION
from trainer.errors import TrainerError
from trainer.workbench.candidates.base import Told
from trainer.workbench.candidates.baselines import BASELINES
from trainer.workbench.candidates.blend import NAME as BLEND
from trainer.workbench.candidates.blend import TITLE as BLEND_TITLE
from trainer.workbench.candidates.blend import Blend
from trainer.workbench.candidates.classifiers import sampled
from trainer.workbench.contest import board, folder, metrics
from trainer.workbench.contest.board import Entry
from trainer.workbench.contest.judge import Bench, judge
from trainer.workbench.contest.search import Draws
from trainer.workbench.rows.dealing import deal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from trainer.workbench.candidates.base import Candidate, Described, Prepared
    from trainer.workbench.contest.events import Events
    from trainer.workbench.rows.dealing import Dealt
    from trainer.workbench.settings import Settings

FORMAT: Final = "anomaflow-run-1"
STOP: Final = "stop"
_PILOT: Final = 3000
_SHARE: Final = 0.3
"""Of the time left one candidate with its default settings may take."""
_FIRST_SHARE: Final = 0.5
"""The same of the first one, which is the one to end with if there is time for no other."""
_GROWS: Final = 1.1
"""Time of a fit grows with rows to this power, about."""
_ENDS_ITSELF: Final = frozenset({"autoencoder", "most-frequent", "stump", "gaussian-naive-bayes"})
_LOOK: Final = 0.02
"""Of the budget one candidate's importances may take."""
_SEARCHED: Final = 3
"""Candidates whose settings are searched: the best ones with their defaults."""
_FIRST: Final = "lightgbm"
_TREE_BESIDE: Final = ("lightgbm", "isolation-forest")
_BLENDED: Final = 3
_SURER: Final = 0.95
"""A blend is several models to keep and ask: its log loss must be below the best one's by a twentieth."""
_FINE: Final = 5e-5
"""A metric this near to 1 leaves nothing to search for."""
_JUDGING: Final = ("sklearn.metrics", "onnx.compose", "onnxruntime")
_PACKAGES: Final = ("numpy", "scikit-learn", "lightgbm", "onnx", "onnxruntime", "skl2onnx", "keras", "tensorflow")


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives seconds that only rise, `began` is when the budget started."""

    now: Callable[[], float]
    began: float


class Contest:
    """One run. `tables` are the table and the test table or None; `digest` is the table's."""

    def __init__(
        self,
        where: Path,
        settings: Settings,
        tables: tuple[Path, Path | None],
        digest: str,
        *,
        candidates: Mapping[str, Described],
        events: Events,
        clock: Clock,
    ) -> None:
        self.where = where
        self.settings = settings
        self.tables = tables
        self.digest = digest
        self.candidates = candidates
        self.events = events
        self.clock = clock
        self.ends = clock.began + settings.time_budget_s
        self.entries: dict[str, Entry] = {}
        self.unfinished: dict[str, Entry] = {}
        self.fitted: dict[str, Candidate] = {}
        self.took: dict[str, float] = {}
        self.notes: list[str] = []
        self.best: tuple[str | None, str] = (None, "")

    def run(self) -> dict[str, Any]:
        """All of it; the result as it is written. Raises errors of `TrainerError`, after writing what there is."""
        try:
            return self._run()
        except KeyboardInterrupt:
            self._write("stopped")
            self.events.end("cancelled", "The run was cancelled; what is done stays.")
            raise
        except TrainerError as error:
            self.notes.append(str(error))
            self._write("failed")
            self.events.end("failed", str(error))
            raise

    def _run(self) -> dict[str, Any]:
        self.events.stage("rows", 0.01, "reading the table and dealing its rows")
        self.dealt: Dealt = deal(self.settings, *self.tables)
        self.notes += self.dealt.notes
        self.notes += self.dealt.chosen.warnings
        detects = self.dealt.task.detects
        default = "average_precision" if detects else "f1"
        self.metric = metrics.OF_SETTING.get(self.settings.metric, default)
        self.judged = self._anything_to_choose_by()
        self.bench = Bench(self.dealt, self.metric, self.settings.seed, self._provenance())
        wanted = self._wanted()
        self._resume(wanted)
        self._write("running")
        for module in _JUDGING:  # loaded before the first candidate, whose judging would seem slow otherwise
            importlib.import_module(module)
        for at, described in enumerate(wanted):
            if described.name not in self.entries:
                self._first(described, len(wanted) - at)
                self._write("running")
        # A network's settings are not searched: one fit of it is most of a budget, and its epochs are what takes time.
        if self.settings.search and self.judged and self.settings.kind == "ml":
            self._search()
        self._blend()
        self._choose()
        self._refit()
        self._warn()
        state = "stopped" if self._stopped() else "done"
        told = self._write(state)
        done = sum(entry.state == "done" for entry in self.entries.values())
        self.events.stage("done", 1.0, f"{done} models compared")
        self.events.end(state, self.best[1])
        return told

    # --- time and stopping

    def _left(self) -> float:
        return self.ends - self.clock.now()

    def _stopped(self) -> bool:
        return (self.where / STOP).exists()

    def _spare(self) -> float:
        """Seconds kept for the last words of a run."""
        return 1.0 + 0.03 * self.settings.time_budget_s

    def _reserve(self) -> float:
        """Seconds kept by a search for the last fit of the best, its judging and its file."""
        best = self._leading(1)
        fit = sum(self.entries[name].fit_s or 0.0 for name in best)
        took = sum(self.took.get(name, 0.0) for name in best)
        return self._spare() + 1.5 * took + 1.6 * fit

    def _leading(self, count: int) -> list[str]:
        done = [entry for entry in board.ordered(list(self.entries.values()), self.metric) if entry.state == "done"]
        return [entry.name for entry in done if entry.name not in board.NEVER_CHOSEN][:count]

    def _told(self, name: str, until: float, history: list[dict[str, float]]) -> Told:
        def epoch(row: dict[str, float]) -> None:
            history.append(row)
            self.events.epoch(name, row)

        where = self.where / "models" / name
        where.mkdir(parents=True, exist_ok=True)
        return Told(epoch, self._stopped, lambda: until - self.clock.now(), where)

    # --- which candidates

    def _wanted(self) -> list[Described]:
        judges = "strangeness" if self.dealt.task.detects else "classes"
        able = [one for one in self.candidates.values() if one.judges == judges]
        kind = self.settings.kind
        named = self.settings.models
        strange = [name for name in named if name not in self.candidates]
        for name in strange:
            self.notes.append(f"There is no model named {name}; there are {', '.join(one.name for one in able)}.")
        chosen = [
            one
            for one in able
            if one.name in BASELINES
            or (kind == "dl" and one.name in _TREE_BESIDE)
            or (one.name in named if named else one.kind == kind)
        ]
        # What a run must not end without comes first, however slow the machine is today.
        first = _FIRST if self.judged else board.FALLBACK
        chosen.sort(key=lambda one: one.name != first)
        return chosen

    def _anything_to_choose_by(self) -> bool:
        truth = self.dealt.select.truth
        if truth is None or self.dealt.task.kind == "unsupervised":
            return False
        return not self.dealt.task.detects or (bool((truth == 1).sum() >= 5) and bool((truth == 0).sum() >= 5))

    def _given(self, described: Described, given: dict[str, Any]) -> dict[str, Any]:
        if described.kind == "ml":
            return given
        settings = self.settings
        return {
            "epochs": settings.epochs,
            "batch_size": settings.batch_size,
            "patience": settings.patience,
            "learning_rate": settings.learning_rate,
            **given,
        }

    # --- a candidate

    def _first(self, described: Described, waiting: int) -> None:
        entry = self.entries[described.name] = Entry(described.name, described.title)
        # What is judged stays, so another candidate is worth more than a second fit of the best: that one is extra.
        left = self._left() - self._spare() - 1.5 * max(self.took.values(), default=0.0)
        why = (
            "it was stopped before" if self._stopped() else "the time budget is used up; raise it" if left <= 0 else ""
        )
        if why and described.name in self.unfinished:
            # It goes on another time; until then what it was judged with stands.
            self.entries[described.name] = self.unfinished[described.name]
            return
        if why:
            entry.state, entry.why = "skipped", why
            self.events.model(described.name, described.title, "skipped", message=why)
            return
        self.events.stage("models", 0.05 + 0.9 * self._used(), f"fitting {described.title}")
        self.events.model(described.name, described.title, "started")
        start = self.clock.now()
        share = left / waiting if described.kind == "dl" else (_SHARE if self.took else _FIRST_SHARE) * left
        try:
            candidate, history = self._fit(described, {}, start + share)
            entry.fit_s = self.clock.now() - start
            entry.why = getattr(candidate, "note_", "")
            entry.unfinished = getattr(candidate, "unfinished_", False)
            entry.params = self._given(described, {})
            self._keep(described, candidate, entry, history)
        except Exception as error:  # noqa: BLE001 - one failing model never ends a run; it says why in the leaderboard
            self._failed(entry, error)
            return
        self.events.model(
            described.name, described.title, "done", metric=entry.select[self.metric], seconds=entry.fit_s
        )

    def _failed(self, entry: Entry, error: Exception) -> None:
        entry.state, entry.why = "failed", f"{type(error).__name__}: {error}"[:500]
        self.fitted.pop(entry.name, None)
        with (self.where / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{entry.name} failed\n{''.join(traceback.format_exception(error))}\n")
        self.events.model(entry.name, entry.title, "failed", message=entry.why)

    def _fit(
        self, described: Described, given: dict[str, Any], until: float
    ) -> tuple[Candidate, list[dict[str, float]]]:
        history: list[dict[str, float]] = []
        data, note = self._affordable(described, given, until)
        candidate = described.make(self._given(described, given), self.settings.seed)
        candidate.fit(data, self._told(described.name, until, history))
        if note:
            candidate.note_ = note  # type: ignore[attr-defined]
        return candidate, history

    def _affordable(self, described: Described, given: dict[str, Any], until: float) -> tuple[Prepared, str]:
        """All fit rows, or as many as a fit that cannot be broken off has time for."""
        data = self.dealt.prepared
        count = len(data.fit)
        if described.name in _ENDS_ITSELF or described.kind == "dl" or count < 3 * _PILOT:
            return data, ""
        start = self.clock.now()
        few, _ = _fewer(data, _PILOT, self.settings.seed)
        described.make(given, self.settings.seed).fit(few, Told())
        took = max(self.clock.now() - start, 1e-3)
        allowed = max(until - self.clock.now(), 0.5)
        if took * (count / _PILOT) ** _GROWS <= allowed:
            return data, ""
        most = int(_PILOT * max((allowed / took) ** (1 / _GROWS), 1.0))
        if most >= count:
            return data, ""
        fewer, note = _fewer(data, most, self.settings.seed)
        return fewer, f"{note} More would not have fitted into the time budget."

    def _keep(self, described: Described, candidate: Candidate, entry: Entry, history: list[dict[str, float]]) -> None:
        """Judge it, write its files, and remember it."""
        start = self.clock.now()
        entry.select, entry.loss = self.bench.select(described, candidate)
        cap: list[float] = []

        def late() -> bool:
            """First asked when importances begin, so that a slow judging before does not use up their time."""
            if not cap:
                cap.append(min(self.clock.now() + _LOOK * self.settings.time_budget_s, self.ends))
            return self.clock.now() > cap[0]

        notes = judge(
            self.bench,
            described,
            candidate,
            entry,
            self.where / "models" / described.name,
            history=history,
            late=late,
        )
        self.notes += [note for note in notes if note not in self.notes]
        self.fitted[described.name] = candidate
        self.took[described.name] = self.clock.now() - start
        folder.write(self.where / "models" / described.name / "entry.json", entry.to_json())

    def _resume(self, wanted: list[Described]) -> None:
        """Entries of candidates that were judged before the run was cut off; one cut off in its epochs goes on."""
        for described in wanted:
            where = self.where / "models" / described.name
            told = folder.maybe(where / "entry.json")
            whole = (where / "model.onnx").is_file() and (where / "result.json").is_file()
            if told is not None and whole:
                kept = self.unfinished if told.get("unfinished") else self.entries
                kept[described.name] = Entry(**told)
        if self.entries:
            self.notes.append(f"The run was cut off and went on; {len(self.entries)} models were there already.")

    # --- better settings

    def _search(self) -> None:
        names = [name for name in self._leading(_SEARCHED) if name in self.fitted and self.candidates[name].space]
        draws = {name: Draws(self.candidates[name], self.settings.seed) for name in names}
        improved: dict[str, tuple[Candidate, list[dict[str, float]]]] = {}
        while draws and not self._stopped():
            for name in list(draws):
                entry = self.entries[name]
                top = max((self.entries[one].select[self.metric] or 0.0 for one in names), default=0.0)
                given = draws[name].next({key: entry.params[key] for key in entry.params})
                spare = self._left() - self._reserve() - sum(self.took.get(one, 0.0) for one in improved)
                if given is None or top >= 1 - _FINE or spare < 2.0 * (entry.fit_s or 0.0) or self._stopped():
                    del draws[name]
                    continue
                self.events.stage("search", 0.05 + 0.9 * self._used(), f"trying settings of {entry.title}")
                entry.searched += 1
                start = self.clock.now()
                try:
                    candidate, history = self._fit(self.candidates[name], given, start + spare / 2)
                    found, loss = self.bench.select(self.candidates[name], candidate)
                except Exception as error:  # noqa: BLE001 - settings that cannot be fitted are worse settings
                    self.events.model(name, entry.title, "failed", message=f"settings {given}: {error}"[:300])
                    continue
                if self._better(found, loss, entry):
                    entry.select, entry.loss, entry.params = found, loss, given
                    entry.fit_s = self.clock.now() - start
                    improved[name] = candidate, history
        for name, (candidate, history) in improved.items():
            entry = self.entries[name]
            try:
                self._keep(self.candidates[name], candidate, entry, history)
            except Exception as error:  # noqa: BLE001 - the file of the settings before stays
                self.notes.append(f"Better settings of {entry.title} could not be kept: {error}")
            else:
                self.events.model(name, entry.title, "done", metric=entry.select[self.metric], seconds=entry.fit_s)
        for entry in self.entries.values():
            if entry.searched:
                folder.write(self.where / "models" / entry.name / "entry.json", entry.to_json())

    def _better(self, found: dict[str, float | None], loss: float | None, entry: Entry) -> bool:
        now, before = found[self.metric] or 0.0, entry.select[self.metric] or 0.0
        if loss is None or entry.loss is None:
            return now > before
        # The metric moves in steps of a row; the loss says which way it went in between.
        apart = (max(before * (1 - before), 0.0) / max(len(self.dealt.select), 1)) ** 0.5
        return now >= before - apart and loss < entry.loss

    def _blend(self) -> None:
        """The mean of the surest classifiers, if it is surer than each of them and there is time."""
        if self.dealt.task.detects or not self.judged or self._stopped() or self.settings.kind == "dl":
            return
        able = [self.entries[name] for name in self._leading(len(self.entries)) if name in self.fitted]
        able = sorted((one for one in able if one.loss is not None), key=lambda one: one.loss or 0.0)[:_BLENDED]
        able = [one for one in able if one.name in self.candidates]
        # Judging a blend asks every member once more, and so does fitting it again.
        judging = 1.5 * sum(self.took.get(one.name, 0.0) for one in able)
        if len(able) < 2 or BLEND in self.entries or self._left() < self._reserve() + judging:
            return
        truth = self.dealt.select.truth
        assert truth is not None  # noqa: S101 - a task with classes has labels on its select rows
        given = {one.name: self.fitted[one.name].chances(self.dealt.select.rows) for one in able}
        best = min(
            (able[:count] for count in range(2, len(able) + 1)),
            key=lambda some: metrics.loss(np.mean([given[one.name] for one in some], axis=0), truth),
        )
        mean = np.mean([given[one.name] for one in best], axis=0)
        if metrics.loss(mean, truth) >= _SURER * (able[0].loss or 0.0):
            return
        described = self._blended([one.name for one in best])
        entry = self.entries[BLEND] = Entry(BLEND, BLEND_TITLE, params={"members": [one.name for one in best]})
        entry.fit_s = sum(one.fit_s or 0.0 for one in best)
        self.events.model(BLEND, BLEND_TITLE, "started")
        try:
            self._keep(described, described.make({}, self.settings.seed), entry, [])
        except Exception as error:  # noqa: BLE001 - as of every candidate
            self._failed(entry, error)
        else:
            self.events.model(BLEND, BLEND_TITLE, "done", metric=entry.select[self.metric], seconds=entry.fit_s)

    def _blended(self, names: list[str]) -> Described:
        base = self.candidates[names[0]]
        members = [self.fitted[name] for name in names]
        data = self.dealt.prepared
        return replace(
            base,
            name=BLEND,
            title=BLEND_TITLE,
            make=lambda _given, _seed: Blend(members, data.fit.shape[1], len(data.classes)),
            space={},
        )

    # --- the choice

    def _choose(self) -> None:
        self.best = board.choose(list(self.entries.values()), self.metric, len(self.dealt.select), judged=self.judged)

    def _refit(self) -> None:
        """The best classifier learns from the rows it was chosen by, too, if that fits into the time."""
        name = self.best[0]
        if name is None or self.dealt.task.detects or self._stopped() or self.settings.kind == "dl":
            return
        entry = self.entries[name]
        names = entry.params["members"] if name == BLEND else [name]
        if any(one not in self.fitted for one in names):
            return
        expected = 1.0 + 1.6 * sum(self.entries[one].fit_s or 0.0 for one in names) + 1.5 * self.took.get(name, 0.0)
        if expected > self._left():
            self.notes.append(f"{entry.title} was not fitted once more on all rows: no time was left.")
            return
        self.events.stage("last fit", 0.05 + 0.9 * self._used(), f"fitting {entry.title} on all rows but the test")
        data = _together(self.dealt.prepared)
        chosen = entry.select, entry.loss
        try:
            members = []
            for one in names:
                given = dict(self.entries[one].params)
                rounds = getattr(self.fitted[one], "rounds_", None)
                if rounds is not None:
                    given["rounds"] = max(round(rounds * 1.1), 1)
                candidate = self.candidates[one].make(given, self.settings.seed)
                part, note = data, getattr(self.fitted[one], "note_", "")
                if note and "More would not" in note:
                    part, note = _fewer(data, int(1.2 * len(self.dealt.prepared.fit)), self.settings.seed)
                members.append(candidate.fit(part, Told()))
            described = self.candidates[name] if name != BLEND else self._blended(names)
            last = members[0] if name != BLEND else Blend(members, data.fit.shape[1], len(data.classes))
            again = replace(entry)
            self._keep(described, last, again, [])
            again.select, again.loss = chosen
            folder.write(self.where / "models" / name / "entry.json", again.to_json())
            self.entries[name] = again
            self.notes.append(
                f"{entry.title} was fitted once more with the {len(self.dealt.prepared.select):,} rows it was chosen "
                "by; its figures on those rows are from before."
            )
        except Exception as error:  # noqa: BLE001 - the fit before stays what counts
            self.notes.append(f"{entry.title} could not be fitted once more on all rows: {error}")

    def _warn(self) -> None:
        """What a person should know before believing the figures."""
        name = self.best[0]
        if name is None:
            return
        best = self.entries[name]
        stump, plain = self.entries.get("stump"), self.entries.get("most-frequent")
        if stump is not None and (stump.test.get("balanced_accuracy") or 0.0) >= 0.995:
            self.notes.append(
                "One question about one column already tells nearly every row: look whether that column is known "
                "before the label is, and drop it if not."
            )
        if plain is not None and (best.test["accuracy"] or 0.0) <= (plain.test["accuracy"] or 0.0):
            self.notes.append("The best model is no more accurate than always saying the most frequent class.")
        if (best.test.get("accuracy") or 0.0) >= 1.0 and not self.dealt.task.detects:
            self.notes.append("The best model makes no mistake on the test rows; look for columns that give it away.")
        count = self.entries.get("std-count")
        if count is not None and name != "std-count":
            mine, theirs = best.test["average_precision"], count.test["average_precision"]
            if mine is not None and theirs is not None and mine <= theirs:
                self.notes.append("The best detector does not beat counting standard deviations on the test rows.")
        if self.settings.kind == "dl":
            self._compare_with_tree()
        promised, realised = best.promised_fpr, best.realised_fpr
        if realised is not None and promised is not None and realised > 1.5 * promised:
            self.notes.append(
                f"{best.title} promises {promised:.1%} false alerts and gives {realised:.1%} on the test rows: "
                "ordinary rows there differ from those learnt from."
            )

    def _compare_with_tree(self) -> None:
        done = {entry.name: entry for entry in self.entries.values() if entry.state == "done"}
        trees = [done[name] for name in _TREE_BESIDE if name in done]
        networks = [entry for name, entry in done.items() if self.candidates[name].kind == "dl"]
        for tree in trees:
            most = tree.select[self.metric]
            judged = [entry for entry in networks if entry.select[self.metric] is not None]
            top = max(judged, key=lambda entry: entry.select[self.metric] or 0.0, default=None)
            if top is not None and most is not None and (top.select[self.metric] or 0.0) <= most:
                self.notes.append(
                    f"No network beats {tree.title} here: {top.title}, the best of them, has "
                    f"{top.select[self.metric]:.4f} against {most:.4f} on the rows set aside to choose by, "
                    f"fitted in {top.fit_s or 0.0:.0f} s against {tree.fit_s or 0.0:.0f} s."
                )

    # --- what is told

    def _used(self) -> float:
        return min((self.clock.now() - self.clock.began) / self.settings.time_budget_s, 1.0)

    def _provenance(self) -> dict[str, Any]:
        return {
            "data_digest": self.digest,
            "settings_digest": self.settings.digest,
            "versions": versions(),
        }

    def _write(self, state: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "format": FORMAT,
            "name": self.settings.name,
            "kind": self.settings.kind,
            "state": state,
            "label": self.settings.label,
            "seconds": self.clock.now() - self.clock.began,
            "settings": self.settings.to_json(),
            "settings_digest": self.settings.digest,
            "versions": versions(),
            "notes": list(dict.fromkeys(self.notes)),
        }
        dealt = getattr(self, "dealt", None)
        if dealt is not None and hasattr(self, "metric"):
            roles = dealt.roles
            best = self.entries.get(self.best[0] or "")
            told |= {
                "task": dealt.task.kind,
                "why_task": dealt.task.why,
                "classes": list(dealt.task.classes),
                "benign": list(dealt.task.benign),
                "metric": self.metric,
                "data": {
                    "digest": self.digest,
                    "rows": dealt.of,
                    "used_rows": dealt.used,
                    "features": list(dealt.chosen.features),
                    "left_out": [{"name": name, "reason": reason} for name, reason in dealt.chosen.left_out],
                    "duplicates": roles.duplicates,
                },
                "split": {
                    "how": roles.how,
                    "fit": len(dealt.prepared.fit),
                    "select": len(dealt.select),
                    "calibrate": len(dealt.calibrate),
                    "test": len(dealt.test),
                    "warning": roles.warning,
                },
                "prevalence": dealt.prevalence,
                "leaderboard": [one.to_json() for one in board.ordered(list(self.entries.values()), self.metric)],
                "best": self.best[0],
                "why_best": self.best[1],
                "baselines": [name for name in BASELINES if name in self.entries],
                "promised_fpr": None if best is None else best.promised_fpr,
                "realised_fpr": None if best is None else best.realised_fpr,
            }
        folder.write(self.where / "result.json", told)
        return folder.plain(told)


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    found = {"anomaflow": VERSION, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _fewer(data: Prepared, most: int, seed: int) -> tuple[Prepared, str]:
    at, note = sampled(data, most, seed)
    return (
        replace(
            data,
            fit=data.fit[at],
            fit_class=None if data.fit_class is None else data.fit_class[at],
            weights=None if data.weights is None else data.weights[at],
        ),
        note,
    )


def _together(data: Prepared) -> Prepared:
    """Fit and select rows as fit rows."""
    if data.fit_class is None or data.select_class is None:
        return data
    weights = None
    if data.weights is not None:
        by_class = {one: data.weights[data.fit_class == one][0] for one in np.unique(data.fit_class).tolist()}
        more = np.array([by_class.get(one, 1.0) for one in data.select_class.tolist()], dtype=np.float32)
        weights = np.concatenate([data.weights, more])
    return replace(
        data,
        fit=np.concatenate([data.fit, data.select]),
        fit_class=np.concatenate([data.fit_class, data.select_class]),
        weights=weights,
    )
