"""Capture manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.flow import FLOW
from trainer.corpora import truth
from trainer.errors import SourceMissing, TruthUnreadable

if TYPE_CHECKING:
    from pathlib import Path


def _manifest(folder: Path, *lines: str, header: str = "file,label,attack,attack_rule") -> Path:
    path = folder / "MANIFEST.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_labels_say_which_flows_are_attacks(tmp_path: Path) -> None:
    """Benign: none; attack: all, or those of its rule; mixed: those of its rule."""
    entries = truth.read(
        _manifest(tmp_path, "a.pcap,benign,,", "b.pcap,attack,scan,", "c.pcap,mixed,spray,(dst_port==7)")
    )
    flows = np.zeros(2, dtype=FLOW)
    flows["dst_port"] = [7, 8]
    assert [entry.is_attack(flows).tolist() for entry in entries] == [[False] * 2, [True] * 2, [True, False]]
    assert [entry.attack for entry in entries] == ["", "scan", "spray"]


def test_files_are_found_beside_the_manifest_or_from_the_folder_above(tmp_path: Path) -> None:
    """A manifest may name its captures from where it lies or from where its folder lies."""
    inner = tmp_path / "pcap"
    inner.mkdir()
    (inner / "a.pcap").touch()
    (inner / "b.pcap").touch()
    entries = truth.read(_manifest(inner, "a.pcap,benign,,", "pcap/b.pcap,benign,,"))
    assert [entry.path.resolve() for entry in entries] == [inner / "a.pcap", inner / "b.pcap"]


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["a.pcap,good,,"], "line 2: label 'good'"),
        (["a.pcap,benign,,", "b.pcap,mixed,x,"], "line 3: a mixed capture needs"),
        (["a.pcap,attack,x,port is 5"], "attack rule"),
        ([], "names no capture"),
    ],
)
def test_a_manifest_that_cannot_be_understood_names_the_line(tmp_path: Path, lines: list[str], match: str) -> None:
    """The message leads to the line to mend."""
    with pytest.raises(TruthUnreadable, match=match):
        truth.read(_manifest(tmp_path, *lines))


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    """Missing file, missing column, and bytes that are no text."""
    with pytest.raises(SourceMissing):
        truth.read(tmp_path / "none.csv")
    with pytest.raises(TruthUnreadable, match="no column 'label'"):
        truth.read(_manifest(tmp_path, "a.pcap", header="file"))
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(TruthUnreadable, match="not CSV text"):
        truth.read(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("header", "line", "network"),
    [
        ("file,label,attack,attack_rule,source_repo", "x/lab__a.pcap,benign,,,someone/captures", "someone/captures"),
        ("file,label,attack,attack_rule,network", "x/lab__a.pcap,benign,,,branch", "branch"),
        ("file,label,attack,attack_rule", "x/lab__a.pcap,benign,,", "lab"),
        ("file,label,attack,attack_rule", "x/y/a.pcap,benign,,", "x/y"),
        ("file,label,attack,attack_rule", "a.pcap,benign,,", ""),
    ],
)
def test_a_capture_belongs_to_a_network(tmp_path: Path, header: str, line: str, network: str) -> None:
    """A column says so, else the name or the folder of the file."""
    [entry] = truth.read(_manifest(tmp_path, line, header=header))
    assert entry.network == network


def test_the_family_of_an_attack_is_its_first_word(tmp_path: Path) -> None:
    """What stands before the colon, in small letters."""
    [entry] = truth.read(_manifest(tmp_path, "a.pcap,attack,Scan:nmap,"))
    assert entry.family == "scan"
