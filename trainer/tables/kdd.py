"""NSL-KDD and KDD Cup 99: the same 41 features, and which attacks are of which class.

Raw files have no header: 41 features, the attack's name and, in NSL-KDD, how many of 21 learners got the row right.
That last column (`difficulty`) leaks the label and is never a feature; rows that not all 21 got right are KDDTest-21.
Tables with a header have a `class` column instead (`normal` and `anomaly`, or the attack's name).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import TableUnreadable
from trainer.tables import meaning, reading
from trainer.tables.labelled import ATTACK, BENIGN, Labelled, check
from trainer.tables.table import Table, as_words, together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FEATURES: Final = (
    *("duration", "protocol_type", "service", "flag", "src_bytes", "dst_bytes", "land", "wrong_fragment", "urgent"),
    *("hot", "num_failed_logins", "logged_in", "num_compromised", "root_shell", "su_attempted", "num_root"),
    *("num_file_creations", "num_shells", "num_access_files", "num_outbound_cmds", "is_host_login", "is_guest_login"),
    *("count", "srv_count", "serror_rate", "srv_serror_rate", "rerror_rate", "srv_rerror_rate", "same_srv_rate"),
    *("diff_srv_rate", "srv_diff_host_rate", "dst_host_count", "dst_host_srv_count", "dst_host_same_srv_rate"),
    *("dst_host_diff_srv_rate", "dst_host_same_src_port_rate", "dst_host_srv_diff_host_rate", "dst_host_serror_rate"),
    *("dst_host_srv_serror_rate", "dst_host_rerror_rate", "dst_host_srv_rerror_rate"),
)
NSL: Final = "NSL-KDD"
LABEL: Final = "class"
LABELS: Final = (LABEL, "label", "labels", "attack", "attack_type", "outcome")
DIFFICULTY: Final = ("difficulty", "difficulty_level", "difficulty level", "level")
_EASIEST: Final = 21

CLASSES: Final = {
    "DoS": (
        *("back", "land", "neptune", "pod", "smurf", "teardrop"),
        *("apache2", "udpstorm", "processtable", "mailbomb"),
    ),
    "probe": ("satan", "ipsweep", "nmap", "portsweep", "mscan", "saint"),
    "R2L": (
        *("guess_passwd", "ftp_write", "imap", "phf", "multihop", "warezmaster", "warezclient", "spy"),
        *("xlock", "xsnoop", "snmpguess", "snmpgetattack", "httptunnel", "sendmail", "named", "worm"),
    ),
    "U2R": ("buffer_overflow", "loadmodule", "rootkit", "perl", "sqlattack", "xterm", "ps"),
}
"""The five classes of the data set's own documentation are these and normal."""
NEW: Final = frozenset(
    (
        *("apache2", "udpstorm", "processtable", "mailbomb", "mscan", "saint", "xlock", "xsnoop", "snmpguess"),
        *("snmpgetattack", "httptunnel", "sendmail", "named", "worm", "sqlattack", "xterm", "ps"),
    )
)
"""Attacks that only the test files hold, by that documentation; needed where a training table names no attack."""
_CLASS_OF: Final = {name: class_ for class_, names in CLASSES.items() for name in names}


def nsl_kdd(train: Path, test: Path | None, test_21: Path | None) -> Labelled:
    """NSL-KDD from its raw files or from tables with a `class` column. Raises `TableUnreadable`, `SourceMissing`."""
    first, family, _ = _load(train, "the label of the training rows")
    notes = []
    if set(family.tolist()) <= {BENIGN, ATTACK}:
        notes.append(
            "the training table names no attack; never-seen families are those its documentation does not list"
        )
    tables, families, masks, hard = [first], [family], [("", len(family))], None
    for path, part in ((test, "KDDTest+"), (test_21, "KDDTest-21")):
        if path is not None:
            table, names, difficulty = _load(path, "the label of the test rows: without it nothing can be measured")
            tables.append(table)
            families.append(names)
            masks.append((part, len(names)))
            if part == "KDDTest+" and difficulty is not None:
                hard = np.concatenate([np.zeros(len(family), dtype=np.bool_), difficulty != _EASIEST])
    of = np.repeat([part for part, _ in masks], [count for _, count in masks])
    parts = {part: of == part for part, _ in masks if part}
    if test is not None and test_21 is None:
        if hard is None:
            notes.append("no KDDTest-21: the test table has no difficulty column; give the raw KDDTest+ or --test-21")
        else:
            parts["KDDTest-21"] = hard
    return _labelled(NSL, tables, np.concatenate(families), of != "" if parts else None, parts=parts, notes=notes)


