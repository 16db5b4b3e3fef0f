"""The documents say what the code does: settings, exit codes, features, metrics, commands, units, links."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import load_config
from agent.main import build_parser
from aggregator.cli.main import parser as client
from aggregator.config import AggregatorConfig
from aggregator.web.api import monitoring
from protos.settings import load

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_generated_documents_are_fresh():
    """Features, settings, exit codes and sample configurations are what the code gives."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def uncommented(path: Path, to: Path) -> Path:
    """The sample with every setting in force."""
    text = re.sub(r"^# (\w+ = .*)$", r"\1", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    to.write_text(text, encoding="utf-8")
    return to


def test_sample_configurations_load(tmp_path):
    """As they stand and with every comment taken away, the samples load to the defaults."""
    text = (ROOT / "deploy/agent.toml").read_text(encoding="utf-8")
    assert load_config(path=ROOT / "deploy/agent.toml") == load_config()
    without_optional = re.sub(r'^# (model|threshold) = "".*$', "", text, flags=re.MULTILINE)
    (tmp_path / "agent.in").write_text(without_optional, encoding="utf-8")
    assert load_config(path=uncommented(tmp_path / "agent.in", tmp_path / "agent.toml")) == load_config()
    sample = ROOT / "deploy/aggregator.toml"
    assert load(AggregatorConfig, path=sample) == AggregatorConfig()
    assert load(AggregatorConfig, path=uncommented(sample, tmp_path / "aggregator.toml")) == AggregatorConfig()


def test_every_metric_is_documented():
    """docs/cli.md lists each Prometheus metric by name."""
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    source = Path(monitoring.__file__).read_text(encoding="utf-8")
    names = set(re.findall(r'"(anomaflow_\w+)"', source))
    assert names
    assert not [name for name in sorted(names) if f"`{name}`" not in page]


def test_every_agent_command_is_documented():
    """docs/cli.md shows each subcommand of the agent."""
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    actions = build_parser()._subparsers._group_actions[0].choices
    assert not [name for name in actions if f"`anomaflow-agent {name}" not in page]


def test_every_verb_of_the_client_is_documented():
    """docs/cli.md lists the verbs of each noun, and no others."""
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8").partition("the operator's client")[2].partition("## ")[0]
    said = {noun: set(re.findall(r"`([a-z-]+)`", verbs)) for noun, verbs in re.findall(r"\| `(\w+)` \| (.+) \|", page)}
    nouns = client({})._subparsers._group_actions[0].choices
    assert said == {noun: set(made._subparsers._group_actions[0].choices) for noun, made in nouns.items()}


@pytest.mark.parametrize("unit", sorted((ROOT / "deploy/systemd").glob("*.service")), ids=lambda path: path.stem)
def test_units_start_commands_that_exist(unit):
    """ExecStart names an installed command, a subcommand of it, and the sample's file name."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(unit)
    command, *arguments = parser["Service"]["ExecStart"].split()
    installed = Path(sys.executable).with_name(Path(command).name)
    assert installed.is_file()
    shown = subprocess.run([str(installed), arguments[0], "--help"], capture_output=True, text=True, check=True)
    assert "--config" in shown.stdout
    assert (ROOT / "deploy" / Path(arguments[-1]).name).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link and picture of a page exists."""
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_decision_records_are_listed():
    """The index knows every record."""
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    assert all(record.name in index for record in (ROOT / "docs/adr").glob("0*.md"))
