"""Published layouts are understood, and a file that is not one is refused in words that say what is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from trainer.errors import TableUnreadable
from trainer.tables import kdd, sets
from trainer.tables.labelled import BENIGN

if TYPE_CHECKING:
    from pathlib import Path


def _raw(tmp_path: Path, name: str, rows: list[tuple[str, int]], *, difficulty: bool = True) -> Path:
    """A raw NSL-KDD file: `rows` are attack and difficulty."""
    lines = []
    for at, (attack, hard) in enumerate(rows):
        values = [str(at), "tcp", "http", "SF", *["0"] * 37, attack, *([str(hard)] if difficulty else [])]
        lines.append(",".join(values))
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def _headed(tmp_path: Path, name: str, labels: list[str] | None) -> Path:
    header = [*kdd.FEATURES, *([] if labels is None else ["class"])]
    lines = [",".join(header)]
    for at in range(6):
        values = [str(at), "tcp", "http", "SF", *["0"] * 37, *([] if labels is None else [labels[at]])]
        lines.append(",".join(values))
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


_TRAIN = [("normal", 21), ("normal", 20), ("neptune", 21), ("satan", 15)]
_TEST = [("normal", 21), ("neptune", 21), ("mscan", 3), ("normal", 11)]


def test_raw_nsl_kdd_gives_both_tests_and_never_the_difficulty(tmp_path: Path) -> None:
    """KDDTest-21 is the rows of KDDTest+ that not all 21 learners got right."""
    data = kdd.nsl_kdd(_raw(tmp_path, "train", _TRAIN), _raw(tmp_path, "test", _TEST), None)
    assert list(data.table.columns) == list(kdd.FEATURES)
    assert data.family.tolist() == [BENIGN, BENIGN, "neptune", "satan", BENIGN, "neptune", "mscan", BENIGN]
    assert data.class_.tolist()[2:4] == ["DoS", "probe"]
    assert data.parts["KDDTest+"].tolist() == [False] * 4 + [True] * 4
    assert data.parts["KDDTest-21"].tolist() == [False] * 6 + [True] * 2
    assert data.official_test is not None
    assert data.official_test.sum() == 4
    assert "leaks" in data.left_out["difficulty"]
    assert data.never_seen(data.family, data.family[:4]).tolist() == [False] * 6 + [True, False]


def test_a_table_that_names_no_attack_takes_new_families_from_documentation(tmp_path: Path) -> None:
    """A training table of normal and anomaly, a raw test file."""
    train = _headed(tmp_path, "train.csv", ["normal", "anomaly"] * 3)
    data = kdd.nsl_kdd(train, _raw(tmp_path, "test", _TEST, difficulty=False), None)
    known = np.unique(data.family[:6])
    assert data.never_seen(data.family, known)[6:].tolist() == [False, False, True, False]
    assert any("no KDDTest-21" in note for note in data.notes)


def test_a_separate_test_21_is_taken_as_it_is(tmp_path: Path) -> None:
    """Its rows are judged, and no others of that name."""
    data = kdd.nsl_kdd(
        _raw(tmp_path, "train", _TRAIN), _raw(tmp_path, "test", _TEST), _raw(tmp_path, "hard", _TEST[2:3] + _TEST[:1])
    )
    assert {name: int(mask.sum()) for name, mask in data.parts.items()} == {"KDDTest+": 4, "KDDTest-21": 2}


def test_a_test_without_labels_is_refused(tmp_path: Path) -> None:
    """It says what is needed, and for what."""
    train = _headed(tmp_path, "train.csv", ["normal", "anomaly"] * 3)
    with pytest.raises(TableUnreadable, match=r"test\.csv has no column 'class'.*without it nothing can be measured"):
        kdd.nsl_kdd(train, _headed(tmp_path, "test.csv", None), None)


def test_the_label_may_have_another_of_its_usual_names(tmp_path: Path) -> None:
    """And a difficulty with a header is known as well."""
    path = _headed(tmp_path, "other.csv", ["normal", "neptune"] * 3)
    lines = path.read_text().splitlines()
    lines[0] = lines[0].removesuffix("class") + "label,level"
    path.write_text("\n".join([lines[0], *(f"{line},{20 + at % 2}" for at, line in enumerate(lines[1:]))]) + "\n")
    data = kdd.nsl_kdd(path, path, None)
    assert data.family.tolist()[:2] == [BENIGN, "neptune"]
    assert data.parts["KDDTest-21"].sum() == 3
    assert "level" not in data.table.columns


def test_other_layouts_and_labels_are_refused(tmp_path: Path) -> None:
    """Too few columns; a label column without normal rows; rows without a label."""
    (tmp_path / "short").write_text("1,2,3\n")
    with pytest.raises(TableUnreadable, match="3 values; NSL-KDD has 43"):
        kdd.nsl_kdd(tmp_path / "short", None, None)
    with pytest.raises(TableUnreadable, match="no row is labelled normal; the labels are neptune"):
        kdd.nsl_kdd(_raw(tmp_path, "train", [("neptune", 1)] * 3), None, None)
    with pytest.raises(TableUnreadable, match="have no label"):
        kdd.nsl_kdd(_headed(tmp_path, "gaps.csv", ["normal", "", "anomaly"] * 2), None, None)


def test_kdd_cup_names_end_in_a_point(tmp_path: Path) -> None:
    """And five classes come of them."""
    rows = [("normal.", 0), ("guess_passwd.", 0), ("rootkit.", 0), ("smurf.", 0), ("ipsweep.", 0), ("novelty.", 0)]
    data = kdd.kdd99(_raw(tmp_path, "kdd", rows, difficulty=False), None)
    assert data.class_.tolist() == [BENIGN, "R2L", "U2R", "DoS", "probe", "other"]


def _csv(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_any_table_by_its_label(tmp_path: Path) -> None:
    """The benign value in any case; families beside it; the time is no feature."""
    path = _csv(tmp_path, "t.csv", "at,bytes,label,cat\n3,1,0,\n1,2,1,dos\n2,3,1,\n4,4,0,\n")
    data = sets.table(path, None, label="label", benign="0", family="cat", time="at")
    assert data.family.tolist() == [BENIGN, "dos", "attack", BENIGN]
    assert list(data.table.columns) == ["bytes"]
    assert data.moment is not None
    assert data.moment.tolist() == [3, 1, 2, 4]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("bytes,label\n1,BENIGN\n2,x\n", "no row of 'label' is 'benign!'; its values are BENIGN, x"),
        ("bytes,other\n1,a\n", "no column 'label', which holds the label"),
        ("bytes,label\n1,benign!\n2,\n3,x\n", "some rows have no 'label'"),
        ("bytes,label\n1,benign!\n2,benign!\n", "no row to test on is an attack"),
    ],
)
def test_wrong_labels_are_refused(tmp_path: Path, text: str, match: str) -> None:
    """A misspelt benign value would otherwise make every row an attack."""
    with pytest.raises(TableUnreadable, match=match):
        sets.table(_csv(tmp_path, "t.csv", text), None, label="label", benign="benign!")


def test_a_test_table_needs_the_columns_of_the_training_table(tmp_path: Path) -> None:
    """Named, so that one can look."""
    first = _csv(tmp_path, "a.csv", "bytes,flags,label\n1,2,ok\n3,4,bad\n")
    second = _csv(tmp_path, "b.csv", "bytes,label\n1,ok\n2,bad\n")
    with pytest.raises(TableUnreadable, match=r"b\.csv lacks columns that a\.csv has: flags"):
        sets.table(first, second, label="label", benign="ok")


def test_cicids_is_dealt_by_day(tmp_path: Path) -> None:
    """The first day's benign rows are learned from, later days test."""
    rows = "".join(
        f"{at},10.0.0.{at},5{at},2017-07-0{day} 0{at}:00:00,{at},{label},-1\n"
        for at, (day, label) in enumerate([(4, "DoS Hulk"), (3, "BENIGN"), (4, "BENIGN"), (5, "DoS GoldenEye")])
    )
    path = _csv(tmp_path, "c.csv", "id,Src IP,Src Port,Timestamp,Flow Duration,Label,Attempted Category\n" + rows)
    data = sets.cicids2017(path)
    assert list(data.table.columns) == ["Flow Duration"]
    assert data.official_test is not None
    assert data.official_test.tolist() == [True, False, True, True]
    assert set(data.left_out) == {"id", "Src IP", "Src Port", "Timestamp", "Label", "Attempted Category"}
    one_day = _csv(
        tmp_path, "d.csv", "Timestamp,Flow Duration,Label\n2017-07-03 01:00,1,BENIGN\n2017-07-03 02:00,2,x\n"
    )
    with pytest.raises(TableUnreadable, match="all rows are of one day"):
        sets.cicids2017(one_day)


def test_unsw_leaves_ttls_out(tmp_path: Path) -> None:
    """They tell its networks apart, not attacks."""
    path = _csv(tmp_path, "u.csv", "id,dur,sttl,attack_cat,label\n1,0.1,254,Normal,0\n2,0.2,62,Fuzzers,1\n")
    data = sets.unsw_nb15(path, None)
    assert list(data.table.columns) == ["dur"]
    assert data.family.tolist() == [BENIGN, "Fuzzers"]
