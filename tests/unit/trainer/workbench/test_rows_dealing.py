"""Reading, the task, the choice of columns, and roles that never overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables_of_rows import columns, write

from trainer.errors import NotEnoughRows, SettingsUnusable, TableUnreadable
from trainer.workbench.rows import features, split, table, task
from trainer.workbench.rows.dealing import deal
from trainer.workbench.rows.table import Numbers, Rows, Words
from trainer.workbench.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def words(values: list[str]) -> Words:
    known = tuple(dict.fromkeys(values))
    return Words(np.array([known.index(value) for value in values], dtype=np.int32), known)


def labelled(values: list[str], **settings: Any) -> task.Task:
    return task.find(Rows({"label": words(values)}, len(values)), Settings(label="label", **settings))


@pytest.mark.parametrize(
    ("values", "settings", "kind", "benign"),
    [
        (["normal.", "smurf."], {}, "binary", ("normal.",)),
        (["BENIGN", "DoS", "Bot"], {}, "multiclass", ("BENIGN",)),
        (["0", "1"], {}, "binary", ("0",)),
        (["False", "True"], {}, "binary", ("False",)),
        (["normal", "normal"], {}, "benign-only", ("normal",)),
        (["good", "fraud"], {"task": "benign-only"}, "benign-only", ("good",)),
        (["a", "b", "b"], {}, "binary", ("b",)),
        (["a", "b", "c"], {"benign": ("c", "a")}, "multiclass", ("a", "c")),
        (["a", "b"], {"task": "unsupervised"}, "unsupervised", ("a",)),
    ],
)
def test_the_task_is_read_off_the_label(
    values: list[str], settings: dict[str, Any], kind: str, benign: tuple[str, ...]
) -> None:
    """Its kind, what is ordinary, ordinary classes first."""
    found = labelled(values, **settings)
    assert found.kind == kind
    assert found.benign == benign
    assert found.classes[: len(benign)] == benign


def test_a_guess_about_the_ordinary_is_said() -> None:
    """Where no name says it, the most frequent value is taken, in words."""
    assert "most frequent" in labelled(["a", "b", "b"]).why


def test_without_a_label_strangeness_is_looked_for() -> None:
    """No label, no classes."""
    assert task.find(Rows({"x": words(["a"])}, 1), Settings()).kind == "unsupervised"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"label": "nothing"}, SettingsUnusable),
        ({"label": "label", "benign": ("elsewhere",)}, SettingsUnusable),
        ({"task": "binary"}, SettingsUnusable),
    ],
)
def test_a_label_that_cannot_be_is_refused(settings: dict[str, Any], error: type[Exception]) -> None:
    """In words that say what there is."""
    with pytest.raises(error, match=r"finding the task: .+"):
        task.find(Rows({"label": words(["a", "b"])}, 2), Settings(**settings))


def test_what_must_not_be_learnt_is_left_out_and_named() -> None:
    """Row numbers, addresses, times, constants, copies of the label; a port stays, with a warning."""
    count = 400
    chance = np.random.default_rng(1)
    kind = chance.integers(0, 2, count)
    family = np.where(kind == 0, "none", np.where(chance.random(count) < 0.5, "scan", "flood"))
    rows = Rows(
        {
            "id": Numbers(np.arange(count, dtype=np.float32)),
            "row": Numbers(np.arange(1000, 1000 + count, dtype=np.float32)),
            "Src IP": words([f"10.0.0.{at % 200}" for at in range(count)]),
            "when": Numbers(np.arange(count, dtype=np.float64), time=True),
            "always": Numbers(np.full(count, 3, dtype=np.float32)),
            "family": words(family.tolist()),
            "Dst Port": Numbers(chance.integers(0, 9, count).astype(np.float32)),
            "packets": Numbers(chance.normal(0, 1, count).astype(np.float32)),
            "unwanted": Numbers(chance.normal(0, 1, count).astype(np.float32)),
            "label": words([str(one) for one in kind]),
        },
        count,
    )
    settings = Settings(label="label", drop=("unwanted",))
    found = features.choose(rows, task.find(rows, settings), settings)
    assert found.features == ("Dst Port", "packets")
    reasons = dict(found.left_out)
    assert "gives the label" in reasons["family"]
    assert reasons["always"] == "it never varies"
    assert reasons["unwanted"] == "asked for"
    assert all("identifier" in reasons[name] for name in ("id", "row"))
    assert "Dst Port" in found.warnings[0]
    asked = Settings(label="label", features=("family", "packets"))
    assert features.choose(rows, task.find(rows, asked), asked).features == ("family", "packets")


def test_a_constant_stays_where_strangeness_is_learnt() -> None:
    """What never varied on ordinary rows is a sign when it does."""
    rows = Rows({"always": Numbers(np.full(30, 3, dtype=np.float32))}, 30)
    assert features.choose(rows, task.find(rows, Settings()), Settings()).features == ("always",)


def test_nothing_left_to_learn_from_is_said() -> None:
    """Columns that are all left out."""
    rows = Rows({"label": words(["a", "b"])}, 2)
    settings = Settings(label="label")
    with pytest.raises(TableUnreadable, match="no column is left"):
        features.choose(rows, task.find(rows, settings), settings)


@pytest.mark.parametrize("how", ["random", "time", "group"])
def test_roles_never_overlap(how: str) -> None:
    """Nor do groups or, by time, the order of roles; a random split parts no two equal rows."""
    chance = np.random.default_rng(3)
    rows = Rows(
        {
            "x": Numbers(chance.integers(0, 60, 900).astype(np.float32)),
            "y": Numbers(chance.integers(0, 20, 900).astype(np.float32)),
            "when": Numbers(chance.permutation(900).astype(np.float64), time=True),
            "host": words([f"h{at % 9}" for at in range(900)]),
        },
        900,
    )
    column = {"time": "when", "group": "host"}.get(how)
    settings = Settings(split=how, split_column=column)  # type: ignore[arg-type]
    held = rows.only(("x", "y"))
    roles = split.split(rows, np.zeros(900, dtype=np.int64), settings, test_given=False, detects=True, features=held)
    assert roles.test is not None
    parts = [roles.fit, roles.select, roles.calibrate, roles.test]
    everyone = np.concatenate(parts)
    assert len(np.unique(everyone)) == len(everyone) == 900 - roles.duplicates
    assert min(map(len, parts)) > 50
    if how == "random":
        assert roles.duplicates > 0
        keys = [set(split.alike(held)[part].tolist()) for part in parts]
        assert not any(keys[one] & keys[two] for one in range(4) for two in range(one))
        assert "flatter" in roles.warning
    if how == "time":
        when = rows.columns["when"].values  # type: ignore[union-attr]
        assert when[roles.fit].max() < when[roles.calibrate].min() < when[roles.select].min() < when[roles.test].min()
    if how == "group":
        host = rows.columns["host"].as_words()
        assert not set(host[roles.test]) & set(host[np.concatenate(parts[:3])])


def test_a_large_table_is_sampled_by_seed_in_its_order(tmp_path: Path) -> None:
    """The same rows with the same seed; the table's own count is told."""
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"x": np.arange(200_000)}), path, row_group_size=10_000)
    once, again, other = (table.read(path, max_rows=500, seed=seed) for seed in (1, 1, 2))
    values = [each.columns["x"].values for each in (once, again, other)]  # type: ignore[union-attr]
    np.testing.assert_array_equal(values[0], values[1])
    assert (np.diff(values[0]) > 0).all()
    assert (values[0] != values[2]).any()
    assert (len(once), once.of) == (500, 200_000)


