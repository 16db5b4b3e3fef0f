"""A model of a run as a Python script: everything it was made from stands in it, and it compares what comes out.

The script reads the same table (and refuses another), deals the rows by the same seed, fits the candidate with the
hyper-parameters that were found, once more on the rows it was chosen by where the run did that, and prints its figures
on the test rows beside the recorded ones. It ends with 1 where one is further off than `TOLERANCE`. It needs this
package (`pip install anomaflow[trainer]`) and nothing else of the machine it was made on.
"""

from __future__ import annotations

import pprint
import re
from typing import TYPE_CHECKING, Any, Final

from trainer import appearing
from trainer.workbench.candidates.blend import NAME as BLEND

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workbench.promotion.recorded import Recorded

TOLERANCE: Final = 0.01
"""A stop by time, or another version, moves a figure by less than this; another model by more."""
FIGURES: Final = ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision")

_TEXT: Final = '''"""Fits the model {title} of the run {run} again, and compares the figures with those recorded.

Usage: python {file} TABLE.parquet [TEST.parquet]

TABLE.parquet is the data set of the run; its content must have the digest below.{more}
"""

import importlib.metadata
import sys
from pathlib import Path

from trainer.workbench.candidates.base import Told
from trainer.workbench.candidates.blend import Blend
from trainer.workbench.candidates.catalogue import catalogue
from trainer.workbench.contest import metrics
from trainer.workbench.contest.last_fit import on_more_rows, together
from trainer.workbench.contest.threshold import threshold
from trainer.workbench.promotion.verify import digest_of
from trainer.workbench.rows.dealing import deal
from trainer.workbench.settings import Settings

DATA_DIGEST = {digest!r}
HAS_TEST_TABLE = {test!r}
SETTINGS = {settings}
CANDIDATES = {candidates}
AGAIN = {again!r}  # whether the run fitted it once more, with the rows it was chosen by
VERSIONS = {versions}
RECORDED = {recorded}
TOLERANCE = {tolerance!r}


def main() -> int:
    if len(sys.argv) != (3 if HAS_TEST_TABLE else 2):
        print(__doc__)
        return 2
    table, test = Path(sys.argv[1]), Path(sys.argv[2]) if HAS_TEST_TABLE else None
    about = table.with_name("about.json")
    found = digest_of(table, about if about.is_file() else None)
    if found != DATA_DIGEST:
        print(f"This is another table: its digest is {{found}}, that of the run's {{DATA_DIGEST}}.")
        return 1
    for name, version in VERSIONS.items():
        here = sys.version.split()[0] if name == "python" else importlib.metadata.version(name)
        if here != version:
            print(f"note: {{name}} is {{here}} here and was {{version}}; figures may differ in their last digits")
    settings = Settings.from_json(SETTINGS)
    dealt = deal(settings, table, test)
    data, members = dealt.prepared, []
    for name, params in CANDIDATES.items():
        described = catalogue()[name]
        member = described.make(dict(params), settings.seed).fit(data, Told())
        if AGAIN:
            more = on_more_rows(params, getattr(member, "rounds_", None))
            member = described.make(more, settings.seed).fit(together(data), Told())
        members.append(member)
    model = members[0] if len(members) == 1 else Blend(members, data.fit.shape[1], len(data.classes))
    if described.judges == "classes":
        figures = metrics.of_classes(model.chances(dealt.test.rows), dealt.test.truth, len(dealt.task.benign))
    else:
        limit = threshold(model.strangeness(dealt.calibrate)).value
        figures = metrics.of_strangeness(model.strangeness(dealt.test.rows), dealt.test.truth, limit)
    off = 0
    print(f"{{'figure':<20}}{{'recorded':>12}}{{'now':>12}}")
    for name, was in RECORDED.items():
        now = figures[name]
        apart = (was is None) != (now is None) or (was is not None and abs(was - now) > TOLERANCE)
        off += apart
        print(f"{{name:<20}}{{shown(was):>12}}{{shown(now):>12}}{{'  differs' if apart else ''}}")
    return 1 if off else 0


def shown(value) -> str:
    return "none" if value is None else f"{{value:.5f}}"


if __name__ == "__main__":
    sys.exit(main())
'''


def script(run: Recorded, name: str, file: str) -> str:
    """The script of model `name`, to be called `file`. Raises `SettingsUnusable` for a model that is not there."""
    line = run.entry(name)
    title = str(line.get("title", name))
    names = list(line.get("params", {}).get("members", ())) if name == BLEND else [name]
    candidates = {one: run.entry(one).get("params", {}) for one in names}
    notes = [str(line.get("why") or "")]
    notes += [str(note) for note in run.result.get("notes", ()) if title in str(note)]
    more = "".join(f"\n\nThe run says: {_harmless(note)}" for note in notes if note)
    return _TEXT.format(
        title=_harmless(title),
        run=_harmless(run.settings.name),
        file=_harmless(file),
        more=more,
        digest=run.data_digest,
        test=run.test_table is not None,
        settings=_literal(run.settings.to_json()),
        candidates=_literal(candidates),
        again=bool(line.get("fitted_again")),
        versions=_literal({str(key): str(value) for key, value in run.result.get("versions", {}).items()}),
        recorded=_literal({key: line.get("test", {}).get(key) for key in FIGURES}),
        tolerance=TOLERANCE,
    )


def save(text: str, out: Path) -> None:
    """Write the script by rename. Raises `OutputError`."""
    appearing.write(out, text.encode())


def _harmless(text: str) -> str:
    """A text that cannot end the docstring it stands in, nor bring a line of its own."""
    return re.sub(r'[\\"\x00-\x1f]', " ", text)[:500]


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=110, sort_dicts=False)
