"""`anomaflow-trainer benchmark`, each data set once on a part of the real tables, quick settings."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from protos.exits import ExitCode
from trainer.main import main
from trainer.tables.kdd import FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable

_CAPTURES = os.environ.get("ANOMAFLOW_CAPTURES", Path(__file__).resolve().parents[3] / "shared" / "data" / "pcap")
TABLES = Path(_CAPTURES).parent / "tabular"

pytestmark = [pytest.mark.training, pytest.mark.captures]
QUICK = ("--seeds", "1", "--epochs", "2", "--json", "--progress", "none")


@pytest.fixture(scope="session")
def tables() -> Path:
    """The folder of real tables. Skips, saying so, where there is none."""
    if not TABLES.is_dir():
        pytest.skip(f"no tables at {TABLES}; set ANOMAFLOW_CAPTURES to a folder beside which they are")
    return TABLES


def part(source: Path, to: Path, label: Callable[[list[str]], str], most: int, *, header: bool = True) -> Path:
    """At most `most` rows of each label of `source`, in their order, drawn with a fixed seed."""
    with gzip.open(source, "rt") if source.suffix == ".gz" else source.open() as file:
        rows = list(csv.reader(file))
    head, body = (rows[:1], rows[1:]) if header else ([], rows)
    places: dict[str, list[int]] = {}
    for at, row in enumerate(body):
        places.setdefault(label(row), []).append(at)
    chance = random.Random(1)
    kept = sorted(at for each in places.values() for at in chance.sample(each, min(most, len(each))))
    with to.open("w", newline="") as file:
        csv.writer(file).writerows([*head, *(body[at] for at in kept)])
    return to


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """What the command prints as JSON."""
    assert main(["benchmark", *map(str, arguments), *QUICK]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def figures(report: dict[str, Any], part_name: str = "test") -> dict[str, Any]:
    """The detectors' figures of a part of the test."""
    return report["benign_only"]["tests"][part_name]["detectors"]