def kdd99(data: Path, test: Path | None) -> Labelled:
    """KDD Cup 99, five classes. Raises `TableUnreadable`, `SourceMissing`."""
    first, family, _ = _load(data, "the label")
    if test is None:
        return _labelled("KDD Cup 99", [first], family, None)
    second, others, _ = _load(test, "the label of the test rows: without it nothing can be measured")
    of = np.repeat([False, True], [len(family), len(others)])
    return _labelled("KDD Cup 99", [first, second], np.concatenate([family, others]), of)


def _labelled(
    name: str,
    tables: Sequence[Table],
    family: NDArray[np.str_],
    test: NDArray[np.bool_] | None,
    *,
    parts: dict[str, NDArray[np.bool_]] | None = None,
    notes: Sequence[str] = (),
) -> Labelled:
    """The tables' rows one after the other; a training table that names no attack leaves that to documentation."""
    table = tables[0]
    for other in tables[1:]:
        table = together(table, other)
    trained = family if test is None else family[~test]
    choice = meaning.choose(table, ())
    left_out = {**choice.left_out, LABEL: "the label"}
    if name == NSL:
        left_out["difficulty"] = "how hard the row is for others: it leaks the label"
    return check(
        Labelled(
            name=name,
            table=table.only(choice.features),
            family=family,
            class_=classes(family),
            left_out=left_out,
            official_test=test,
            parts=parts or {},
            new_families=NEW if set(trained.tolist()) <= {BENIGN, ATTACK} else None,
            notes=tuple(notes),
            sources={source.name: source.sha256 for source in tables},
        )
    )


def classes(family: NDArray[np.str_]) -> NDArray[np.str_]:
    """The class of each family; a name the documentation does not list is a class of its own, `other`."""
    names, inverse = np.unique(family, return_inverse=True)
    found = [name if name in {BENIGN, ATTACK} else _CLASS_OF.get(name, "other") for name in names.tolist()]
    return np.array(found, dtype=np.str_)[inverse]


def _load(path: Path, meaning_of_label: str) -> tuple[Table, NDArray[np.str_], NDArray[np.float64] | None]:
    """Features, families and, where the file has it, difficulty."""
    line = reading.first_line(path)
    count = line.count(",") + 1
    headed = "protocol_type" in line
    if headed:
        table = reading.read(path)
        label = table.words(next((name for name in LABELS if name in table.columns), LABEL), meaning_of_label)
    elif count in {len(FEATURES) + 1, len(FEATURES) + 2}:
        table = reading.read(path, [*FEATURES, LABEL, *DIFFICULTY[: count - len(FEATURES) - 1]])
        label = table.words(LABEL, meaning_of_label)
    else:
        raise TableUnreadable(
            f"reading {path.name}: its first line has {count} values; NSL-KDD has 43 (features, attack, difficulty), "
            f"KDD Cup 99 has 42, and a table with a header has the column {LABEL!r}"
        )
    difficulty = next((table.columns[name] for name in DIFFICULTY if name in table.columns), None)
    for name in FEATURES:
        table.column(name, "one of the 41 features")
    if difficulty is not None and difficulty.dtype.kind != "f":
        raise TableUnreadable(
            f"reading {path.name}: the difficulty column holds words; it must be a number from 0 to 21"
        )
    return (
        table.only(FEATURES),
        _families(label, path.name),
        None if difficulty is None else difficulty.astype(np.float64),
    )


def _families(label: NDArray[np.str_], where: str) -> NDArray[np.str_]:
    plain = np.char.lower(np.char.rstrip(label, "."))
    if (plain == "").any():
        raise TableUnreadable(
            f"reading {where}: {int((plain == '').sum())} rows have no label; label them or take them out"
        )
    named = {"normal": BENIGN, BENIGN: BENIGN, "anomaly": ATTACK, ATTACK: ATTACK, "malicious": ATTACK}
    names, inverse = np.unique(as_words(plain), return_inverse=True)
    found = np.array([named.get(name, name) for name in names.tolist()], dtype=np.str_)[inverse]
    if not (found == BENIGN).any():
        raise TableUnreadable(
            f"reading {where}: no row is labelled normal; the labels are {', '.join(names.tolist()[:8])}"
        )
    return found
