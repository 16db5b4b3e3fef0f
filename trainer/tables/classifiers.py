"""Classifiers: what labels add, and the portfolio beside them for what nobody has labelled yet.

Gradient boosting and a small network learn all classes at once; a row's attack score is one minus the chance that it is
benign. A classifier knows only the attacks it was shown: on attacks of new families it is sure, and wrong. So the third
model says attack where the mean of the two says so, *or* where the benign-only portfolio finds the row stranger than a
small share alpha of benign rows. alpha is chosen by families: some are held out of the training rows, and the alpha
wins that best tells held-out attacks from benign rows, by balanced accuracy. No test row has a part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.scaling import Scaling
from trainer.tables.labelled import ATTACK, BENIGN
from trainer.tables.views import learned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ALPHAS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1)
_FOLDS: Final = 3
_CLUSTERS: Final = 9
_MOST_ROWS: Final = 40_000


class Boosting:
    """Gradient-boosted trees (scikit-learn's histogram kind), classes weighted alike."""

    kind = "gradient_boosting"

    def __init__(self, *, seed: int, rounds: int = 120) -> None:
        self.seed = seed
        self.rounds = rounds
        self.trees_: Any = None

    def fit(self, rows: NDArray[np.float32], classes: NDArray[np.str_]) -> Self:
        """Learn rows `[n, F]` of `classes` `[n]`."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        trees = HistGradientBoostingClassifier(
            max_iter=self.rounds,
            learning_rate=0.1,
            max_leaf_nodes=15,
            min_samples_leaf=10,
            l2_regularization=1.0,
            class_weight="balanced",
            early_stopping=False,
            random_state=self.seed,
        )
        # Its threads wait for one another by spinning: on a busy machine two take many times as long as one.
        with threadpool_limits(1, user_api="openmp"):
            self.trees_ = trees.fit(rows, classes)
        return self

    def chances(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
        """The classes `[K]` and the chance `[n, K]` of each."""
        from threadpoolctl import threadpool_limits

        trees = learned(self.trees_, self.kind)
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(trees.classes_), trees.predict_proba(rows)


class Perceptron:
    """A network of two hidden layers on standardised logarithms, stopped by a held-back tenth."""

    kind = "mlp"

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.scaling_: Scaling | None = None
        self.network_: Any = None

    def fit(self, rows: NDArray[np.float32], classes: NDArray[np.str_]) -> Self:
        """Learn rows `[n, F]` of `classes` `[n]`."""
        from sklearn.neural_network import MLPClassifier

        _, counts = np.unique(classes, return_counts=True)
        self.scaling_ = Scaling.fit(rows, None, clip=8.0, floor=0.1)
        self.network_ = MLPClassifier(
            (64, 32),
            alpha=1e-3,
            batch_size=min(256, max(len(rows) // 2, 1)),
            learning_rate_init=2e-3,
            max_iter=40,
            # A class of one row cannot be split into learned and held back.
            early_stopping=bool(counts.min() >= 2 and len(rows) >= 200),
            n_iter_no_change=5,
            random_state=self.seed,
        )
        self.network_.fit(self.scaling_.apply(rows), classes)
        return self

    def chances(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
        """The classes `[K]` and the chance `[n, K]` of each."""
        network, scaling = learned(self.network_, self.kind), learned(self.scaling_, self.kind)
        return np.asarray(network.classes_), network.predict_proba(scaling.apply(rows))


CLASSIFIERS: Final = (Boosting, Perceptron)


@dataclass(frozen=True, slots=True)
class Budget:
    """The share `alpha` of benign rows that the portfolio may call attacks, and how each candidate did."""

    alpha: float
    tried: dict[str, float]
    rule: str


def attack_chance(classifier: Boosting | Perceptron, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """One minus the chance of being benign. `[n]`."""
    classes, chances = classifier.chances(rows)
    at = np.flatnonzero(classes == BENIGN)
    return 1.0 - chances[:, at[0]] if len(at) else np.ones(len(rows))


def budget(
    rows: NDArray[np.float32],
    family: NDArray[np.str_],
    strangeness: NDArray[np.float32],
    *,
    reference: NDArray[np.float32],
    held: NDArray[np.bool_],
    seed: int,
) -> Budget:
    """Choose alpha on training rows `[n, F]` alone.

    `strangeness` `[n]` is the portfolio's score of those rows, `reference` its scores of other benign rows, whose
    quantiles are the thresholds. `held` `[n]` marks benign rows that the portfolio was not fitted on: only these may be
    judged.
    """
    groups = kinds_of_attack(rows, family, seed)
    folds = _folds(groups, seed)
    cuts = {alpha: float(np.quantile(reference, 1 - alpha)) for alpha in ALPHAS}
    benign = family == BENIGN
    right: dict[float, list[float]] = {alpha: [] for alpha in ALPHAS}
    for out in folds:
        away = np.isin(groups, out) & ~benign
        learning = ~away & ~held
        if len(np.unique(benign[learning])) < 2 or not away.any():
            continue
        trees = Boosting(seed=seed, rounds=60).fit(rows[learning], np.where(benign[learning], BENIGN, ATTACK))
        judged = away | held
        says = attack_chance(trees, rows[judged]) > 0.5
        truth = away[judged]
        weight = _alike(groups[judged], truth)
        for alpha, cut in cuts.items():
            called = says | (strangeness[judged] >= cut)
            caught = float(np.average(called[truth], weights=weight[truth]))
            right[alpha].append((caught + float(np.mean(~called[~truth]))) / 2)
    tried = {f"{alpha:g}": round(float(np.mean(values)), 5) for alpha, values in right.items() if values}
    if not tried:
        return Budget(0.01, {}, "one kind of attack alone: nothing to hold out, so the usual 1 %")
    best = max(tried, key=lambda name: (tried[name], -float(name)))
    return Budget(float(best), tried, "best mean balanced accuracy on attacks of held-out families, training rows only")


def kinds_of_attack(rows: NDArray[np.float32], family: NDArray[np.str_], seed: int) -> NDArray[np.str_]:
    """The family of each row; where attacks have no names, the cluster they fall into."""
    attacks = family != BENIGN
    if len(np.unique(family[attacks])) > 1 or int(attacks.sum()) < 10 * _CLUSTERS:
        return family
    from trainer.detectors.clusters import assign, kmeans

    scaled = Scaling.fit(rows, None, clip=8.0, floor=0.1).apply(rows[attacks])
    centres = kmeans(scaled, np.ones(len(scaled), dtype=np.float32), _CLUSTERS, seed)
    named = family.astype(np.dtype("U24"))
    named[attacks] = [f"cluster {at}" for at in assign(scaled, centres).tolist()]
    return named


def _folds(groups: NDArray[np.str_], seed: int) -> list[list[str]]:
    names = sorted({*np.unique(groups).tolist()} - {BENIGN})
    if len(names) < 2:
        return []
    order = np.random.default_rng([seed, 35]).permutation(len(names)).tolist()
    count = min(_FOLDS, len(names))
    return [[names[at] for at in order[start::count]] for start in range(count)]


def _alike(groups: NDArray[np.str_], attack: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights by which every family counts alike, so that a flood does not outvote the rest."""
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.where(attack, 1.0 / counts[place], 1.0)


def sample(count: int, seed: int, most: int = _MOST_ROWS) -> NDArray[np.intp]:
    """At most `most` of `count` rows, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, 36]).choice(count, most, replace=False))


def accuracy(called: NDArray[np.bool_], attack: NDArray[np.bool_]) -> dict[str, float]:
    """Accuracy, and what hides behind it: recall, precision, false-positive rate, balanced accuracy."""
    caught = float(np.mean(called[attack])) if attack.any() else float("nan")
    wrong = float(np.mean(called[~attack])) if (~attack).any() else float("nan")
    return {
        "accuracy": float(np.mean(called == attack)),
        "balanced_accuracy": (caught + 1 - wrong) / 2,
        "recall": caught,
        "precision": float(np.mean(attack[called])) if called.any() else 0.0,
        "false_positive_rate": wrong,
    }


def by_class(called: NDArray[np.str_], truth: NDArray[np.str_], names: Sequence[str]) -> dict[str, Any]:
    """For every class: rows, and the share of them given that very class, which a class never learned cannot get."""
    return {
        name: {"rows": int((truth == name).sum()), "recall": float(np.mean(called[truth == name] == name))}
        for name in names
        if (truth == name).any()
    }
