"""automl beside scikit-learn's histogram boosting and PyOD's detectors, on public tables, in one run each.

    python bench/automl.py --data FOLDER --out FOLDER [--parts PART ...] [--seeds 7 8 9] [--budget 60]

Each part and seed writes one JSON file into `--out`; parts already there are not done again, so that the whole can be
made in pieces. `--page` prints the tables of docs/workbench-results.md from what is there. Test rows are split off
before anything else and see no choice; every contestant learns the same rows and columns and is judged on the same
test rows. Other work on the machine changes how far a time budget reaches, never what is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd

from trainer.progress import Progress
from trainer.tables import kdd
from trainer.workbench.contest import command, folder, metrics
from trainer.workbench.rows.dealing import deal
from trainer.workbench.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

TEST_SHARE = 0.3
KDD_ROWS = 60_000


def nsl(data: Path) -> tuple[pd.DataFrame, str]:
    """NSL-KDD, the 20 % table."""
    return pd.read_csv(data / "nslkdd_Train_data.csv"), "class"


def _kdd(data: Path) -> pd.DataFrame:
    table = pd.read_csv(data / "kddcup.data_10_percent.gz", names=[*kdd.FEATURES, "class"])
    table["class"] = table["class"].str.rstrip(".")
    return table


def kdd_classes(data: Path) -> tuple[pd.DataFrame, str]:
    """KDD Cup 99, ten percent, without rows that are twice there, in five classes."""
    table = _kdd(data).drop_duplicates().reset_index(drop=True)
    table["class"] = kdd.classes(table["class"].replace("normal", kdd.BENIGN).to_numpy(dtype=str))
    table["class"] = table["class"].replace(kdd.BENIGN, "normal")
    return table, "class"


def unsw(data: Path) -> tuple[pd.DataFrame, str]:
    """UNSW-NB15."""
    return pd.read_csv(data / "unsw_nb15_dev.csv.gz"), "label"


def cicids(data: Path) -> tuple[pd.DataFrame, str]:
    """CICIDS2017, improved, Monday to Wednesday."""
    return pd.read_csv(data / "cicids2017_improved_MonTueWed.csv.gz", low_memory=False), "Label"


def cicids_sample(data: Path) -> tuple[pd.DataFrame, str]:
    """CICIDS2017 as CICFlowMeter first wrote it, a small sample."""
    return pd.read_csv(data / "cicids2017_original_format_sample.csv", low_memory=False), "Label"


TABLES: dict[str, Callable[[Path], tuple[pd.DataFrame, str]]] = {
    "nsl-kdd": nsl,
    "kdd99-five-classes": kdd_classes,
    "unsw-nb15": unsw,
    "cicids2017-improved": cicids,
    "cicids2017-sample": cicids_sample,
}


def random_split(table: pd.DataFrame, label: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A random share of each class as test rows; a class of one row stays to be learnt."""
    chance = np.random.default_rng([seed, 301])
    taken = np.zeros(len(table), dtype=bool)
    for value in table[label].unique():
        here = chance.permutation(np.flatnonzero((table[label] == value).to_numpy()))
        taken[here[: round(TEST_SHARE * len(here))]] = True
    return table[~taken], table[taken]


