"""What a run found: leaderboard, models, histories, its story and its log, and runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import Invalid, NotFound
from aggregator.work import endings, processes, story
from aggregator.workbench import places, runs
from aggregator.workbench.concluding import RUN, figure
from aggregator.workbench.rows import Comparison, EventPage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregator.services import Services
    from aggregator.workbench.rows import Experiment

CANDIDATE: Final = "anomaflow-candidate-1"
FILE: Final = "anomaflow-file-1"
EVENTS: Final = "events.jsonl"
SIDE_BY_SIDE: Final = 6
HISTORY: Final = ("epoch", "acc", "loss", "val_acc", "val_loss")


def result(services: Services, experiment_id: int) -> dict[str, Any]:
    """result.json of a run, {} while there is none. Raises `NotFound`."""
    services.store.read(lambda db: runs.get(db, experiment_id))
    return places.read_json(_folder(services, experiment_id) / "result.json", RUN) or {}


def leaderboard(services: Services, experiment_id: int, *, sort: str | None = None) -> list[dict[str, Any]]:
    """Leaderboard entries as the trainer wrote them (name, title, state, train, test, select, ...), best first.

    `sort` is `part.figure`, such as `test.recall`, or a field such as `fit_s`; entries without it come last.
    """
    entries = [one for one in result(services, experiment_id).get("leaderboard") or [] if isinstance(one, dict)]
    if sort is None:
        return entries
    part, dot, name = sort.partition(".")
    if not dot and part not in {"fit_s", "rows_per_s", "bytes", "title", "name"}:
        raise Invalid(
            f"cannot sort by {sort[:40]!r}; name a figure such as test.f1, or fit_s, rows_per_s, bytes, title"
        )
    if not dot:
        rising = part in {"fit_s", "bytes", "title", "name"}
        known = [one for one in entries if one.get(part) is not None]
        return [
            *sorted(known, key=lambda one: one[part], reverse=not rising),
            *(one for one in entries if one not in known),
        ]
    return sorted(entries, key=lambda one: -_or_lowest(figure(one, part, name)))


def model_detail(services: Services, experiment_id: int, model: str) -> dict[str, Any]:
    """models/<model>/result.json with `file` (model.json or None) and `entry` (its leaderboard entry).

    Raises `NotFound`.
    """
    entry = next(
        (one for one in result(services, experiment_id).get("leaderboard") or [] if one.get("name") == model), None
    )
    folder = services.config.workbench_dir / places.model_folder(experiment_id, model)
    told = places.read_json(folder / "result.json", CANDIDATE)
    if told is None and entry is None:
        raise NotFound(f"experiment {experiment_id} has no model {model[:40]!r}")
    return {**(told or {}), "file": places.read_json(folder / "model.json", FILE), "entry": entry}


def history(services: Services, experiment_id: int, model: str) -> list[dict[str, Any]]:
    """Epochs so far: epoch, acc, loss, val_acc, val_loss. Works while it runs. Raises `NotFound`."""
    services.store.read(lambda db: runs.get(db, experiment_id))
    folder = services.config.workbench_dir / places.model_folder(experiment_id, model)
    told = places.read_json(folder / "result.json", CANDIDATE)
    if told is not None and told.get("history"):
        return list(told["history"])
    epochs: dict[Any, dict[str, Any]] = {}
    place = 0
    while True:
        events, after = story.read(_folder(services, experiment_id) / EVENTS, place)
        for event in events:
            if event["event"] == "epoch" and event.get("name") == model:
                epochs[event.get("epoch")] = {name: event.get(name) for name in HISTORY}
        if after == place:
            return list(epochs.values())
        place = after


def experiment_events(services: Services, experiment_id: int, *, since: int = 0, limit: int = 500) -> EventPage:
    """Lines of events.jsonl from the place `since` on; `next` is the place after them. Raises `NotFound`."""
    if since < 0 or not 1 <= limit <= 10_000:
        raise Invalid("since must not be negative, and limit must be between 1 and 10000")
    one = services.store.read(lambda db: runs.get(db, experiment_id))
    events, place = story.read(_folder(services, experiment_id) / EVENTS, since, limit=limit)
    return EventPage(tuple(events), place, one.state)


def experiment_log(services: Services, experiment_id: int, *, lines: int = 200) -> list[str]:
    """The last lines of a run's log. Raises `NotFound`."""
    services.store.read(lambda db: runs.get(db, experiment_id))
    return processes.tail(_folder(services, experiment_id) / endings.LOG, lines=lines)


def compare(services: Services, experiment_ids: Sequence[int]) -> Comparison:
    """Two to six runs side by side. Raises `Invalid`, `NotFound`."""
    ids = list(dict.fromkeys(experiment_ids))
    if not 2 <= len(ids) <= SIDE_BY_SIDE:
        raise Invalid(f"tick two to {SIDE_BY_SIDE} runs to compare")
    found = services.store.read(lambda db: tuple(runs.get(db, one) for one in ids))
    told = [result(services, one) for one in ids]
    same, note = _comparable(found, told)
    names: dict[str, str] = {}
    for one in told:
        for entry in one.get("leaderboard") or []:
            names.setdefault(str(entry.get("name")), str(entry.get("title") or entry.get("name")))
    rows = [
        {
            "name": name,
            "title": title,
            "entries": [
                next((entry for entry in one.get("leaderboard") or [] if entry.get("name") == name), None)
                for one in told
            ],
        }
        for name, title in names.items()
    ]
    settings = [one.settings for one in found]
    differing = [
        {"name": name, "values": [one.get(name) for one in settings]}
        for name in settings[0]
        if name not in {"format", "name"} and any(one.get(name) != settings[0].get(name) for one in settings)
    ]
    return Comparison(found, same, note, tuple(differing), tuple(rows))


def chosen(services: Services, experiment_id: int, model: str | None) -> tuple[Experiment, str]:
    """A run and the model asked for, the best by default; its file is there. Raises `NotFound`, `Conflict`."""
    one = services.store.read(lambda db: runs.get(db, experiment_id))
    name = model or one.best or str(result(services, experiment_id).get("best") or "")
    if not name:
        raise NotFound(f"experiment {experiment_id} has no model yet")
    folder = services.config.workbench_dir / places.model_folder(experiment_id, name)
    if not (folder / "model.onnx").exists():
        raise NotFound(f"experiment {experiment_id} has no finished model {name[:40]!r}")
    return one, name


def _comparable(found: tuple[Experiment, ...], told: list[dict[str, Any]]) -> tuple[bool, str]:
    """True when the figures were taken on the same rows, and a sentence."""
    digests = {(one.get("data") or {}).get("digest") for one in told}
    tests = {(one.test_dataset_id, one.test_dataset_version) for one in found}
    splits = {
        tuple(one.settings.get(name) for name in ("label", "split", "split_column", "test_share", "seed"))
        for one in found
    }
    if len(digests) > 1:
        return False, "These runs used different data, so their figures cannot be compared as they stand."
    if len(tests) > 1 or len(splits) > 1:
        return False, "These runs used the same data but judged by different rows, so small differences mean nothing."
    return True, "These runs used the same data and were judged by the same rows."


def _or_lowest(value: float | None) -> float:
    return float("-inf") if value is None else value


def _folder(services: Services, experiment_id: int) -> Any:
    return services.config.workbench_dir / places.run_folder(experiment_id)
