"""The encoding gives the same features in Python and in its graph, whatever a table holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainer.workbench.candidates.graph import session
from trainer.workbench.files.prelude import prelude
from trainer.workbench.files.whole import inputs
from trainer.workbench.rows import encoding
from trainer.workbench.rows.table import Numbers, Rows, Words
from trainer.workbench.settings import Settings

SETTINGS = (
    {},
    {"encoding": "ordinal"},
    {"scaling": "none"},
    {"scaling": "standard", "missing": "zero"},
    {"scaling": "robust", "outliers": "clip", "missing": "most-frequent"},
    {"scaling": "log", "outliers": "clip", "missing": "mean"},
)


def rows(count: int, seed: int, words: tuple[str, ...]) -> Rows:
    chance = np.random.default_rng(seed)
    wide = np.exp(chance.normal(0, 8, count)).astype(np.float32)
    wide[:9] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 3e38, -3e38, 1e-40, -1.0]
    small = chance.integers(0, 3, count).astype(np.float32)
    full = np.full(count, 7.0, dtype=np.float32)
    return Rows(
        {
            "wide": Numbers(wide),
            "word": Words(chance.integers(0, len(words), count).astype(np.int32), words),
            "small": Numbers(small),
            "full": Numbers(full),
        },
        count,
    )


@pytest.mark.parametrize("given", SETTINGS, ids=str)
def test_python_and_graph_give_the_same_float(given: dict[str, Any]) -> None:
    """To the last bit, for gaps, infinities, the largest and smallest floats, and words never seen."""
    encoder = encoding.fit(rows(400, 1, ("a", "b", "")), ("wide", "word", "small", "full"), Settings(**given))
    asked = rows(300, 2, ("b", "", "never seen", "a", "Ünïcode"))
    python = encoder.apply(asked)
    graph = session(prelude(encoder)).run(None, inputs(encoder, asked, slice(None)))[0]
    assert np.isfinite(python).all()
    np.testing.assert_array_equal(python, graph)
    assert python.shape[1] == len(encoder.features())


def test_a_row_is_encoded_alone_as_in_a_batch() -> None:
    """One row through the graph gives the row of the batch."""
    encoder = encoding.fit(rows(400, 1, ("a", "b", "")), ("wide", "word", "small"), Settings())
    asked = rows(40, 2, ("b", "zz"))
    run = session(prelude(encoder))
    batch = run.run(None, inputs(encoder, asked, slice(None)))[0]
    alone = [run.run(None, inputs(encoder, asked, slice(at, at + 1)))[0][0] for at in range(40)]
    np.testing.assert_array_equal(batch, np.stack(alone))


def test_an_unseen_word_is_another() -> None:
    """It has no feature of its own and is the same as any other unseen word."""
    encoder = encoding.fit(rows(100, 1, ("a", "b")), ("word",), Settings())
    names = [name for name, _ in encoder.features()]
    asked = Rows({"word": Words(np.array([0, 1], dtype=np.int32), ("x", "y"))}, 2)
    found = encoder.apply(asked)
    assert names[-1] == "word is another"
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0, -1] == 1.0


def test_small_values_keep_apart_under_the_logarithm() -> None:
    """Microseconds beside minutes are not all the same number."""
    values = np.array([1e-6, 2e-6, 4e-6, 8e-6, 1.0, 60.0] * 20, dtype=np.float32)
    encoder = encoding.fit(Rows({"dur": Numbers(values)}, 120), ("dur",), Settings())
    found = encoder.apply(Rows({"dur": Numbers(values[:6])}, 6))[:, 0]
    assert (np.diff(found) > 0.01).all()


def test_only_columns_with_gaps_get_a_feature_for_them() -> None:
    """A gap is told where fit rows had one."""
    encoder = encoding.fit(rows(100, 1, ("a",)), ("wide", "small"), Settings())
    assert [name for name, _ in encoder.features()] == ["wide", "small", "wide is missing"]


def test_many_words_keep_the_most_frequent() -> None:
    """No column makes more features than `MOST_WORDS` and one."""
    words = tuple(f"w{at}" for at in range(500))
    codes = np.concatenate([np.arange(500), np.zeros(50)]).astype(np.int32)
    encoder = encoding.fit(Rows({"word": Words(codes, words)}, 550), ("word",), Settings())
    assert len(encoder.features()) == encoding.MOST_WORDS + 1
    assert encoder.words[0].words[0] == "w0"
