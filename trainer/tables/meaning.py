"""What may be a feature: columns that name a host, a flow, a port or a moment are left out, and named.

A detector that learns addresses or row numbers recognises the laboratory, not the attack, and gets figures nobody will
see again. Two tests, both on columns of the training table alone: what the column is called, and whether its values
look like addresses or times. Whoever knows better says so: `keep` brings a column back, `drop` takes one away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import TableUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from trainer.tables.table import Column, Table

_PEERS: Final = frozenset(
    (
        *("src", "dst", "source", "destination", "client", "server", "local", "remote", "s", "d", "id"),
        *("orig", "originator", "resp", "responder", "l4", "ipv4", "ipv6"),
    )
)
_MOMENTS: Final = frozenset(
    ("timestamp", "ts", "date", "datetime", "stime", "ltime", "seen", "switched", "start", "end", "first", "last")
)
_CLOCKS: Final = frozenset(
    (
        *("flow", "time", "bidirectional", "src2dst", "dst2src", "arrival", "epoch"),
        *("s", "sec", "seconds", "ms", "milliseconds", "us", "ns"),
    )
)
_NAMED: Final[tuple[tuple[str, AbstractSet[str], AbstractSet[str]], ...]] = (
    ("a TTL, which tells laboratories apart", {"ttl", "sttl", "dttl"}, _PEERS | {"min", "max", "ct", "state"}),
    (
        "an identifier",
        {"id", "uid", "uuid", "index", "row", "rownum", "unnamed"},
        frozenset({"flow", "record", "session"}),
    ),
    ("an address", {"ip", "ipaddr", "addr", "address", "mac", "host", "hostname", "h"}, _PEERS),
    ("an address", {"srcip", "dstip", "saddr", "daddr"}, frozenset()),
    ("a port number", {"port", "ports", "sport", "dport", "dsport", "p"}, _PEERS),
    ("a time", _MOMENTS, _CLOCKS),
    ("a time", {"time"}, frozenset()),
    ("how hard the row is for others: it leaks the label", {"difficulty"}, frozenset({"level"})),
)
"""What a column is whose name holds one of the first words, and besides none but these and the second ones."""
_ADDRESS: Final = re.compile(
    r"^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}|([0-9a-f]{2}[:-]){5}[0-9a-f]{2})$", re.IGNORECASE
)
_MOMENT: Final = re.compile(r"^\d{1,4}[-/]\d{1,2}[-/]\d{1,4}([ T]\d{1,2}:\d{2}.*)?$")
_LOOKED_AT: Final = 200
_MOST_WORDS: Final = 0.5
"""Words that differ in more than this share of rows name the row."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`features` in the order of the table, and for every other column why it is not one."""

    features: tuple[str, ...]
    left_out: dict[str, str]


def choose(table: Table, labels: Sequence[str], *, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> Choice:
    """The features of `table`; `labels` are columns that hold what is to be found out.

    Raises `TableUnreadable` for a name in `drop` or `keep` that is no column, one that is in both, or if nothing is
    left.
    """
    for name in (*drop, *keep):
        table.column(name, "what --drop or --keep names")
    both = sorted({*drop} & {*keep})
    if both:
        raise TableUnreadable(f"column {both[0]!r} is to be dropped and kept; take it out of one of the two lists")
    left_out: dict[str, str] = {}
    for name, column in table.columns.items():
        reason = "the label" if name in labels else "asked for" if name in drop else None
        if reason is None and name not in keep:
            reason = suspect(name, column)
        if reason is not None:
            left_out[name] = reason
    features = tuple(name for name in table.columns if name not in left_out)
    if not features:
        raise TableUnreadable(f"{table.name} has no column left to learn from; bring some back with --keep NAME")
    return Choice(features, left_out)


def suspect(name: str, column: Column) -> str | None:
    """Why a column must not be a feature, or None."""
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
    words = {word for word in plain.split("_") if not word.isdigit()}
    for meaning, telling, beside in _NAMED:
        if words & telling and words <= {*telling, *beside}:
            return meaning
    if column.dtype.kind == "f":
        return None
    shown = [word for word in column[:: max(len(column) // _LOOKED_AT, 1)].tolist() if word]
    if shown and all(_ADDRESS.match(word) for word in shown):
        return "an address, by its values"
    if shown and all(_MOMENT.match(word) for word in shown):
        return "a time, by its values"
    distinct = len(np.unique(column))
    if distinct > 50 and distinct > _MOST_WORDS * len(column):
        return "words that differ from row to row"
    return None
