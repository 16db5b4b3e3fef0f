"""Settings, and where the aggregator may listen."""

from __future__ import annotations

import pytest

from aggregator.config import PREFIX, AggregatorConfig, require_loopback
from aggregator.errors import BindRefused
from protos import settings
from protos.settings import ConfigError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_is_listened_on(host):
    """In every way it is written."""
    require_loopback(host, "web_host")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])  # noqa: S104
def test_anything_else_is_refused_with_the_reason(host):
    """Until agents have identities."""
    with pytest.raises(BindRefused, match="identities"):
        require_loopback(host, "grpc_host")


@pytest.mark.parametrize(
    ("name", "value"),
    [("keep_fraction", 1.5), ("stage_rows", 0), ("quarantine_hours", -1.0), ("web_port", 70_000)],
)
def test_a_setting_out_of_range_is_named(name, value):
    """Before anything starts."""
    with pytest.raises(ConfigError, match=name):
        AggregatorConfig(**{name: value})


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path):
    """A misspelt setting is never ignored."""
    (tmp_path / "aggregator.toml").write_text("stage_secnds = 3\n")
    with pytest.raises(ConfigError, match="stage_seconds"):
        settings.load(AggregatorConfig, path=tmp_path / "aggregator.toml")


def test_file_environment_flags(tmp_path):
    """The later one wins."""
    (tmp_path / "a.toml").write_text("web_port = 1\ngrpc_port = 1\nmax_rows = 1\n")
    environ = {PREFIX + "WEB_PORT": "2", PREFIX + "GRPC_PORT": "2"}
    got = settings.load(
        AggregatorConfig, path=tmp_path / "a.toml", environ=environ, prefix=PREFIX, flags={"web_port": "3"}
    )
    assert (got.web_port, got.grpc_port, got.max_rows) == (3, 2, 1)