def held_out(data: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """NSL-KDD's training table with attack families held out.

    Their rows, and as large a share of normal ones, are the test. The table names no family; a forest that knows the
    attacks of KDD Cup 99, where the table was drawn from, says which family a row is of. That makes the split, and
    nothing else.
    """
    from sklearn.ensemble import RandomForestClassifier

    table, _ = nsl(data)
    known = _kdd(data).drop_duplicates()
    known = known[known["class"] != "normal"]
    words = ["protocol_type", "service", "flag"]
    both = pd.concat([known[[*kdd.FEATURES]], table[[*kdd.FEATURES]]])
    for name in words:
        both[name] = both[name].astype("category").cat.codes
    forest = RandomForestClassifier(50, n_jobs=2, random_state=seed)
    forest.fit(both[: len(known)], known["class"])
    attack = (table["class"] != "normal").to_numpy()
    family = np.where(attack, forest.predict(both[len(known) :]), "normal")
    chance = np.random.default_rng([seed, 302])
    names = sorted({str(one) for one in family[attack]})
    taken: list[str] = []
    for name in chance.permutation(names).tolist():
        if sum((family == one).sum() for one in (*taken, name)) <= 0.4 * attack.sum():
            taken.append(name)
        if sum((family == one).sum() for one in taken) >= 0.12 * attack.sum():
            break
    test = attack & np.isin(family.astype(str), taken)
    normal = np.flatnonzero(~attack)
    share = test.sum() / attack.sum()
    test[chance.permutation(normal)[: int(share * len(normal))]] = True
    return table[~test], table[test], taken


def as_table(rows: pd.DataFrame, where: Path) -> Path:
    """The rows as a run reads them."""
    where.mkdir(parents=True, exist_ok=True)
    rows.reset_index(drop=True).to_parquet(where / "table.parquet", index=False)
    return where / "table.parquet"


def run(train: Path, test: Path | None, settings: Settings, where: Path) -> dict[str, Any]:
    """One run in its folder."""
    where.mkdir(parents=True, exist_ok=True)
    folder.write(where / "settings.json", settings.to_json())
    folder.write(where / "data.json", {"table": str(train), "test_table": None if test is None else str(test)})
    began = time.monotonic()
    told = command.contest(where, Progress("none", out=sys.stdout, terminal=sys.stderr), began)
    return {**told, "wall_s": time.monotonic() - began}


def histogram(train: pd.DataFrame, test: pd.DataFrame, told: dict[str, Any], seed: int) -> dict[str, float | None]:
    """HistGradientBoostingClassifier at its defaults, on the run's columns and all its rows but the test."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    label, features, classes = told["label"], told["data"]["features"], told["classes"]
    parts = []
    for rows in (train, test):
        held = rows[features].copy()
        for name in features:
            if train[name].dtype.kind not in "fiub":
                words = {word: at for at, word in enumerate(sorted(train[name].astype(str).unique()))}
                held[name] = rows[name].astype(str).map(words)
        parts.append(held.astype(np.float64).replace([np.inf, -np.inf], np.nan))
    place = {name: at for at, name in enumerate(classes)}
    truth = np.array([place.get(str(one), -1) for one in test[label]])
    with threadpool_limits(2):
        model = HistGradientBoostingClassifier(random_state=seed).fit(
            parts[0], [place[str(one)] for one in train[label]]
        )
        chances = np.zeros((len(test), len(classes)), dtype=np.float32)
        chances[:, model.classes_] = model.predict_proba(parts[1])
    return metrics.of_classes(chances, truth, len(told["benign"]))


def classified(train: pd.DataFrame, test: pd.DataFrame, label: str, seed: int, budget: float) -> dict[str, Any]:
    """Histogram boosting beside automl."""
    with tempfile.TemporaryDirectory() as aside:
        root = Path(aside)
        settings = Settings(label=label, seed=seed, time_budget_s=budget)
        told = run(as_table(train, root / "train"), as_table(test, root / "test"), settings, root / "run")
        best = folder.read(root / "run/models" / told["best"] / "result.json")
    board = {one["name"]: one["test"] for one in told["leaderboard"] if one["state"] == "done"}
    return {
        "rows": [len(train), len(test)],
        "prevalence": told["prevalence"],
        "best": told["best"],
        "metric": told["metric"],
        "wall_s": told["wall_s"],
        "board": board,
        "skipped": [one["name"] for one in told["leaderboard"] if one["state"] != "done"],
        "histogram": histogram(train, test, told, seed),
        "by_class": best["by_class"],
    }


def detected(data: Path, name: str, seed: int, budget: float) -> dict[str, Any]:
    """PyOD beside automl, learning ordinary rows only."""
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN

    table, label = TABLES[name](data)
    if len(table) > KDD_ROWS:
        table = table.sample(KDD_ROWS, random_state=seed).reset_index(drop=True)
    train, test = random_split(table, label, seed)
    with tempfile.TemporaryDirectory() as aside:
        root = Path(aside)
        parts = as_table(train, root / "train"), as_table(test, root / "test")
        settings = Settings(label=label, seed=seed, time_budget_s=budget, task="benign-only")
        told = run(*parts, settings, root / "run")
        dealt = deal(settings, *parts)
    ordinary = np.concatenate([dealt.prepared.fit, dealt.prepared.select, dealt.calibrate])
    truth = dealt.test.truth == 1
    others = {}
    for title, model in (("knn", KNN(n_jobs=2)), ("ecod", ECOD()), ("iforest", IForest(random_state=seed))):
        start = time.monotonic()
        scores = model.fit(ordinary).decision_function(dealt.test.rows)
        others[title] = {**metrics.one_of(scores, truth), "seconds": time.monotonic() - start}
    return {
        "rows": [len(ordinary), len(test)],
        "prevalence": told["prevalence"],
        "best": told["best"],
        "board": {one["name"]: one["test"] for one in told["leaderboard"] if one["state"] == "done"},
        "realised": {one["name"]: one["realised_fpr"] for one in told["leaderboard"]},
        "promised": told["promised_fpr"],
        "pyod": others,
        "wall_s": told["wall_s"],
    }


def reference(data: Path, seed: int, budget: float) -> dict[str, Any]:
    """The seven algorithms on the 20 % table's own random split, with the importances of the forest."""
    table, label = nsl(data)
    with tempfile.TemporaryDirectory() as aside:
        root = Path(aside)
        settings = Settings(label=label, seed=seed, time_budget_s=budget, search=False)
        told = run(as_table(table, root / "train"), None, settings, root / "run")
        shown = folder.read(root / "run/models/random-forest/result.json")["importance"]
    return {
        "split": told["split"],
        "duplicates": told["data"]["duplicates"],
        "board": {
            one["name"]: {key: one[key] for key in ("title", "train", "test", "fit_s", "bytes", "rows_per_s")}
            for one in told["leaderboard"]
            if one["state"] == "done"
        },
        "importance": shown,
    }


def measure(part: str, data: Path, seed: int, budget: float) -> dict[str, Any]:
    """One part with one seed."""
    kind, _, name = part.partition(":")
    if kind == "classes":
        table, label = TABLES[name](data)
        return classified(*random_split(table, label, seed), label, seed, budget)
    if kind == "benign-only":
        return detected(data, name, seed, budget)
    if kind == "held-out":
        train, test, families = held_out(data, seed)
        return {**classified(train, test, "class", seed, budget), "families": families}
    return reference(data, seed, budget)


PARTS = (
    *(f"classes:{name}" for name in TABLES),
    *(f"benign-only:{name}" for name in TABLES),
    "held-out:nsl-kdd",
    "reference",
)


def page(out: Path) -> None:
    """The tables, as Markdown."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(out.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(told["part"], []).append(told)

    def spread(values: list[float | None]) -> str:
        held = [value for value in values if value is not None]
        if not held:
            return ""
        wide = f" ({min(held):.4f} to {max(held):.4f})" if len(held) > 1 else ""
        return f"{mean(held):.4f}{wide}"

    print(
        "| table | rows learnt, tested | automl picks | its accuracy | its F1 | HistGB accuracy | HistGB F1 | "
        "best F1 of its own leaderboard | seconds |\n|---|---|---|---|---|---|---|---|---|"
    )
    for part, all_of in found.items():
        if not part.startswith(("classes:", "held-out:")):
            continue
        picks = ", ".join(dict.fromkeys(one["best"] for one in all_of))
        rows = " / ".join(f"{count:,}" for count in all_of[0]["rows"])
        cells = [spread([one["board"][one["best"]][key] for one in all_of]) for key in ("accuracy", "f1")] + [
            spread([one["histogram"][key] for one in all_of]) for key in ("accuracy", "f1")
        ]
        top = spread([max(each["f1"] for each in one["board"].values()) for one in all_of])
        print(f"| {part} | {rows} | {picks} | {' | '.join(cells)} | {top} | {spread([o['wall_s'] for o in all_of])} |")
    for metric in ("average_precision", "roc_auc"):
        print(
            f"\n{metric}\n\n| table | strange | automl picks | its own | portfolio | PyOD kNN | PyOD ECOD | "
            "PyOD IForest | promised / realised FPR |\n|---|---|---|---|---|---|---|---|---|"
        )
        for part, all_of in found.items():
            if part.startswith("benign-only:"):
                picks = ", ".join(dict.fromkeys(one["best"] for one in all_of))
                mine = spread([one["board"][one["best"]][metric] for one in all_of])
                fused = spread([one["board"].get("portfolio", {}).get(metric) for one in all_of])
                cells = [spread([one["pyod"][name][metric] for one in all_of]) for name in ("knn", "ecod", "iforest")]
                real = f"{all_of[0]['promised']} / {spread([one['realised'][one['best']] for one in all_of])}"
                share = f"{mean(one['prevalence'] for one in all_of):.1%}"
                print(f"| {part} | {share} | {picks} | {mine} | {fused} | {' | '.join(cells)} | {real} |")
    for told in found.get("reference", [])[:1]:
        keys = ("accuracy", "precision", "recall", "f1", "roc_auc")
        print("\n| algorithm | " + " | ".join(f"{role} {key}" for key in keys for role in ("train", "test")) + " |")
        print("|---" * (1 + 2 * len(keys)) + "|")
        for one in told["board"].values():
            cells = [f"{one[role][key]:.3f}" for key in keys for role in ("train", "test")]
            print(f"| {one['title']} | {' | '.join(cells)} |")
        print("\n| column | train | test |\n|---|---|---|")
        for one in told["importance"][:10]:
            print(f"| {one['feature']} | {one['train']:.3f} | {one['test']:.3f} |")
    for told in found.get("held-out:nsl-kdd", [])[:1]:
        print(f"\nheld out: {', '.join(told['families'])}\n\n| algorithm | test accuracy | recall | F1 | ROC AUC |")
        print("|---|---|---|---|---|")
        for name, one in told["board"].items():
            print(
                f"| {name} | " + " | ".join(f"{one[key]:.3f}" for key in ("accuracy", "recall", "f1", "roc_auc")) + " |"
            )
    for told in found.get("classes:kdd99-five-classes", [])[:1]:
        print("\n| class | rows | precision | recall | F1 |\n|---|---|---|---|---|")
        for one in told["by_class"]:
            figures = " | ".join(f"{one[key]:.3f}" for key in ("precision", "recall", "f1"))
            print(f"| {one['class']} | {one['rows']:,} | {figures} |")


def main() -> None:
    """Measure what is missing, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", default=PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.page:
        page(options.out)
        return
    for seed in options.seeds:
        for part in options.parts:
            path = options.out / f"{part.replace(':', '-')}.{seed}.json"
            if path.exists():
                continue
            told = {
                "part": part,
                "seed": seed,
                "budget": options.budget,
                **measure(part, options.data, seed, options.budget),
            }
            folder.write(path, told)
            print(part, seed, json.dumps({key: told.get(key) for key in ("best", "wall_s")}), flush=True)


if __name__ == "__main__":
    main()