def test_nsl_kdd_from_raw_files(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Raw layout with attack and difficulty, made of the table's rows; KDDTest-21 is derived; page and JSON are written."""
    source = part(tables / "nslkdd_Train_data.csv", tmp_path / "all.csv", lambda row: row[41], 700)
    lines = source.read_text().splitlines()[1:]
    raw = [line.replace("anomaly", "neptune" if at % 3 else "mscan") + f",{at % 22}" for at, line in enumerate(lines)]
    train, test = tmp_path / "KDDTrain.txt", tmp_path / "KDDTest.txt.gz"
    train.write_text("\n".join(line for line in raw[::2] if "mscan" not in line) + "\n")
    test.write_bytes(gzip.compress(("\n".join(raw[1::2]) + "\n").encode()))
    report = told(capsys, "nsl-kdd", "--train", train, "--test", test, "--report", tmp_path / "out")
    assert set(report["benign_only"]["tests"]) == {"KDDTest+", "KDDTest-21"}
    assert report["benign_only"]["tests"]["KDDTest+"]["never_seen_families"] == ["mscan"]
    for name in ("portfolio", "std_count", "mahalanobis", "nearest", "autoencoder on ranks", "isolation_forest"):
        assert figures(report, "KDDTest+")[name]["roc_auc"]["mean"] > 0.8, name
    boosting = report["supervised"]["tests"]["KDDTest+"]["models"]["gradient_boosting"]
    assert boosting["accuracy"]["mean"] > 0.8
    assert "classes" not in boosting, "one class of attacks was learned: there is nothing to tell apart"
    assert "trap" in report["supervised"]["random_split"]["warning"]
    assert "difficulty" not in report["data"]["columns"]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 6
    assert "http" not in page.replace("http=", "").replace("http_", "").split("<h2>Data</h2>")[0]


def test_nsl_kdd_without_labels_in_the_test_says_what_is_needed(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published competition table has no labels: nothing can be measured on it."""
    train, test = tables / "nslkdd_Train_data.csv", tables / "nslkdd_Test_data.csv"
    assert main(["benchmark", "nsl-kdd", "--train", str(train), "--test", str(test), *QUICK]) == ExitCode.DATA
    shown = capsys.readouterr().err
    assert "nslkdd_Test_data.csv has no column 'class'" in shown
    assert "nothing can be measured" in shown


def test_kdd99_has_five_classes_and_holds_families_out(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recall by class, and what a classifier makes of families it never saw."""
    source = part(
        tables / "kddcup.data_10_percent.gz", tmp_path / "kdd", lambda row: row[len(FEATURES)], 150, header=False
    )
    # Benign rows are one label of twenty-three: more of them, so that there is something to learn.
    benign = part(tables / "kddcup.data_10_percent.gz", tmp_path / "b", lambda row: row[-1], 900, header=False)
    text = "".join(line for line in benign.read_text().splitlines(keepends=True) if line.strip().endswith("normal."))
    source.write_text(source.read_text() + text)
    report = told(capsys, "kdd99", "--data", source)
    assert set(figures(report)["portfolio"]["recall_by_class"]) == {"DoS", "probe", "R2L", "U2R"}
    assert len(report["benign_only"]["held_out_families"]) == 22
    assert report["data"]["duplicates"]["removed"] > 100
    classes = report["supervised"]["tests"]["test"]["models"]["gradient_boosting"]["classes"]["by_class"]
    assert {"benign", "DoS", "R2L"} <= set(classes)
    assert "held-out families" in report["supervised"]["protocol"]


def test_cicids2017_by_day(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Benign rows of the first day are learned from; addresses, ports and the attempt's category are left out."""
    source = part(
        tables / "cicids2017_improved_MonTueWed.csv.gz",
        tmp_path / "cic.csv",
        lambda row: row[-2] + row[7][:10],
        500,
    )
    report = told(capsys, "cicids2017", "--data", source)
    assert {"Src IP", "Dst Port", "Flow ID", "Timestamp", "Attempted Category"} <= set(
        report["data"]["left_out_columns"]
    )
    assert figures(report)["portfolio"]["roc_auc"]["mean"] > 0.8
    assert report["supervised"]["held_out_families"] == [["DoS GoldenEye", "DoS Hulk", "DoS Slowloris"]]


def test_unsw_nb15(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without TTLs; and a family is held out of the classifiers."""
    source = part(tables / "unsw_nb15_dev.csv.gz", tmp_path / "unsw.csv", lambda row: row[-2], 300)
    report = told(capsys, "unsw-nb15", "--data", source)
    assert {"id", "sttl", "dttl", "ct_state_ttl", "label", "attack_cat"} <= set(report["data"]["left_out_columns"])
    assert set(figures(report)["portfolio"]["recall_by_class"]) == set(report["benign_only"]["held_out_families"])
    assert report["supervised"]["tests"]["test"]["never_seen_rows"] > 0


def test_any_table_of_one_attack_family(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Benign-only works; with one family nothing can be held out, and it says so beside the random split."""
    source = part(tables / "cicids2017_original_format_sample.csv", tmp_path / "t.csv", lambda row: row[-1], 400)
    report = told(capsys, "table", "--train", source, "--label", "Label", "--benign", "BENIGN")
    assert set(report["data"]["left_out_columns"]) >= {"Flow ID", "Source IP", "Destination Port", "Timestamp"}
    assert "at least two attack families" in report["supervised"]["skipped"]
    assert report["supervised"]["random_split"]["models"]["gradient_boosting"]["accuracy"]["mean"] > 0.5


def test_a_table_with_a_test_file_in_words(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json a person reads it; dropped and kept columns are honoured."""
    source = part(tables / "unsw_nb15_dev.csv.gz", tmp_path / "unsw.csv", lambda row: row[-2], 600)
    lines = source.read_text().splitlines()
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("\n".join([lines[0], *lines[1::2]]) + "\n")
    second.write_text("\n".join([lines[0], *lines[2::2]]) + "\n")
    words = ["table", "--train", str(first), "--test", str(second), "--label", "attack_cat", "--benign", "Normal"]
    words += ["--drop", "label", "rate", "--keep", "sttl", "--mode", "benign-only"]
    assert main(["benchmark", *words, *(word for word in QUICK if word != "--json")]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "left out: rate (asked for)" in shown
    assert "left out: sttl" not in shown
    assert "portfolio" in shown
    assert "best single feature" in shown
