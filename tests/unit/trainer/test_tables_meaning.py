"""Columns that name a host, a flow, a port or a moment are left out and named; whoever knows better says so."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.errors import TableUnreadable
from trainer.tables import meaning
from trainer.tables.table import Table

_NUMBERS = np.arange(100, dtype=np.float64)


@pytest.mark.parametrize(
    "name",
    [
        *("id", "Flow ID", "Unnamed: 0", "record_id", "Src IP", "Source IP", "srcip", "dst_addr", "saddr"),
        *("IPV4_SRC_ADDR", "Src Port", "Destination Port", "sport", "dsport", "L4_DST_PORT", "port", "id.orig_p"),
        *(
            "Timestamp",
            "ts",
            "Stime",
            "Ltime",
            "date",
            "start_time",
            "flowStartTime",
            "difficulty",
            "sttl",
            "ct_state_ttl",
        ),
        *("FLOW_START_MILLISECONDS", "first_seen_ms", "bidirectional_last_seen_ms", "src_mac", "hostname"),
    ],
)
def test_identifying_names_are_suspect(name: str) -> None:
    """In the spellings of the usual data sets."""
    assert meaning.suspect(name, _NUMBERS) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("duration", "src_bytes", "dst_host_count", "dst_host_same_src_port_rate", "is_sm_ips_ports", "count", "land"),
        *(
            "Total Fwd Packet",
            "Flow IAT Mean",
            "Idle Max",
            "Total TCP Flow Time",
            "Fwd Header Length",
            "Protocol",
            "rate",
        ),
        *("ct_dst_sport_ltm", "tcprtt", "service", "state", "hot", "num_root", "trans_depth", "Active Mean"),
    ],
)
def test_ordinary_names_are_not(name: str) -> None:
    """Volumes, rates, intervals and counts of ports stay."""
    assert meaning.suspect(name, _NUMBERS) is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([f"10.0.{at}.1" for at in range(100)], "an address, by its values"),
        ([f"fe80::{at:x}" for at in range(100)], "an address, by its values"),
        ([f"2024-01-{1 + at % 28:02} 10:00" for at in range(100)], "a time, by its values"),
        ([f"name {at}" for at in range(100)], "words that differ from row to row"),
    ],
)
def test_values_betray_what_a_name_hides(values: list[str], why: str) -> None:
    """A column called `peer` that holds addresses is a column of addresses."""
    assert meaning.suspect("peer", np.array(values)) == why


def test_keep_and_drop_overrule() -> None:
    """And the label is never a feature."""
    table = Table("t", {"sport": _NUMBERS, "bytes": _NUMBERS, "extra": _NUMBERS, "label": _NUMBERS})
    plain = meaning.choose(table, ["label"])
    assert plain.features == ("bytes", "extra")
    assert plain.left_out == {"sport": "a port number", "label": "the label"}
    told = meaning.choose(table, ["label"], drop=["extra"], keep=["sport"])
    assert told.features == ("sport", "bytes")
    assert told.left_out["extra"] == "asked for"


@pytest.mark.parametrize(
    ("drop", "keep", "match"),
    [
        (["none"], [], "no column 'none'"),
        (["bytes"], ["bytes"], "dropped and kept"),
        (["bytes"], [], "no column left"),
    ],
)
def test_impossible_choices_are_refused(drop: list[str], keep: list[str], match: str) -> None:
    """A misspelt name must not pass unnoticed."""
    with pytest.raises(TableUnreadable, match=match):
        meaning.choose(Table("t", {"sport": _NUMBERS, "bytes": _NUMBERS}), [], drop=drop, keep=keep)
