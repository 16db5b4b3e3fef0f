"""What the trainer is asked: the command line of every verb of the workbench. Pure.

Values of strangers stand behind an equals sign, so that none is taken for an option. Secrets are files, never values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aggregator.work.rows import Order
from aggregator.workbench import places

if TYPE_CHECKING:
    from aggregator.config import AggregatorConfig
    from aggregator.work.rows import Lane

WORKBENCH: Final = "workbench"
LOG: Final = "log.txt"
TOLD: Final = ("--progress", "json")


def bring_in(
    config: AggregatorConfig,
    dataset_id: int,
    version: int,
    *,
    source: str,
    name: str,
    options: dict[str, Any],
    secrets: tuple[str, ...],
    environment: str = "",
) -> Order:
    """Import `source` (a path, an address, `sql:`) into a version; `options` without a value are left out."""
    folder = places.dataset_folder(dataset_id, version)
    limits = (
        "--limits",
        f"max-bytes={config.workbench_upload_mib << 20}",
        f"max-expanded-bytes={config.workbench_table_mib << 20}",
        f"max-rows={config.workbench_rows}",
        f"max-columns={config.workbench_columns}",
    )
    arguments = (WORKBENCH, "import", source, "--out", folder, f"--name={name}", *given(options), *limits, *TOLD)
    order = _light(config, "import", f"dataset {dataset_id}", folder, arguments, secrets=secrets)
    return replace(order, environment=environment)


def profile(config: AggregatorConfig, dataset_id: int, version: int, label: str | None) -> Order:
    """Profile a version of a data set."""
    folder = places.dataset_folder(dataset_id, version)
    arguments = (WORKBENCH, "profile", folder, *given({"label": label}), *TOLD)
    return _light(config, "profile", f"dataset {dataset_id}", folder, arguments)


def run(config: AggregatorConfig, experiment_id: int, *, resume: bool) -> Order:
    """Run an experiment whose settings.json and data.json lie in its folder."""
    folder = places.run_folder(experiment_id)
    return Order(
        kind="run",
        about=f"experiment {experiment_id}",
        folder=folder,
        arguments=(WORKBENCH, "run", folder, *(("--resume",) if resume else ())),
        lane="heavy",
        again="resume",
        seconds=config.workbench_hours * 3600,
        memory_mib=config.workbench_memory_mib,
    )


def predict(
    config: AggregatorConfig,
    prediction_id: int,
    *,
    model_folder: str,
    data: str,
    options: tuple[str, ...],
    secrets: tuple[str, ...],
) -> Order:
    """Predict the rows of a file or table."""
    folder = places.prediction_folder(prediction_id)
    arguments = (*predict_arguments(model_folder, data=data, out=folder, options=options), *TOLD)
    return _light(config, "predict", f"prediction {prediction_id}", folder, arguments, secrets=secrets)


def predict_arguments(model_folder: str, *, data: str, out: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """The command line of a prediction."""
    return (WORKBENCH, "predict", "--model", model_folder, "--data", data, "--out", out, *options)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a model is judged by on its way to agents: the one in use, frozen attacks, golden traffic, and the rate."""

    champion: str | None
    attacks: tuple[str, ...]
    golden: tuple[str, ...]
    alpha: float


def promote(config: AggregatorConfig, experiment_id: int, model: str, gate: Gate) -> Order:
    """Make a model that agents accept of a run's model."""
    out = promoted_folder(experiment_id, model)
    return Order(
        kind="promote",
        about=f"experiment {experiment_id}",
        folder=out,
        arguments=(
            WORKBENCH,
            "promote",
            places.run_folder(experiment_id),
            model,
            "--out",
            f"{out}/model.onnx",
            "--report",
            f"{out}/report",
            *given({"name": f"{model}-{experiment_id}", "alpha": gate.alpha, "champion": gate.champion}),
            *(("--attacks", *map(_settled, gate.attacks)) if gate.attacks else ()),
            *(("--golden", *map(_settled, gate.golden)) if gate.golden else ()),
            *TOLD,
        ),
        lane="heavy",
        again="restart",
        seconds=config.workbench_hours * 3600,
        memory_mib=config.workbench_memory_mib,
        story=LOG,
    )


def _settled(source: str) -> str:
    """A source of the settings as seen from the workbench's folder: an absolute path, or a word."""
    path = Path(source)
    return str(path.absolute()) if path.exists() else source


def promoted_folder(experiment_id: int, model: str) -> str:
    """Where a promotion makes its file."""
    return f"{places.run_folder(experiment_id)}/promoted/{model}"


def given(options: dict[str, Any]) -> tuple[str, ...]:
    """Options as arguments; those that are None are left out, True is a bare flag."""
    return tuple(
        f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items() if value is not None
    )


def _light(
    config: AggregatorConfig,
    kind: str,
    about: str,
    folder: str,
    arguments: tuple[str, ...],
    *,
    secrets: tuple[str, ...] = (),
) -> Order:
    lane: Lane = "light"
    return Order(
        kind=kind,
        about=about,
        folder=folder,
        arguments=arguments,
        lane=lane,
        again="restart",
        seconds=config.workbench_light_minutes * 60,
        memory_mib=config.workbench_light_memory_mib,
        story=LOG,
        secrets=secrets,
    )
