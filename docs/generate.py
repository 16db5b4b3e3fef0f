"""Writes the documents that the code already says: features, settings, exit codes, sample configurations.

`python docs/generate.py` writes them; `--check` fails, naming the file, when one is not what the code gives. A table in
a hand-written page stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from agent.config import PREFIX as AGENT_PREFIX
from agent.config import AgentConfig
from agent.features import origin
from aggregator.config import PREFIX as AGGREGATOR_PREFIX
from aggregator.config import AggregatorConfig
from protos import contract, settings
from protos.exits import ExitCode
from trainer.workbench.candidates.catalogue import catalogue
from trainer.workbench.meanings import meanings

ROOT = Path(__file__).resolve().parents[1]
ORIGINS = {"flow": "NFStream", "derived": "derived", "context": "context"}


def toml_value(value: object) -> str:
    """A default as TOML would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:_}" if isinstance(value, int) else str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{part}"' for part in value) + "]"
    return f'"{"" if value is None else value}"'


def sample(title: str, cls: type, prefix: str) -> str:
    """A configuration file with every setting commented out at its default."""
    lines = [
        f"# {title}",
        "#",
        "# Every setting stands here with its default. Take the # away from what you change. What counts more comes",
        f"# later: this file, environment variables ({prefix}NAME), flags. An unknown key is an error.",
        "",
    ]
    for name, default, sentence in settings.describe(cls):
        lines += [f"# {sentence}", f"# {name} = {toml_value(default)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def settings_table(cls: type) -> str:
    """Settings as a Markdown table."""
    rows = [f"| `{n}` | `{toml_value(d)}` | {s} |" for n, d, s in settings.describe(cls)]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def exits_table() -> str:
    """Exit codes as a Markdown table."""
    rows = [f"| {code.value} | {code.name} | {code.meaning} |" for code in ExitCode]
    return "\n".join(["| code | name | meaning |", "|---|---|---|", *rows])


def features_table() -> str:
    """Every feature with the sentence that stands above it in features.proto."""
    source = (ROOT / "protos/v1/features.proto").read_text(encoding="utf-8")
    meaning = {name: sentence for sentence, name in re.findall(r"// (.+)\n\s+float (\w+) =", source)}
    rows = [
        f"| {number} | `{name}` | {ORIGINS[origin(name)]} | {meaning[name]} |"
        for number, name in enumerate(contract.FEATURES, 1)
    ]
    digest = f"{len(contract.FEATURES)} features, contract digest `{contract.DIGEST[:16]}`."
    return "\n".join([digest, "", "| # | feature | from | meaning, unit |", "|---|---|---|---|", *rows])


def candidates_table() -> str:
    """Every model of the workbench, as the settings page knows it."""
    rows = [
        f"| `{one.name}` | {one.title} | {one.judges} | {', '.join(f'`{key}`' for key in one.space)} | {one.note} |"
        for one in catalogue().values()
    ]
    return "\n".join(["| name | title | judges | searched | what it is |", "|---|---|---|---|---|", *rows])


def experiment_table() -> str:
    """Settings of an experiment, with what may be given."""
    rows = [f"| `{name}` | {default} | {allowed} | {sentence} |" for name, default, allowed, sentence in meanings()]
    return "\n".join(["| setting | default | allowed | meaning |", "|---|---|---|---|", *rows])


BLOCKS = {
    "candidates": candidates_table,
    "experiment settings": experiment_table,
    "features": features_table,
    "exit codes": exits_table,
    "agent settings": lambda: settings_table(AgentConfig),
    "aggregator settings": lambda: settings_table(AggregatorConfig),
}
FILES = {
    "deploy/agent.toml": lambda: sample("Anomaflow agent", AgentConfig, AGENT_PREFIX),
    "deploy/aggregator.toml": lambda: sample("Anomaflow aggregator", AggregatorConfig, AGGREGATOR_PREFIX),
}
PAGES = ("docs/features.md", "docs/cli.md", "docs/configuration.md", "docs/experiments.md")


def fill(text: str) -> str:
    """`text` with every generated block renewed. Raises `KeyError` for a block nobody makes."""

    def renew(match: re.Match[str]) -> str:
        return f"<!-- generated: {match[1]} -->\n{BLOCKS[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- generated: ([a-z ]+) -->\n.*?<!-- end -->", renew, text, flags=re.DOTALL)


def wanted() -> dict[str, str]:
    """Path to content, for everything this script is responsible for."""
    pages = {page: fill((ROOT / page).read_text(encoding="utf-8")) for page in PAGES}
    return pages | {path: make() for path, make in FILES.items()}


def main() -> int:
    """Write, or check and report."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is stale")
    check = arguments.parse_args().check
    stale = []
    for path, content in wanted().items():
        file = ROOT / path
        if not file.is_file() or file.read_text(encoding="utf-8") != content:
            stale.append(path)
            if not check:
                file.write_text(content, encoding="utf-8")
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path}" + ("; run 'make fix-docs'" if check else ""))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
