"""Pictures: what they show is what is in the table, in the console's form and as image files."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import tables_in_files as files

from trainer.errors import SettingsUnusable
from trainer.workbench.datasets import plotting
from trainer.workbench.datasets.importing import Asked as Source
from trainer.workbench.datasets.importing import import_table
from trainer.workbench.datasets.plotting import Asked

ROWS = 400
RNG = np.random.default_rng(5)
COLUMNS = {
    "bytes": np.floor(RNG.lognormal(5, 3, ROWS)),
    "rate": [None if at % 10 == 0 else float(at % 20) for at in range(ROWS)],
    "$odd' \"name": RNG.normal(0, 1, ROWS),
    "few": np.arange(ROWS) % 5,
    "service": [f"s{at % 40}" for at in range(ROWS)],
    "seen": pa.array(np.arange(ROWS) * 3_600_000, pa.timestamp("ms", tz="UTC")),
    "class": ["normal" if at % 4 else "attack" for at in range(ROWS)],
    "empty": pa.nulls(ROWS, pa.float64()),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("plots")
    (path / "t.parquet").write_bytes(files.parquet_bytes(COLUMNS))
    import_table(Source(str(path / "t.parquet"), path / "set"), lambda *_: None)
    return path / "set"


PICTURES = [
    Asked("histogram", "bytes"), Asked("histogram", "rate", by="class"), Asked("histogram", "few"), Asked("histogram", "seen"),
    Asked("histogram", "service"), Asked("box", "bytes", by="class"), Asked("box", "$odd' \"name"), Asked("counts", "service", by="class"),
    Asked("counts", "class"), Asked("scatter", "bytes", "rate", "class"), Asked("scatter", "few", "$odd' \"name", "service"),
    Asked("heatmap"), Asked("embedding", by="class"), Asked("embedding"), Asked("embedding", by="class", method="tsne"),
]


@pytest.mark.parametrize("asked", PICTURES, ids=lambda asked: f"{asked.kind}-{asked.x or ''}-{asked.by or ''}-{asked.method}")
def test_every_picture_is_a_plot_and_an_image(folder, tmp_path, asked):
    """Each kind gives a plain JSON option without colours of text or ground, and an SVG; nothing in it is not a number."""
    told = plotting.plot(folder, asked, tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text()) == told
    assert told["format"] == "anomaflow-plot-1"
    assert told["title"]
    text = json.dumps(told, allow_nan=False)
    assert "textStyle" not in text
    assert '"backgroundColor": "transparent"' in text
    assert told["option"]["series"]
    plotting.plot(folder, asked, tmp_path / "p.svg")
    assert b"<svg" in (tmp_path / "p.svg").read_bytes()[:1000]


def series(told):
    return {one["name"]: one["data"] for one in told["option"]["series"]}


def test_histograms_count_every_row(folder):
    """Bars of all groups together are all rows that have a value; those without are named."""
    told = plotting.plot(folder, Asked("histogram", "rate", by="class"))
    found = series(told)
    assert set(found) == {"normal", "attack"}
    assert sum(map(sum, found.values())) == ROWS - 40
    assert "40 rows without a value" in told["note"]
    few = plotting.plot(folder, Asked("histogram", "few"))
    assert few["option"]["xAxis"]["data"] == ["0", "1", "2", "3", "4"]
    assert series(few)["rows"] == [80] * 5
    assert "ranges grow" in plotting.plot(folder, Asked("histogram", "bytes"))["note"]


def test_counts_keep_the_frequent_and_gather_the_rest(folder):
    """25 values and the others together make all rows."""
    told = plotting.plot(folder, Asked("counts", "service"))
    assert len(told["option"]["xAxis"]["data"]) == 26
    assert told["option"]["xAxis"]["data"][-1] == "(other)"
    assert sum(series(told)["rows"]) == ROWS


def test_boxes_are_tukeys(folder):
    """Quartiles interpolated, whiskers at the last values within one and a half boxes."""
    name = "$odd' \"name"
    low, middle, high = np.quantile(COLUMNS[name], [0.25, 0.5, 0.75])
    inside = COLUMNS[name][(COLUMNS[name] >= low - 1.5 * (high - low)) & (COLUMNS[name] <= high + 1.5 * (high - low))]
    box = plotting.plot(folder, Asked("box", name))["option"]["series"][0]["data"][0]
    assert box == pytest.approx([inside.min(), low, middle, high, inside.max()], rel=1e-4)
    assert "are not drawn" in plotting.plot(folder, Asked("box", "bytes"))["note"]


def test_scatter_leaves_out_rows_without_values_and_says_its_scale(folder):
    """A point needs both values; what spans many powers of ten is drawn by its logarithm."""
    told = plotting.plot(folder, Asked("scatter", "bytes", "rate", "class"))
    assert sum(len(points) for points in series(told).values()) == ROWS - 40
    assert told["option"]["xAxis"]["name"] == "log10(1 + bytes)"


def test_an_embedding_separates_what_is_different(folder):
    """Every row is a point; components say their share; the same table gives the same picture."""
    first, again = plotting.plot(folder, Asked("embedding", by="class")), plotting.plot(folder, Asked("embedding", by="class"))
    assert first == again
    assert sum(len(points) for points in series(first).values()) == ROWS
    assert "of the variation" in first["option"]["xAxis"]["name"]


def test_images_of_the_same_picture_are_the_same_bytes(folder, tmp_path):
    """Nothing of the moment is in an image."""
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        plotting.plot(folder, Asked("counts", "class"), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(("asked", "says"), [
    (Asked("histogram"), "name a column with --x"),
    (Asked("scatter", "bytes"), "name a column with --y"),
    (Asked("scatter", "bytes", "service"), "numbers are needed"),
    (Asked("box", "service"), "numbers are needed"),
    (Asked("histogram", "no"), "no column 'no'"),
    (Asked("histogram", "empty"), "is empty"),
    (Asked("box", "empty"), "is empty"),
])
def test_what_cannot_be_drawn_is_said(folder, asked, says):
    """A picture that needs another column says so."""
    with pytest.raises(SettingsUnusable, match=says):
        plotting.plot(folder, asked)


def test_files_of_other_kinds_are_refused(folder, tmp_path):
    """Only JSON, SVG and PNG are written."""
    with pytest.raises(SettingsUnusable, match="ends with none"):
        plotting.plot(folder, Asked("counts", "class"), tmp_path / "p.exe")
