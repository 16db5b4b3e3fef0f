"""The folder of a run: JSON files that appear whole or not at all, and never hold what JSON has no word for."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer import appearing
from trainer.errors import SettingsUnusable

if TYPE_CHECKING:
    from pathlib import Path


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: NaN and infinities become null, arrays lists, floats of seven digits."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def write(path: Path, told: dict[str, Any]) -> None:
    """Write by rename. Raises `OutputError`."""
    text = json.dumps(plain(told), ensure_ascii=False, indent=1, allow_nan=False)
    appearing.write(path, text.encode())


def read(path: Path) -> dict[str, Any]:
    """A JSON object. Raises `SettingsUnusable`."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsUnusable(f"reading {path}: {error}; a run's folder holds settings.json and data.json") from error
    if not isinstance(told, dict):
        raise SettingsUnusable(f"reading {path}: it holds no JSON object; write it anew")
    return told


def maybe(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None if there is none or only half of one."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
