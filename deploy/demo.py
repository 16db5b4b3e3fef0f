"""`make demo`: the whole circle on this host, from packets to a model that learned from a verdict.

    packets -> flows -> scores -> alerts -> verdicts -> retraining -> gate -> the agent's new model -> packets

Nothing is installed, no root and no internet are needed: the traffic is a generated small office (seeded), replayed to
an agent at its own pace, with attacks in it and one nightly backup that a model trained without it takes for strange.
`--once` runs the circle headless and prints one JSON line; `--pcap` and `--iface` put your own traffic in its place.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parent))

from house import BIN, House, HouseError, free_port, tail
from lessons import EXPECTED, clear_cases, flow_key, label, some_of_each
from office import generate, round_of_traffic, truth

from protos.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]
HOME: Final = ROOT / ".demo"
PROMISED_FPR: Final = 0.01
SAMPLE: Final = 120
"""Verdicts of a kind that the headless round gives: a person would not give thousands either."""
ENOUGH: Final = 20
"""Alerts of that kind after which the demo gives its verdicts by itself."""
QUIET_MINUTES: Final = 60
"""Of the first model's traffic. With a third of it a threshold rests on some 1,400 rows, of which eight may lie above
it: two fits of all but the same rows then differ by chance as much as a beacon lies above it, and one retraining in
three was rightly refused by its gate."""


def say(text: str = "") -> None:
    """To the person watching; standard output belongs to the summary."""
    print(text, file=sys.stderr, flush=True)


class Steps:
    """What happened, and how long it took."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []

    def run(self, name: str, action: Callable[[], Any]) -> Any:
        """Do one step, naming it first."""
        say(f"  {name} ...")
        started = time.monotonic()
        answer = action()
        self.done.append({"step": name, "seconds": round(time.monotonic() - started, 1)})
        return answer


def quiet_hour(home: Path) -> Path:
    """A capture of the office with nothing amiss, for the first model."""
    return generate(home / "quiet.pcap", "office", minutes=QUIET_MINUTES, seed=1)


def fit_first(house: House, baseline: Path) -> dict[str, Any]:
    """Train on quiet traffic, judge it on attacks it never sees again, publish, promote. The model's row."""
    model = house.home / "first.onnx"
    attacks = generate(house.home / "attacks.pcap", "attacks", minutes=4, seed=9)
    judged = house.home / "attacks.csv"
    judged.write_text(f"file,label,attack,attack_rule\n{attacks},attack,generated,\n", encoding="utf-8")
    style = "bar" if sys.stderr.isatty() else "none"
    command = [
        str(BIN / "anomaflow-trainer"),
        "fit",
        "--benign",
        str(baseline),
        "--out",
        str(model),
        "--progress",
        style,
        "--labelled",
        str(judged),
    ]
    result = subprocess.run([*command, "--name", "office"], check=False, stdout=subprocess.DEVNULL)
    if result.returncode:
        raise HouseError(f"training the first model ended with {result.returncode}")
    row = house.publish(model)
    house.post(f"/models/{row['digest']}/promote", {"reason": "first model of the demo"})
    return row


def retrain(house: House) -> dict[str, Any]:
    """Start a training run that promotes its model if the gate lets it; wait for its end. The job's row."""
    job = house.post("/jobs/retrain", {"quarantine_hours": 0, "auto_promote": True, "name": "office-taught"})
    seen = ""

    def over() -> dict[str, Any] | None:
        nonlocal seen
        row: dict[str, Any] = house.get(f"/jobs/{job['id']}")
        if row.get("stage") and row["stage"] != seen:
            seen = row["stage"]
            say(f"      training: {seen}")
        return row if row["state"] != "running" else None

    done: dict[str, Any] = house.wait("the training run", over, seconds=600)
    if done["state"] != "succeeded":
        log = "\n".join(house.get(f"/jobs/{job['id']}/log", lines=15))
        raise HouseError(f"the training run {done['state']}: {done.get('error') or ''}\n{log}")
    return done


