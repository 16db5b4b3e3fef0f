"""The traffic of the demo: a generated office, its nights with a backup, its days with attacks, and their truth."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from house import BIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NETWORK: Final = "7"
ATTACKS: Final = (
    "horizontal_scan,vertical_scan,connect_scan,udp_scan,syn_flood,password_guessing,slowloris,exfiltration,beacon,"
    "dns_tunnel"
)
"""What runs in the demo: everything the generator can play."""


def generate(
    out: Path,
    scenario: str,
    *,
    minutes: float,
    seed: int,
    backup: bool = False,
    start: datetime | None = None,
    attacks: str = "",
) -> Path:
    """A capture of the demo's office, with its labels beside it."""
    command = [str(BIN / "anomaflow-trainer"), "traffic", "--scenario", scenario, "--network", NETWORK]
    command += ["--minutes", str(minutes), "--seed", str(seed), "--out", str(out)]
    command += ["--backup"] if backup else []
    command += ["--start", start.isoformat()] if start else []
    command += ["--attacks", attacks] if attacks else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def round_of_traffic(
    home: Path, seed: int, *, minutes: tuple[float, float] = (6, 8), start: datetime | None = None
) -> list[Path]:
    """A night in which the backup runs, then a day with attacks."""
    begin = start or datetime(2026, 1, 5, 21, tzinfo=UTC)
    night = generate(home / f"night-{seed}.pcap", "office", minutes=minutes[0], seed=seed, backup=True, start=begin)
    morning = begin + timedelta(minutes=minutes[0])
    day = home / f"day-{seed}.pcap"
    generate(day, "mixed", minutes=minutes[1], seed=seed + 1000, start=morning, attacks=ATTACKS)
    return [night, day]


def truth(captures: Sequence[Path]) -> Callable[[dict[str, Any]], tuple[str, bool]]:
    """What the generator says of an alert: its kind, and whether it is malicious."""
    from protos import contract
    from trainer.traffic.labels import read_labels

    known = [read_labels(Path(f"{capture}.labels.json")) for capture in captures]

    def look(alert: dict[str, Any]) -> tuple[str, bool]:
        source, target = contract.parse_address(alert["src_ip"]), contract.parse_address(alert["dst_ip"])
        ports, times = (alert["src_port"], alert["dst_port"]), (alert["first_seen_ms"], alert["last_seen_ms"])
        for labels in known:
            label = labels.find(source, ports[0], target, ports[1], alert["protocol"], *times)
            if label:
                return label.kind, label.malicious
        return "unknown", False

    return look