def test_every_type_of_a_table_is_read(tmp_path: Path) -> None:
    """Numbers, truth values, words as they are or in a dictionary, times; nulls are missing."""
    path = write(
        tmp_path / "table.parquet",
        {
            "int": [1, None, 3],
            "bool": [True, False, None],
            "text": ["a", None, ""],
            "dict": pa.array(["x", "y", None]).dictionary_encode(),
            "time": pa.array([0, 1500, None], pa.timestamp("ms", "UTC")),
        },
    )
    rows = table.read(path, max_rows=10, seed=0)
    assert np.isnan(rows.columns["int"].values[1])  # type: ignore[union-attr]
    assert rows.columns["bool"].as_words().tolist() == ["1", "0", ""]
    assert rows.columns["text"].as_words().tolist() == ["a", "", ""]
    assert rows.columns["dict"].as_words().tolist() == ["x", "y", ""]
    assert rows.columns["time"].values[1] == 1.5  # type: ignore[union-attr]


def test_a_given_test_table_is_the_test_and_decides_nothing(tmp_path: Path) -> None:
    """Its rows are all judged, with another test table the learnt rows are the same."""
    train = write(tmp_path / "a" / "table.parquet", columns(400, seed=1))
    parts = [write(tmp_path / f"t{seed}" / "table.parquet", columns(100, seed=seed)) for seed in (2, 3)]
    one, two = (deal(Settings(label="kind"), train, part) for part in parts)
    assert one.roles.how == "file"
    assert len(one.test) == 100
    np.testing.assert_array_equal(one.prepared.fit, two.prepared.fit)
    assert one.encoder == two.encoder


def test_a_test_table_without_its_label_is_refused_in_words(tmp_path: Path) -> None:
    """What to do about it is said."""
    held = columns(100, seed=2)
    del held["kind"]
    train = write(tmp_path / "a" / "table.parquet", columns(200, seed=1))
    test = write(tmp_path / "b" / "table.parquet", held)
    with pytest.raises(TableUnreadable, match="predict the unlabelled one afterwards"):
        deal(Settings(label="kind"), train, test)


def test_a_class_never_learnt_counts_as_wrong(tmp_path: Path) -> None:
    """And is said."""
    train = write(tmp_path / "a" / "table.parquet", columns(300, seed=1, kinds=2))
    test = write(tmp_path / "b" / "table.parquet", columns(300, seed=2, kinds=3))
    found = deal(Settings(label="kind"), train, test)
    assert found.test.truth is not None
    assert (found.test.truth == -1).any()
    assert any("never" in note or "no learnt row" in note for note in found.notes)


def test_only_ordinary_rows_are_learnt_and_calibrated(tmp_path: Path) -> None:
    """Of a benign-only task; strange ones that are known help to choose."""
    path = write(tmp_path / "table.parquet", columns(600))
    found = deal(Settings(label="kind", task="benign-only"), path, None)
    assert found.prepared.fit_class is None
    assert found.select.truth is not None
    ordinary = sum(kind == "normal" for kind in columns(600)["kind"])
    learnt = len(found.prepared.fit) + len(found.calibrate) + int((found.select.truth == 0).sum())
    assert learnt + int((found.test.truth == 0).sum()) == ordinary  # type: ignore[union-attr]


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    """Before anything is fitted."""
    with pytest.raises(NotEnoughRows):
        deal(Settings(label="kind"), write(tmp_path / "table.parquet", columns(12)), None)