def running_model(house: House, agent: str) -> str:
    """Digest of the model an agent says it scores with."""
    rows = [row for row in house.get("/agents")["items"] if row["agent_id"] == agent]
    return str(rows[0]["model_digest"] or "") if rows else ""


def replay(house: House, captures: Sequence[Path]) -> list[dict[str, Any]]:
    """Replay captures to their end as fast as it goes; the alerts they raised."""
    before = {alert["id"] for alert in house.every("/alerts")}
    agent = house.agent("edge-1", "--replay", *map(str, captures), "--pace", "fast", "--wait-model", "30")
    code = agent.wait(timeout=300)
    if code:
        raise HouseError(f"the agent ended with {code}:\n{tail(house.home / 'edge-1.log')}")
    return [alert for alert in house.every("/alerts") if alert["id"] not in before]


def once(house: House, steps: Steps) -> dict[str, Any]:
    """The whole loop, headless. Raises `HouseError` at the first step that did not happen."""
    base = steps.run("making a quiet hour of the office", lambda: quiet_hour(house.home))
    days = steps.run("making a night with a backup and a day with attacks", lambda: round_of_traffic(house.home, 2))
    first = steps.run("training the first model on the quiet hour", lambda: fit_first(house, base))
    before = steps.run("replaying them to the agent", lambda: replay(house, days))
    look = truth(days)
    said = [(alert, *look(alert)) for alert in before]
    attacks = [alert for alert, _, malicious in said if malicious]
    strange = clear_cases(said)
    false, untold = strange[:SAMPLE], strange[SAMPLE:]
    if not attacks or not false:
        raise HouseError(
            f"the replay raised {len(attacks)} attack alerts and {len(false)} of the {EXPECTED}: nothing to teach"
        )
    sample = some_of_each(said, SAMPLE)
    steps.run(f"giving verdicts: {len(false)} false positives, {len(sample)} attacks", lambda: (
        label(house, false, "benign", "the nightly backup, known and wanted"),
        label(house, sample, "malicious", "seen in the generator's labels"),
    ))  # fmt: skip
    # A quiet day at its own pace keeps the agent alive while its model changes underneath.
    bridge = generate(house.home / "bridge.pcap", "office", minutes=15, seed=3)
    agent = house.agent("edge-1", "--replay", str(bridge), "--pace", "real")
    house.wait("the agent to report its model", lambda: running_model(house, "edge-1") == first["digest"], seconds=60)
    job = steps.run("retraining on the verdicts, gate, push", lambda: retrain(house))
    second = str(job["model_digest"])
    champion = next(row for row in house.every("/models") if row["state"] == "champion")
    if champion["digest"] != second:
        raise HouseError(f"the gate did not let the new model pass: {json.dumps(job.get('gate'))[:1500]}")
    steps.run("waiting for the agent to swap models while it meters", lambda: house.wait(
        "the running agent to score with the new model", lambda: running_model(house, "edge-1") == second,
        seconds=60, process=agent, log="edge-1.log",
    ))  # fmt: skip
    house.end(agent)
    after = steps.run("replaying the same under the new model", lambda: replay(house, days))
    still = {flow_key(alert) for alert in after}
    quiet = [alert for alert in false if flow_key(alert) not in still]
    caught = [alert for alert in sample if flow_key(alert) in still]
    if {alert["model_digest"] for alert in before} != {first["digest"]} or {a["model_digest"] for a in after} != {
        second
    }:
        raise HouseError("alerts do not name the model that raised them")
    if not quiet:
        raise HouseError(f"none of the {len(false)} labelled false positives stopped alerting")
    kinds = house.wait("the incidents to be named", lambda: incident_kinds(house), seconds=60)
    return {
        "ok": True,
        "models": {"first": first["digest"], "second": second},
        "alerts": {"first": len(before), "second": len(after)},
        "incidents": sum(kinds.values()),
        "incident_kinds": dict(kinds),
        "promise": promise(house),
        "labelled_false_positives": len(false),
        "no_longer_alerting": len(quiet),
        "unlabelled_of_that_kind": len(untold),
        "unlabelled_no_longer_alerting": sum(flow_key(alert) not in still for alert in untold),
        "labelled_attacks": len(sample),
        "attacks_still_alerting": len(caught),
        "gate": (house.get(f"/models/{second}/report").get("gate") or {}).get("passed"),
        "quieted": [f"{a['src_ip']}:{a['src_port']} > {a['dst_ip']}:{a['dst_port']}" for a in quiet[:20]],
    }


