"""Configuration as a frozen dataclass: a setting is a name, a default and a sentence.

Precedence: defaults < file < environment < flags. A file is TOML with one key a setting. An unknown key is an error
that names it and the closest known one: a misspelt setting that is silently ignored is worse than no setting.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Config = TypeVar("Config")


class ConfigError(ValueError):
    """A setting that cannot be used. The message names the setting, where it came from and what would be right."""


def setting(default: Any, help: str) -> Any:  # noqa: A002 - the word every reader expects
    """A field of a configuration dataclass."""
    return dataclasses.field(default=default, metadata={"help": help})


def describe(cls: type) -> list[tuple[str, Any, str]]:
    """`(name, default, sentence)` of every setting, for documentation and sample files."""
    return [(field.name, field.default, field.metadata["help"]) for field in dataclasses.fields(cls)]


def load(
    cls: type[Config],
    *,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    prefix: str = "",
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """Build `cls` from a TOML file, variables `PREFIX + NAME`, and flags that are not None.

    Raises `ConfigError` for an unreadable file, an unknown key, or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    if path is not None:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"reading configuration {path}: {error.strerror}; check its path and rights") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"reading configuration {path}: not valid TOML ({error})") from error
        for key, value in raw.items():
            _require_known(key, hints, f"configuration {path}")
            values[key] = _convert(key, value, hints[key], f"configuration {path}")
    for name in hints:
        variable = f"{prefix}{name.upper()}"
        if prefix and environ is not None and variable in environ:
            values[name] = _convert(name, environ[variable], hints[name], f"environment variable {variable}")
    for name, value in (flags or {}).items():
        if value is not None:
            _require_known(name, hints, "command line")
            values[name] = _convert(name, value, hints[name], "command line")
    return cls(**values)


def _require_known(key: str, hints: Mapping[str, Any], origin: str) -> None:
    if key in hints:
        return
    near = difflib.get_close_matches(key, hints, n=1)
    raise ConfigError(
        f"{origin}: unknown setting {key!r}" + (f"; did you mean {near[0]!r}?" if near else "; see docs/cli.md")
    )


def _convert(name: str, value: Any, kind: Any, origin: str) -> Any:
    if isinstance(kind, types.UnionType):  # Optional settings: `X | None`; an empty text means unset
        if value == "":
            return None
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    wrong = ConfigError(f"{origin}: {name} = {value!r} is not {_article(kind)}")
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]
        if kind is Path:
            return Path(str(value))
        if typing.get_origin(kind) is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(str(part).strip() for part in parts)
        if kind is str:
            if not isinstance(value, str):
                raise wrong
            return value
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise wrong
        return kind(value)
    except (KeyError, TypeError, ValueError) as error:
        raise wrong from error


def _article(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return "a list of words"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}[kind]
