"""Settings: precedence, ranges, and refusals that name the setting."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from agent.config import (
    PREFIX,
    AgentConfig,
    add_flags,
    from_arguments,
    load_config,
    require_loopback,
    require_source,
    resolve_agent_id,
    to_environ,
)
from agent.errors import StateError
from agent.state import StateDir
from protos.manifest import CaptureProfile
from protos.settings import ConfigError, describe


def test_defaults_are_the_profile_models_are_fitted_with() -> None:
    """A model trained with the default profile fits an agent with default settings."""
    assert AgentConfig().profile() == CaptureProfile()


def test_precedence(tmp_path: Path) -> None:
    """Defaults < file < environment < flags."""
    file = tmp_path / "agent.toml"
    file.write_text('iface = "file0"\nflush_ms = 100\nspool_max_mib = 7\n')
    config = load_config(
        path=file, environ={f"{PREFIX}FLUSH_MS": "200", f"{PREFIX}IFACE": "env0"}, flags={"iface": "flag0", "bpf": None}
    )
    assert (config.spool_max_mib, config.flush_ms, config.iface, config.bpf) == (7, 200, "flag0", "")


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    """A misspelt setting is an error that says what was meant."""
    file = tmp_path / "agent.toml"
    file.write_text('ifcae = "eth0"\n')
    with pytest.raises(ConfigError, match=r"ifcae.*did you mean 'iface'"):
        load_config(path=file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keep_fraction", 1.5),
        ("flush_ms", 0),
        ("batch_flows", 100_000),
        ("agent_id", "a b"),
        ("agent_id", "-dash"),
        ("threshold", float("nan")),
        ("log_level", "loud"),
        ("spool_max_mib", 0),
        ("promised_fpr", 0.0),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: object) -> None:
    """A value that cannot work is refused at start, by name."""
    with pytest.raises(ConfigError, match=name):
        load_config(flags={name: value})


@pytest.mark.parametrize("address", ["127.0.0.1:50551", "localhost:1", "[::1]:50551", "127.9.9.9:80"])
def test_loopback_is_accepted(address: str) -> None:
    """Every way to write this host."""
    assert require_loopback(address)[1] == int(address.rpartition(":")[2])


@pytest.mark.parametrize("address", ["10.0.0.1:50551", "aggregator.example:50551", "0.0.0.0:50551", "[2001:db8::1]:1"])
def test_another_host_is_refused_with_the_reason(address: str) -> None:
    """Without identities nothing may leave the host, and the message says so."""
    with pytest.raises(ConfigError, match="not a loopback address"):
        load_config(flags={"aggregator": address})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:port", ":1", "127.0.0.1:0", "127.0.0.1:70000"])
def test_half_an_address_is_refused(address: str) -> None:
    """Host and port are both needed."""
    with pytest.raises(ConfigError, match="host:port"):
        require_loopback(address)


def test_the_environment_carries_everything_to_the_children(tmp_path: Path) -> None:
    """What the supervisor resolved is what sensor and shipper read, setting by setting."""
    config = load_config(
        flags={"iface": "eth7", "state_dir": tmp_path, "threshold": 2.5, "promiscuous": False, "model": tmp_path / "m"}
    )
    assert load_config(environ=to_environ(config)) == config
    assert load_config(environ=to_environ(AgentConfig())) == AgentConfig()


def test_flags_without_a_value_change_nothing() -> None:
    """A flag that was not given does not overrule the environment."""
    parser = argparse.ArgumentParser()
    add_flags(parser, "iface", "keep_fraction")
    arguments = parser.parse_args(["--keep-fraction", "0.5"])
    config = from_arguments(arguments, environ={f"{PREFIX}IFACE": "env0"})
    assert (config.iface, config.keep_fraction) == ("env0", 0.5)


def test_every_setting_has_a_sentence() -> None:
    """A setting is a name, a default and a sentence."""
    for name, _, sentence in describe(AgentConfig):
        assert sentence.endswith("."), name


def test_something_must_be_metered() -> None:
    """Neither interface nor capture is a wrong configuration."""
    with pytest.raises(ConfigError, match="iface"):
        require_source(AgentConfig(), ())
    require_source(AgentConfig(), (Path("x"),))


class TestAgentId:
    """The agent's name."""

    def test_is_made_once_and_kept(self, tmp_path: Path) -> None:
        """Two starts have one name; it comes from the host's, with a suffix against clones."""
        state = StateDir(tmp_path)
        first = resolve_agent_id(AgentConfig(), state, hostname="Web_01.example.org", suffix=lambda: "ab12")
        again = resolve_agent_id(AgentConfig(), state, hostname="renamed", suffix=lambda: "ffff")
        assert first == again == "web-01-ab12"

    def test_the_configured_one_wins(self, tmp_path: Path) -> None:
        """A configured name is used and not kept."""
        state = StateDir(tmp_path)
        assert resolve_agent_id(AgentConfig(agent_id="x"), state, hostname="h", suffix=str) == "x"
        assert not state.agent_id.exists()

    def test_a_damaged_file_is_replaced(self, tmp_path: Path) -> None:
        """A name that is no name is made anew."""
        state = StateDir(tmp_path)
        state.agent_id.write_bytes(b"\xff\x00")
        assert resolve_agent_id(AgentConfig(), state, hostname="...", suffix=lambda: "1") == "agent-1"

    def test_no_place_to_keep_it(self, tmp_path: Path) -> None:
        """Without a place to keep the name the message says where and what to do."""
        state = StateDir(tmp_path / "missing")
        with pytest.raises(StateError, match="agent_id"):
            resolve_agent_id(AgentConfig(), state, hostname="h", suffix=str)
