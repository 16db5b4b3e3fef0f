"""Which columns may be what a person wants to predict: by name, by place and by how few values they have."""

# ruff: noqa: S608 - columns are quoted by `identifier`

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.datasets.exploration.columns import identifier

if TYPE_CHECKING:
    from trainer.workbench.datasets.exploration.columns import Counted

_NAMES: Final = re.compile(
    r"(?:^|[\W_])(class|classes|label|labels|target|attack|attacks|attack_?cat|category|outcome|verdict|anomaly|is_?anomaly"
    r"|malicious|is_?malicious|fraud|is_?fraud|survived|y)(?:$|[\W_])",
    re.IGNORECASE,
)
MOST_CLASSES: Final = 100
"""Different values of a label, at most."""
_FEW: Final = 30
_SHOWN: Final = 20
_WORDS: Final = frozenset({"categorical", "boolean"})


def candidates(base: Any, counted: Counted, kinds: dict[str, str]) -> list[dict[str, Any]]:
    """Columns that may be the label, the likeliest first, with their values and how many rows have each.

    `likely` ones may be taken without asking: a telling name, or words where a label stands. A count in the last column
    is proposed and no more, since a table without a label has a last column, too.
    """
    names = list(kinds)
    found: list[tuple[int, str, str]] = []
    for at, name in enumerate(names):
        unique = counted.unique(name)
        if not 2 <= unique <= MOST_CLASSES or kinds[name] in {"number", "time"}:
            continue
        last = at == len(names) - 1
        if _NAMES.search(name):
            found.append((0 if last else 1, name, "its name says so"))
        elif last and unique <= _FEW:
            found.append((2, name, f"it is the last column and has {unique} different values"))
        elif at == 0 and kinds[name] in _WORDS and unique <= _FEW:
            found.append((3, name, f"it is the first column and has {unique} different values"))
    return [
        {"name": name, "reason": reason, "likely": place < 2 or kinds[name] in _WORDS, "values": _values(base, name)}
        for place, name, reason in sorted(found, key=lambda one: one[0])
    ]


def _values(base: Any, name: str) -> list[dict[str, Any]]:
    column = identifier(name)
    rows = base.execute(
        f"SELECT {column}::VARCHAR AS v, count(*) AS n FROM t WHERE {column} IS NOT NULL GROUP BY v ORDER BY n DESC, v "
        f"LIMIT {_SHOWN}"
    ).fetchall()
    return [{"value": str(value)[:200], "rows": int(count)} for value, count in rows]
