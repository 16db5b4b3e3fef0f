"""The decisions of a fit as sections of its page: which candidate, which head, and what was found wanting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainer.judging.drawing import number, text

if TYPE_CHECKING:
    from collections.abc import Mapping


def sections(report: Mapping[str, Any]) -> list[str]:
    """HTML parts for a report; none for one that was made before there was a choice."""
    if "choice" not in report:
        return []
    return [*_choice(report["choice"]), *_classifier(report["classifier"]), *_soundness(report["soundness"])]


def _choice(choice: Mapping[str, Any]) -> list[str]:
    kinds = sorted({name for entry in choice["candidates"] for name in entry["probes"]})
    head = "".join(f'<th class="n">{text(name)}</th>' for name in ("noticed", "false positives", *kinds))
    rows = "".join(_candidate(entry, kinds, choice["taken"]) for entry in choice["candidates"])
    table = f'<div class="wide"><table><tr><th>members</th>{head}</tr>{rows}</table></div>'
    note = (
        f"Shares that alert at {choice['rate']:.0%} false positives on {choice['rows']} benign rows that no candidate "
        "was fitted on. Probes are made from benign rows."
    )
    summary = f"<summary>{len(choice['candidates'])} candidates</summary>"
    return [
        "<h2>Why this model</h2>",
        f"<p>{text(choice['why'])}</p>",
        f'<details>{summary}{table}<p class="soft">{note}</p></details>',
    ]


def _candidate(entry: Mapping[str, Any], kinds: list[str], taken: list[str]) -> str:
    name = text(", ".join(member.replace("_", " ") for member in entry["members"]))
    name = f"<strong>{name}</strong>" if entry["members"] == taken else name
    note = f' <span class="bad">{text(entry["struck"])}</span>' if entry["struck"] else ""
    values = [
        entry["merit"],
        entry["realised"],
        *(entry["probes"].get(kind) for kind in kinds),
    ]
    cells = "".join(f'<td class="n">{number(value)}</td>' for value in values)
    return f"<tr><td>{name}{note}</td>{cells}</tr>"


def _classifier(taught: Mapping[str, Any] | None) -> list[str]:
    if taught is None:
        return []
    rows = "".join(
        f'<tr><td>{text(name)}</td><td class="n">{number(taught["precision"][taught["head"]][name])}</td>'
        f'<td class="n">{number(taught["recall_without"].get(name))}</td>'
        f'<td class="n">{number(taught["recall_with"].get(name))}</td></tr>'
        for name in taught["classes"]
    )
    head = "".join(
        f'<th class="n">{name}</th>' for name in ("average precision", "caught without verdicts", "caught with them")
    )
    return [
        "<h2>Families it can name</h2>",
        f"<p>{text(taught['why'])}</p>",
        f'<div class="wide"><table><tr><th>family</th>{head}</tr>{rows}</table></div>',
    ]


def _soundness(found: Mapping[str, Any]) -> list[str]:
    warnings = "".join(f'<li class="bad">{text(warning)}</li>' for warning in found["warnings"])
    looked = text(", ".join(found["checked"]))
    return [
        "<h2>Soundness</h2>",
        f"<p>Looked at: {looked}.</p>" + (f"<ul>{warnings}</ul>" if warnings else "<p>Nothing was found.</p>"),
    ]
