"""Settings: precedence, types, and errors that name the key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from protos.settings import ConfigError, load, setting


@dataclass(frozen=True)
class Sample:
    port: int = setting(8080, "Port.")
    name: str = setting("x", "Name.")
    rate: float = setting(0.5, "Rate.")
    deep: bool = setting(False, "Depth.")
    home: Path = setting(Path("/var"), "Folder.")
    hosts: tuple[str, ...] = setting((), "Hosts.")
    model: Path | None = setting(None, "Model.")


def test_precedence(tmp_path):
    """Defaults < file < environment < flags."""
    file = tmp_path / "a.toml"
    file.write_text('port = 1\nname = "file"\nrate = 1\nhosts = ["a", "b"]\n')
    found = load(
        Sample, path=file, environ={"P_PORT": "2", "P_DEEP": "yes"}, prefix="P_", flags={"port": 3, "name": None}
    )
    assert (found.port, found.name, found.rate, found.deep, found.hosts) == (3, "file", 1.0, True, ("a", "b"))


def test_an_unknown_key_names_its_neighbour(tmp_path):
    """A misspelt setting is an error, with the likely one beside it."""
    file = tmp_path / "a.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(ConfigError, match=r"unknown setting 'prot'; did you mean 'port'"):
        load(Sample, path=file)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("port = 1.5", "a whole number"),
        ("port = true", "a whole number"),
        ('port = "a"', "a whole number"),
        ("name = 7", "a text"),
        ('deep = "perhaps"', "true or false"),
        ("rate = [1]", "a number"),
        ("port = ", "not valid TOML"),
    ],
)
def test_a_wrong_value_says_what_would_be_right(tmp_path, line, words):
    """The message names the setting's kind."""
    file = tmp_path / "a.toml"
    file.write_text(line)
    with pytest.raises(ConfigError, match=words):
        load(Sample, path=file)


def test_a_missing_file_is_named(tmp_path):
    """The path stands in the message."""
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load(Sample, path=tmp_path / "absent.toml")
