"""Can this run be done again here? Its data, settings, files and versions are looked at again, one check each.

A run is a function of the table, the settings with their seed, and the versions of what computes. Where all three are
the same the run gives the same models, but for what the time budget cut off. Other data or settings are another run.
Other versions usually give the same models, and may change the last digits; so they are said, and do not fail it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.contest import folder as folders

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trainer.workbench.promotion.recorded import Recorded

FORMAT: Final = "anomaflow-verification-1"
_SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class Check:
    """`passed` is None where a difference need not matter. `was` is what the run says, `now` what is here."""

    name: str
    passed: bool | None
    was: str
    now: str
    detail: str


def verify(run: Recorded, versions: Mapping[str, str]) -> dict[str, Any]:
    """Every check as JSON. `versions` are those installed here."""
    checks = [_data(run), _settings(run), *_files(run), _versions(run, versions)]
    failed = [check for check in checks if check.passed is False]
    differs = [check for check in checks if check.passed is None]
    if failed:
        note = f"The run cannot be reproduced here: {'; '.join(check.detail for check in failed)}."
    elif differs:
        note = "The run can be repeated here; figures may differ in their last digits, since versions differ."
    else:
        note = "The run can be reproduced here: data, settings, files and versions are the same."
    searched = any(line.get("searched") for line in run.result.get("leaderboard", ()))
    if searched and not failed:
        note += " How many settings were tried depended on the time; the script of a model repeats what was found."
    return {"format": FORMAT, "reproducible": not failed, "note": note, "checks": [asdict(check) for check in checks]}


def digest_of(table: Path, about: Path | None) -> str:
    """The digest a run names its table by: that of its content where it is a data set, else that of the file.

    Raises `OSError` where the table cannot be read.
    """
    told = None if about is None else folders.maybe(about)
    if not told or not told.get("digest"):
        with table.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return content_digest(table, {str(column["name"]): str(column["type"]) for column in told["columns"]})


def content_digest(table: Path, types: Mapping[str, str]) -> str:
    """The digest of the names, types and values of the table at `table`, as an import computes it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from trainer.workbench.datasets.digest import ContentDigest

    with pq.ParquetFile(table) as file:
        names = file.schema_arrow.names
        kinds = ["words" if types.get(name) in {"categorical", "text"} else types.get(name, "") for name in names]
        digest = ContentDigest(names, kinds)
        for batch in file.iter_batches():
            digest.add(
                [
                    column.cast(pa.string()) if kind == "words" else column
                    for kind, column in zip(kinds, batch.columns, strict=True)
                ]
            )
    return digest.hexdigest()


def _data(run: Recorded) -> Check:
    told = run.data.get("about")
    try:
        now = digest_of(run.table, run.folder / str(told) if told else None)
    except (OSError, ValueError, KeyError) as error:
        return Check("data", False, run.data_digest, "", f"its table {run.table.name} cannot be read ({error})")
    same = now == run.data_digest
    detail = "the table is the same" if same else f"the table has changed (digest {now[:_SHORT]})"
    return Check("data", same, run.data_digest, now, detail)


def _settings(run: Recorded) -> Check:
    was, now = str(run.result.get("settings_digest", "")), run.settings.digest
    return Check(
        "settings", was == now, was, now, "the settings are the same" if was == now else "the settings changed"
    )


def _files(run: Recorded) -> list[Check]:
    found = []
    for line in run.result.get("leaderboard", ()):
        if line.get("state") != "done":
            continue
        name = str(line["name"])
        told = folders.maybe(run.folder / "models" / name / "model.json") or {}
        was = str(told.get("sha256", ""))
        try:
            now = hashlib.sha256((run.folder / "models" / name / "model.onnx").read_bytes()).hexdigest()
        except OSError:
            now = ""
        sound = bool(was) and was == now
        detail = f"the file of {name} is whole" if sound else f"the file of {name} is missing or was changed"
        found.append(Check(f"file {name}", sound, was, now, detail))
    return found


def _versions(run: Recorded, versions: Mapping[str, str]) -> Check:
    was = {str(key): str(value) for key, value in run.result.get("versions", {}).items()}
    apart = [key for key in was if was[key] != versions.get(key)]
    detail = "the versions are the same"
    if apart:
        each = ", ".join(f"{key} {was[key]} there, {versions.get(key, 'none')} here" for key in apart)
        detail = f"versions differ: {each}"
    there, here = (", ".join(f"{key} {told.get(key, 'none')}" for key in was) for told in (was, versions))
    return Check("versions", None if apart else True, there, here, detail)
