"""The models that an experiment may try, as the settings page shows them.

The trainer has the same list with what fits them; a test holds the two together, because this room never imports that
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Model:
    """A candidate as a person meets it."""

    name: str
    title: str
    kind: str  # ml | dl
    judges: str  # classes | strangeness
    note: str  # one plain sentence


MODELS: Final[tuple[Model, ...]] = (
    Model(
        "most-frequent",
        "Most frequent class",
        "ml",
        "classes",
        "Always says the most frequent class. What does not beat it has learnt nothing.",
    ),
    Model(
        "stump",
        "Decision stump",
        "ml",
        "classes",
        "One question about one column. If it is nearly perfect, that column may give the label away.",
    ),
    Model(
        "lightgbm",
        "Histogram boosting (LightGBM)",
        "ml",
        "classes",
        "Boosted trees on columns sorted into bins; most often the best there is for tables.",
    ),
    Model(
        "decision-tree",
        "Decision tree",
        "ml",
        "classes",
        "Questions about one column after the other, down to an answer; easy to read.",
    ),
    Model(
        "gaussian-naive-bayes",
        "Gaussian Naive Bayes",
        "ml",
        "classes",
        "Takes every column for a bell curve of its own in each class; very fast, often too simple.",
    ),
    Model(
        "sgd",
        "SGD",
        "ml",
        "classes",
        "A weighted sum of the columns, learnt row by row (stochastic gradient descent); fast on large tables.",
    ),
    Model(
        "logistic-regression",
        "Logistic regression",
        "ml",
        "classes",
        "A weighted sum of the columns turned into a chance; a sound and simple yardstick.",
    ),
    Model(
        "random-forest",
        "Random forest",
        "ml",
        "classes",
        "A hundred decision trees, each grown on other rows and columns, that vote; hard to misuse.",
    ),
    Model(
        "k-nearest-neighbours",
        "KNN",
        "ml",
        "classes",
        "Looks up the rows most alike and takes their class; needs no learning, but is slow when asked.",
    ),
    Model(
        "gradient-boosting",
        "Gradient Boosting",
        "ml",
        "classes",
        "Small trees one after the other, each mending what those before got wrong.",
    ),
    Model(
        "std-count",
        "Standard-deviation count",
        "ml",
        "strangeness",
        "Counts the columns that are more than three deviations from usual; the yardstick of all detectors.",
    ),
    Model(
        "mahalanobis",
        "Mahalanobis distance",
        "ml",
        "strangeness",
        "Distance from the middle of ordinary rows, where a step counts by how usual its direction is.",
    ),
    Model(
        "tails",
        "Tail count (ECOD)",
        "ml",
        "strangeness",
        "Adds up how far out each value lies among the ordinary ones of its column; fast, nothing to set.",
    ),
    Model(
        "isolation-forest",
        "Isolation forest",
        "ml",
        "strangeness",
        "Random cuts part strange rows from the rest sooner than ordinary ones.",
    ),
    Model(
        "knn-distance",
        "Distance to nearest neighbours",
        "ml",
        "strangeness",
        "How far the most similar ordinary rows are.",
    ),
    Model(
        "lof",
        "Local outlier factor",
        "ml",
        "strangeness",
        "Compares how close rows lie here with how close they lie around the nearest ordinary rows.",
    ),
    Model(
        "autoencoder",
        "Autoencoder",
        "ml",
        "strangeness",
        "A network that learns to give ordinary rows back; what it cannot give back is strange.",
    ),
    Model(
        "portfolio",
        "Portfolio",
        "ml",
        "strangeness",
        "Five detectors fused by how rare each finds a row; the most even choice where nothing is known.",
    ),
    Model(
        "complex-mlp",
        "Complex MLP",
        "dl",
        "classes",
        "Layers of weighted sums, each followed by a bend; the plain network for tables.",
    ),
    Model(
        "tabular-mlp",
        "Tabular MLP (piecewise linear)",
        "dl",
        "classes",
        "Sees in which part of its range each value lies, as a tree's questions do; the network to try first.",
    ),
    Model(
        "lenet-5",
        "LeNet-5",
        "dl",
        "classes",
        "An early image network; a row is laid out as a small image in which columns that go together are neighbours.",
    ),
    Model(
        "alexnet",
        "AlexNet",
        "dl",
        "classes",
        "A deeper image network, made small enough for a table; seldom better than LeNet-5 and slower.",
    ),
    Model(
        "vgg-16",
        "VGG-16",
        "dl",
        "classes",
        "Sixteen layers of small windows, made narrow enough for a table; the slowest, for comparison.",
    ),
    Model(
        "deep-autoencoder",
        "Deep autoencoder",
        "dl",
        "strangeness",
        "Learns to give ordinary rows back through a narrow middle; what it cannot give back is strange.",
    ),
    Model(
        "variational-autoencoder",
        "Variational autoencoder",
        "dl",
        "strangeness",
        "Learns how probable ordinary rows are; what it finds improbable is strange.",
    ),
)
"""In the order in which a run tries them."""


def models_for(kind: str, task: str) -> tuple[Model, ...]:
    """The candidates that suit a kind and a task."""
    judges = "classes" if task in {"binary", "multiclass"} else "strangeness"
    return tuple(model for model in MODELS if model.kind == kind and model.judges == judges)


def title_of(name: str) -> str:
    """As people call a candidate; its name when it is not known."""
    return next((model.title for model in MODELS if model.name == name), name)
