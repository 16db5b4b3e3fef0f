"""What the aggregator holds back from training: a JSON file it writes for every run, `fit --held FILE`.

    {"format": "anomaflow-held-1",
     "hosts": [{"host": "10.0.0.7", "from_ms": 1700000000000, "until_ms": 1700000360000, "why": "open incident"}],
     "thresholds": [{"agent_id": "office", "model_digest": "ab…", "threshold": 3.0}]}

- *hosts*: while one of these lasts, no unlabelled flow of the host is known to be benign: its incident is open, was
  called malicious, or is of an attack's kind and nobody judged it. The reach of the context features is added on both
  sides: a flow just before or after still carries the attack in its features, or leads up to it.
- *thresholds*: the lowest score at which an agent alerted under a model. A quiet flow at or above it is an alert that
  the hard cap turned down, not an ordinary flow.

A person's verdict is stronger: labelled rows are never held back. Pure, but for `read`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.corpora.suspects import REACH_MS
from trainer.errors import SourceMissing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT: Final = "anomaflow-held-1"
CAPPED: Final = "beyond the alert cap"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time during which a host's flows are held back, and why."""

    from_ms: int
    until_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """Stretches by host, and thresholds by agent and model."""

    hosts: dict[str, tuple[Stretch, ...]] = field(default_factory=dict)
    thresholds: dict[tuple[str, str], float] = field(default_factory=dict)

    def reasons(self, sources: NDArray, targets: NDArray, time_ms: NDArray) -> NDArray[np.object_]:
        """Why each row `[n]` is held back for its hosts; an empty text where it is not."""
        why = np.full(len(time_ms), "", dtype=object)
        at = np.asarray(time_ms, dtype=np.int64)
        for hosts in (sources, targets):
            for host in np.unique(hosts).tolist():
                for stretch in self.hosts.get(host, ()):
                    inside = (hosts == host) & (at >= stretch.from_ms - REACH_MS) & (at <= stretch.until_ms + REACH_MS)
                    why[inside & (why == "")] = stretch.why
        return why

    def capped(self, agents: NDArray, models: NDArray, scores: NDArray) -> NDArray[np.bool_]:
        """Which rows `[n]` are alerts that the cap turned down, were they quiet ones."""
        limit = np.full(len(scores), np.inf)
        for (agent, digest), threshold in self.thresholds.items():
            limit[(agents == agent) & (models == digest)] = threshold
        over: NDArray[np.bool_] = np.asarray(scores, dtype=np.float64) >= limit
        return over


def read(path: Path) -> Held:
    """The file at `path`. Raises `SourceMissing` when it is not there or not such a file."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise SourceMissing(f"reading {path}: its format is {document['format']!r}, not {FORMAT}")
        hosts: dict[str, list[Stretch]] = defaultdict(list)
        for entry in document["hosts"]:
            stretch = Stretch(int(entry["from_ms"]), int(entry["until_ms"]), str(entry["why"]))
            hosts[str(entry["host"])].append(stretch)
        thresholds = {
            (str(entry["agent_id"]), str(entry["model_digest"])): float(entry["threshold"])
            for entry in document["thresholds"]
        }
    except OSError as error:
        raise SourceMissing(f"reading {path}: {error.strerror}; check the path") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SourceMissing(f"reading {path}: not a list of what is held back ({error})") from error
    return Held({host: tuple(stretches) for host, stretches in hosts.items()}, thresholds)
