"""The benchmark of learning in lines for a person."""

from __future__ import annotations

from typing import Any


def as_text(found: dict[str, Any]) -> str:
    """For a person: for each way of asking the gate first, then every family of every seed."""
    return "\n".join(
        line for way in found["summary"] for line in (f"{way}:", *_way(found["summary"][way], found["rounds"][way]))
    )


def _way(summary: dict[str, Any], rounds: list[dict[str, Any]]) -> list[str]:
    lines = []
    for figure, told in summary.items():
        rise = "-" if told["labelled_rise"] is None else f"{told['labelled_rise']:+.3f}"
        room = "-" if told["labelled_with_room_rise"] is None else f"{told['labelled_with_room_rise']:+.3f}"
        never = "-" if told["never_labelled_rise"] is None else f"{told['never_labelled_rise']:+.3f}"
        worst = f"{told['worst_change']:+.3f} ({told['worst_family'] or 'none'})"
        lines.append(
            f"{figure:<15} labelled families {rise} (those with room {room}), never labelled {never}, worst {worst}: "
            f"{'passed' if told['passed'] else 'FAILED'}"
        )
    for entry in rounds:
        said, realised = entry["verdicts"], entry["realised_fpr"]
        lines.append(
            f"seed {entry['seed']}: {said['malicious']} malicious and {said['benign']} benign verdicts "
            f"({said['reported']} reported, {said['single_flows']} on single flows), {said['rows']} rows; "
            f"false positives {realised['before']:.2%} to {realised['after']:.2%}; {entry['taught']}"
        )
        for family, one in entry["families"].items():
            mark = "labelled" if one["labelled"] else "never"
            few = "" if one["judges"] else "  (too few rows to judge)"
            lines.append(
                f"  {family:<12} {mark:<9} {one['rows']:>6} rows  AP {one['before']['ap']:.3f} to "
                f"{one['after']['ap']:.3f}, at 1 % {one['before']['ap_1_percent']:.3f} to "
                f"{one['after']['ap_1_percent']:.3f}{few}"
            )
    return lines
