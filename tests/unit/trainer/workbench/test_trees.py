"""Trees in a graph: they answer as what they were drawn from, to the last float32 value beside a cut."""

from __future__ import annotations

import lightgbm
import numpy as np
from sklearn.ensemble import IsolationForest as Forest
from sklearn.tree import DecisionTreeRegressor

from trainer.workbench.candidates.base import Prepared, Told
from trainer.workbench.candidates.detectors.isolation import IsolationForest
from trainer.workbench.candidates.graph import Drawing, Runner, finished
from trainer.workbench.candidates.trees import Trees, add_stairs, boosted, grown, none_yet, summed


def ask(trees: Trees, rows: np.ndarray, targets: int) -> np.ndarray:
    drawing = Drawing()
    drawing.op("Identity", summed(drawing, "features", trees, targets), out="sums")
    return Runner(finished(drawing, rows.shape[1], "sums", targets))(rows)


def test_stairs_find_the_step_of_every_value() -> None:
    """A cut belongs to the step below it; the next float32 value is on the step above. Features add up."""
    cuts = np.array([-1.0, 0.1, 2.5], dtype=np.float32)
    levels = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])
    trees = none_yet()
    add_stairs(trees, 0, cuts, levels)
    add_stairs(trees, 1, cuts[:1], np.array([[0.0, 0.0], [100.0, 0.0]]))
    above = np.nextafter(cuts, np.float32(np.inf))
    values = np.concatenate([[-9.0], np.stack([cuts, above], axis=1).ravel(), [9.0]]).astype(np.float32)
    rows = np.stack([values, np.full_like(values, -2.0)], axis=1)
    step = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(ask(trees, rows, 2), levels[step].astype(np.float32))
    rows[:, 1] = 2.0
    np.testing.assert_array_equal(ask(trees, rows, 2)[:, 0], levels[step, 0].astype(np.float32) + 100)


def test_grown_trees_answer_as_scikit_learn_does_beside_every_cut() -> None:
    """Cuts are float64 there and float32 here; no value changes sides."""
    chance = np.random.default_rng(4)
    rows = chance.normal(0, 1, (400, 2)).astype(np.float32)
    trees = [
        DecisionTreeRegressor(max_depth=6, random_state=seed).fit(rows, chance.normal(0, 1, 400)) for seed in (1, 2)
    ]
    cuts = np.concatenate([one.tree_.threshold[one.tree_.feature >= 0] for one in trees]).astype(np.float32)
    near = np.concatenate([np.nextafter(cuts, np.float32(side)) for side in (-np.inf, np.inf)] + [cuts])
    asked = np.stack([near, chance.permutation(near)], axis=1)
    given = ask(grown([one.tree_ for one in trees], lambda tree: tree.value[:, 0, 0]), asked, 1)[:, 0]
    np.testing.assert_allclose(given, sum(one.predict(asked) for one in trees), atol=1e-5)


def test_boosted_trees_answer_as_lightgbm_does_beside_every_cut() -> None:
    """Of three classes, so that trees take turns at three sums; no value changes sides."""
    chance = np.random.default_rng(6)
    rows = chance.normal(0, 1, (400, 2)).astype(np.float32)
    kinds = (rows[:, 0] > 0).astype(int) + (rows[:, 1] > 0.5)
    asked = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(asked, lightgbm.Dataset(rows, kinds), 4)
    trees = boosted([one["tree_structure"] for one in booster.dump_model()["tree_info"]], 3)
    cuts = np.array(
        [cut for cut, mode in zip(trees["nodes_values"], trees["nodes_modes"], strict=True) if mode != "LEAF"]
    )
    cuts = cuts.astype(np.float32)
    near = np.concatenate([np.nextafter(cuts, np.float32(side)) for side in (-np.inf, np.inf)] + [cuts])
    both = np.stack([near, chance.permutation(near)], axis=1)
    np.testing.assert_allclose(ask(trees, both, 3), booster.predict(both, raw_score=True), atol=1e-5)


def test_an_isolation_forest_that_sees_parts_of_a_row_asks_the_right_columns() -> None:
    """Trees count the columns they were shown; the graph's scores are scikit-learn's all the same."""
    chance = np.random.default_rng(5)
    rows = chance.normal(0, 1, (800, 6)).astype(np.float32) * np.array([1, 2, 4, 8, 16, 32], dtype=np.float32)
    data = Prepared(names=tuple("abcdef"), sources=tuple("abcdef"), fit=rows, select=rows[:50])
    detector = IsolationForest({"max_features": 0.5}, 3).fit(data, Told())
    wanted = -Forest(max_samples=256, max_features=0.5, random_state=3).fit(rows).score_samples(rows)
    assert np.corrcoef(detector.strangeness(rows), wanted)[0, 1] > 0.999
