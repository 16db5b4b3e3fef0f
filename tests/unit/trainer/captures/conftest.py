"""Captures that were seen, made by hand: no file, no model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agent.flow import FLOW
from protos import contract
from trainer.captures.seen import Seen
from trainer.corpora.truth import Entry

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make_seen() -> Callable[..., Seen]:
    """`make_seen(scores, name=..., network=..., start_s=..., attack=...)`: TCP flows a second apart."""

    def make(
        scores: Any,
        *,
        name: str = "a.pcap",
        network: str = "lab",
        label: str = "benign",
        attack: str = "",
        start_s: int = 1_700_000_000,
        fitted_on: bool = False,
        **columns: Any,
    ) -> Seen:
        values = np.asarray(scores, dtype=np.float32)
        flows = np.zeros(len(values), dtype=FLOW)
        begun = (start_s + np.arange(len(values))) * 1000
        flows["bidirectional_first_seen_ms"] = begun
        flows["bidirectional_last_seen_ms"] = begun + 100
        flows["ended_ms"] = begun + 5_000
        flows["src_ip"][:, -1], flows["dst_ip"][:, -1] = 1, 2
        flows["src_ip"][:, 10:12], flows["dst_ip"][:, 10:12] = 255, 255
        flows["protocol"], flows["src_port"], flows["dst_port"] = 6, 40_000 + np.arange(len(values)) % 20_000, 80
        flows["bidirectional_packets"], flows["src2dst_packets"], flows["src2dst_syn_packets"] = 1, 1, 1
        flows["bidirectional_bytes"], flows["src2dst_bytes"] = 60, 60
        for column, value in columns.items():
            flows[column] = value
        return Seen(
            entry=Entry(name, Path(name), label, attack, network, None),
            flows=flows,
            attack=np.full(len(values), label == "attack"),
            scores={"model": values},
            sample=np.arange(len(values)),
            rows=np.zeros((len(values), len(contract.FEATURES)), dtype=np.float32),
            fitted_on=fitted_on,
            error="",
        )

    return make
