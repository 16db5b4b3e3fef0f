"""A network for tests: hosts whose quiet flows score as they like, counted by a real sensor's tally, hour by hour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.counting import HOUR_MS, WINDOW_MS, Tally
from agent.detector import Rule, decide
from agent.flow import FLOW

if TYPE_CHECKING:
    from protos.v1 import batch_pb2

SERVERS = 6


@dataclass
class QuietNetwork:
    """`hosts` that make `pace` flows each in ten minutes. Scores are `-log10 p`, then stretched and shifted."""

    hosts: int = 30
    pace: int = 10
    shift: float = 0.0
    stretch: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng(self.seed)

    def window(self, at_ms: int) -> tuple[np.ndarray, np.ndarray]:
        """Flows and scores of ten minutes."""
        count = self.hosts * self.pace
        sources = np.repeat(np.arange(self.hosts), self.pace)
        targets = 1_000 + self.chance.integers(0, SERVERS, count)
        scores = self.chance.exponential(self.stretch / math.log(10), count) + self.shift
        return flows(sources, targets, at_ms), scores.astype(np.float32)

    def count(self, tally: Tally, digest: str, start_ms: int, hours: int, *, scanning: tuple[int, ...] = ()) -> None:
        """Let a sensor count some hours; in the hours of `scanning` one host scans the network all the time."""
        for hour in range(hours):
            for window in range(HOUR_MS // WINDOW_MS):
                at_ms = start_ms + hour * HOUR_MS + window * WINDOW_MS
                for quiet, scores in (self.window(at_ms), *([scan(at_ms)] if hour in scanning else [])):
                    tally.add(quiet, scores, digest, now_ms=at_ms)

    def realised(self, threshold: float, *, windows: int = 1_000) -> float:
        """The share of later flows that a detector raises at `threshold`."""
        raised = total = 0
        for _ in range(windows):
            _, scores = self.window(0)
            raised += len(decide(scores, Rule(threshold, 0.0), len(scores), np.zeros(len(scores))).raised)
            total += len(scores)
        return raised / total


def scan(at_ms: int, *, score: float = 6.0, ports: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    """One host tries every port of another one, as fast as it can."""
    return flows(np.full(ports, 77_777), np.full(ports, 1_000), at_ms), np.full(ports, score, dtype=np.float32)


def flows(sources: np.ndarray, targets: np.ndarray, at_ms: int) -> np.ndarray:
    """Flows between numbered hosts."""
    made = np.zeros(len(sources), dtype=FLOW)
    for name, numbers in (("src_ip", sources), ("dst_ip", targets)):
        made[name][:, 8:] = numbers.astype(">u8")[:, None].view("u1").reshape(-1, 8)
    made["bidirectional_last_seen_ms"] = at_ms
    made["ended_ms"] = at_ms
    return made


def messages(tally: Tally) -> list[batch_pb2.ScoreCounts]:
    """What its shipper sends."""
    return list(tally.to_log().hours)
