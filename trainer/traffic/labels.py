"""Labels: which kind of talk a metered flow belongs to.

A meter cuts conversations by its timeouts, may see the answering side first after a pause, and puts ping and
unreachable messages of two hosts into one flow. So a label is found by the two ends in either order, the protocol, and
the time: of the written flows that overlap the metered one, an attack wins over the office, then the longer overlap.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from protos.contract import parse_address
from trainer.traffic.packets import TrafficError
from trainer.traffic.writer import COLUMNS, FORMAT, MALICIOUS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_Key = tuple[bytes, bytes, int]


@dataclass(frozen=True, slots=True)
class Label:
    """What a written flow was. `campaign` numbers the attacks of a capture from 1; 0 is the office."""

    kind: str
    malicious: bool
    campaign: int
    first_ms: int
    last_ms: int


class Labels:
    """The labels of one capture. `about` is what else the document says: scenario, seed, start."""

    def __init__(self, rows: list[list[Any]], about: dict[str, Any]) -> None:
        self.about: Final = about
        self._by_key: dict[_Key, list[Label]] = defaultdict(list)
        place = {name: position for position, name in enumerate(COLUMNS)}
        for row in rows:
            source, sport, target, dport, protocol = row[:5]
            label = Label(
                kind=row[place["kind"]],
                malicious=row[place["label"]] == MALICIOUS,
                campaign=row[place["campaign"]],
                first_ms=row[place["first_ms"]],
                last_ms=row[place["last_ms"]],
            )
            self._by_key[_key(parse_address(source), sport, parse_address(target), dport, protocol)].append(label)

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def find(
        self, src_ip: bytes, src_port: int, dst_ip: bytes, dst_port: int, protocol: int, first_ms: int, last_ms: int
    ) -> Label | None:
        """The label of a metered flow, `None` for a foreign one. Addresses are 16 bytes, as in `agent.flow.FLOW`."""
        best: tuple[bool, int] | None = None
        found: Label | None = None
        for label in self._by_key.get(_key(src_ip, src_port, dst_ip, dst_port, protocol), ()):
            overlap = min(last_ms, label.last_ms) - max(first_ms, label.first_ms)
            if overlap >= 0 and (best is None or (label.malicious, overlap) > best):
                best, found = (label.malicious, overlap), label
        return found

    def of(self, flows: NDArray) -> list[Label | None]:
        """A label for every record of an `agent.flow.FLOW` array, in its order."""
        return [
            self.find(source.tobytes(), int(sport), target.tobytes(), int(dport), int(protocol), int(first), int(last))
            for source, sport, target, dport, protocol, first, last in zip(
                flows["src_ip"],
                flows["src_port"],
                flows["dst_ip"],
                flows["dst_port"],
                flows["protocol"],
                flows["bidirectional_first_seen_ms"],
                flows["bidirectional_last_seen_ms"],
                strict=True,
            )
        ]


def read_labels(path: Path) -> Labels:
    """The labels in a file that `scenario.build` wrote. Raises `TrafficError` for anything else."""
    try:
        document = json.loads(path.read_text())
        if document["format"] != FORMAT or tuple(document["columns"]) != COLUMNS:
            raise TrafficError(f"{path} holds labels of another format; generate the traffic again")
        rows = document.pop("flows")
        return Labels(rows, document)
    except OSError as error:
        raise TrafficError(f"cannot read labels from {path}: {error.strerror}") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise TrafficError(f"{path} is not a labels file of anomaflow-trainer traffic ({error})") from error


def _key(src_ip: bytes, src_port: int, dst_ip: bytes, dst_port: int, protocol: int) -> _Key:
    one, other = src_ip + src_port.to_bytes(2, "big"), dst_ip + dst_port.to_bytes(2, "big")
    return (one, other, protocol) if one <= other else (other, one, protocol)