def incident_kinds(house: House) -> Counter[str]:
    """How many incidents of each kind there are; nothing while the aggregator is still putting alerts together."""
    kinds = Counter(row["kind"] for row in house.every("/incidents"))
    return Counter() if "" in kinds else kinds


def promise(house: House) -> dict[str, Any]:
    """What the group counted of its own flows, and what recalibrating on that would say. Nothing else follows it."""
    [group, *_] = house.get("/policies/groups")["items"]
    try:
        policy = house.post("/policies/recalibrate", {"fpr": PROMISED_FPR, "reason": "shown by the demo"})
    except HouseError as error:
        # Traffic full of attacks may not set a threshold; the reason is what is worth showing.
        return {"group": group, "recalibrated": None, "why": str(error)}
    return {"group": group, "recalibrated": policy}


def watch(house: House, steps: Steps, options: argparse.Namespace, password: str) -> None:
    """Stay up: traffic keeps coming, and once the backup has alerted the demo teaches the product about it."""
    base = steps.run("making a quiet hour of the office", lambda: quiet_hour(house.home))
    steps.run("training a first model on it", lambda: fit_first(house, base))
    say(f"\n  Console   {house.url}\n  User      admin\n  Password  {password}\n  API       {house.url}/api/docs\n")
    say("  The first alerts come within a minute. Stop with Ctrl-C; .demo is made anew next time.\n")
    number, latest, taught, running = 0, 0, False, ""
    seen: list[dict[str, Any]] = []
    while True:
        number += 1
        if options.iface:
            agent = house.agent("edge-1", "--iface", options.iface)
            look = None
            say(f"  metering {options.iface}: what the model finds strange alerts; teach it, then Models > Retrain")
        else:
            days = (
                [options.pcap]
                if options.pcap
                else round_of_traffic(house.home, 100 + number, minutes=(2, 4), start=datetime.now(UTC))
            )
            agent = house.agent("edge-1", "--replay", *map(str, days), "--pace", "real")
            look = None if options.pcap else truth(days)
            what = "your capture" if options.pcap else "an office's backup for two minutes, then attacks on it"
            say(f"  round {number}: {what}, at its own pace")
        while agent.poll() is None:
            time.sleep(2)
            fresh = list(newer(house, latest))
            if fresh:
                latest = max(latest, *(alert["id"] for alert in fresh))
                seen += fresh
                row = house.get("/incidents", limit=1)["items"]
                now = f"{datetime.now(UTC):%H:%M:%S}"
                say(f"    {now}  {len(seen)} alerts so far" + (f"; newest incident: {row[0]['title']}" if row else ""))
            digest = running_model(house, "edge-1")
            if digest and digest != running:
                running = digest
                say(f"    the agent scores with model {digest[:12]} now")
            if look and not taught:
                taught = teach(house, seen, look)
        if options.pcap and agent.returncode == ExitCode.SOURCE:
            say(f"  {tail(house.home / 'edge-1.log', 1)}")  # a truncated capture: what was whole has been metered
        elif agent.returncode:
            raise HouseError(f"the agent ended with {agent.returncode}:\n{tail(house.home / 'edge-1.log')}")
        if options.pcap:
            say("  the capture is over; the console stays up")
            while True:
                time.sleep(3600)


def newer(house: House, latest: int) -> Iterator[dict[str, Any]]:
    """Alerts that came after the one with id `latest`, newest first."""
    for alert in house.every("/alerts"):
        if alert["id"] <= latest:
            return
        yield alert


def teach(house: House, seen: list[dict[str, Any]], look: Callable[[dict[str, Any]], tuple[str, bool]]) -> bool:
    """Once the backup has raised a few alerts: verdicts, retraining, a new model on the agent. Whether it was done."""
    said = [(alert, *look(alert)) for alert in seen]
    false = clear_cases(said)
    if len(false) < ENOUGH:
        return False
    attacks = some_of_each(said, SAMPLE)
    say(f"    the nightly backup raised {len(false)} alerts: marking them as false positives, and retraining")
    label(house, false, "benign", "the nightly backup, known and wanted")
    label(house, attacks, "malicious", "seen in the generator's labels")
    try:
        job = retrain(house)
    except HouseError as error:
        say(f"    {error}")
        return True
    if job["promoted"]:
        say(f"    the gate let model {str(job['model_digest'])[:12]} pass; it is on its way to the agent")
    else:
        say("    the new model did not pass its gate, so the old one stays; Models in the console says why")
    return True


def stop(number: int, _frame: object) -> None:
    """A signal that ends the demo as Ctrl-C does."""
    raise KeyboardInterrupt(number)


def check(options: argparse.Namespace, home: Path) -> str:
    """Why this command line cannot work, before anything is made; empty when it can."""
    from agent.engine import Capture, FileSource, LiveSource
    from agent.errors import SourceError

    if options.pcap and home in options.pcap.absolute().parents:
        return f"{options.pcap} lies in {home}, which is made anew; copy the capture elsewhere first"
    if not (options.pcap or options.iface):
        return ""
    try:
        Capture(FileSource(options.pcap) if options.pcap else LiveSource(options.iface, buffer_mib=1)).close()
    except SourceError as error:
        return str(error)
    return ""


def claim(home: Path) -> IO[bytes] | None:
    """A lock beside the demo's folder, held until the process ends; None while another demo holds it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    lock = home.with_name(f"{home.name}.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--once", action="store_true", help="one round, headless; a JSON line on standard output")
    parser.add_argument("--port", type=int, default=8080, help="port of the console")
    kind.add_argument("--pcap", type=Path, help="replay this capture")
    kind.add_argument("--iface", help="meter this interface (needs root or CAP_NET_RAW)")
    parser.add_argument("--home", type=Path, default=HOME, help=argparse.SUPPRESS)
    options = parser.parse_args()
    home: Path = options.home.absolute()
    if refusal := check(options, home):
        say(f"demo: {refusal}")
        return 2
    lock = claim(home)
    if lock is None:
        say(f"demo: another demo is using {home}; stop it first")
        return 1
    try:
        shutil.rmtree(home)
    except FileNotFoundError:
        pass
    except PermissionError as error:
        say(f"demo: {error.filename} belongs to another user; remove it: sudo rm -r {home}")
        return 1
    home.mkdir(parents=True)
    settings: dict[str, object] = {
        "promised_fpr": PROMISED_FPR,
        "keep_fraction": 0.2,
        "quarantine_hours": 0,
        "baseline_benign": home / "quiet.pcap",
        "max_alerts_per_minute": 100_000 if options.once else 600,
    }
    house = House(home, web_port=free_port() if options.once else options.port, settings=settings)
    steps, password = Steps(), secrets.token_urlsafe(9)
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must not leave daemons behind
        signal.signal(number, stop)
    try:
        steps.run("starting the aggregator", lambda: house.open(password))
        if options.once:
            summary = once(house, steps)
            print(json.dumps(summary | {"steps": steps.done}))
        else:
            watch(house, steps, options, password)
    except (HouseError, subprocess.SubprocessError, OSError) as error:
        say(f"demo: {error}")
        if options.once:
            print(json.dumps({"ok": False, "error": str(error), "steps": steps.done}))
        return 1
    except KeyboardInterrupt:
        say("\n  stopping ...")
        if options.once:
            print(json.dumps({"ok": False, "error": "stopped", "steps": steps.done}))
            return 130
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # a second one must not leave processes behind
            signal.signal(number, signal.SIG_IGN)
        house.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
