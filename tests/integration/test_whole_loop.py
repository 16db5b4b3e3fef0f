"""The product as a whole, by its commands and REST alone: a scan caught live, and the loop closed once."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def load(name: str):
    """A module of `deploy/`, which is a folder of scripts and no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="module")
def office_model(tmp_path_factory) -> Path:
    """A model fitted on generated quiet traffic, as a newcomer would fit one."""
    folder = tmp_path_factory.mktemp("model")
    run = [str(BIN / "anomaflow-trainer"), "traffic", "--scenario", "office", "--minutes", "10", "--seed", "5"]
    subprocess.run([*run, "--out", str(folder / "office.pcap")], check=True, capture_output=True, timeout=60)
    fit = [str(BIN / "anomaflow-trainer"), "fit", "--benign", str(folder / "office.pcap"), "--epochs", "30"]
    subprocess.run([*fit, "--out", str(folder / "office.onnx")], check=True, capture_output=True, timeout=120)
    return folder / "office.onnx"


# Runs inside the namespace, where the aggregator's loopback is: asks REST until an alert matches, prints it and when.
WATCH = """
import json, sys, time, httpx
url, token, source, until = sys.argv[1], open(sys.argv[2]).read().strip(), sys.argv[3], time.time() + float(sys.argv[4])
with httpx.Client(base_url=url, headers={"Authorization": "Bearer " + token}) as client:
    while time.time() < until:
        items = client.get("/api/v1/alerts", params={"limit": 200}).json()["items"]
        found = [item for item in items if item["src_ip"] == source and item["reasons"]]
        if found:
            detail = client.get(f"/api/v1/alerts/{found[0]['id']}").json()
            print(json.dumps({"at": time.time(), "alert": detail, "count": len(found)}))
            sys.exit(0)
        time.sleep(0.1)
sys.exit("no alert")
"""

# Ordinary traffic: a small server on the right, a few visits from the left.
SERVE = """
import http.server, threading
server = http.server.ThreadingHTTPServer(("10.77.0.2", 80), http.server.SimpleHTTPRequestHandler)
server.serve_forever()
"""
VISIT = "import urllib.request as u, time\nfor _ in range(10): u.urlopen('http://10.77.0.2/').read(); time.sleep(0.1)"


@pytest.mark.netns
@pytest.mark.training
@pytest.mark.timeout(240)
def test_a_live_scan_is_an_alert_with_reasons_within_five_seconds(network, office_model, tmp_path):
    """An agent on a veth interface, ordinary traffic, then `nmap -sS` from the other side: the alert and its reasons
    are readable through REST within five seconds of the scan's end."""
    house = load("house").House(tmp_path / "house", prefix=network.command("right"))
    server = subprocess.Popen(
        network.command("right", sys.executable, "-c", SERVE), cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        house.open("correct horse battery staple")
        agent = house.agent("edge", "--iface", "veth-r", "--model", str(office_model), "--threshold", "3")
        health = tmp_path / "house" / "edge" / "health.json"
        house.wait("the sensor", health.exists, seconds=30, process=agent, log="edge.log")
        time.sleep(1)
        network.run("left", sys.executable, "-c", VISIT)
        scan = network.run("left", "nmap", "-sS", "-Pn", "-n", "10.77.0.2")
        ended = time.time()
        assert "80/tcp" in scan.stdout
        seen = network.run(
            "right", sys.executable, "-c", WATCH, house.url, str(house.token_file), "10.77.0.1", "20", timeout=40
        )
        found = json.loads(seen.stdout)
        assert found["at"] - ended < 5, f"{found['at'] - ended:.1f} s after the scan"
        assert found["alert"]["reasons"][0]["text"]
        names = {reason["feature"] for reason in found["alert"]["reasons"]}
        assert any("10s" in name or "300s" in name for name in names), f"a scan shows in its context, not in {names}"
        assert house.end(agent) == 0
    finally:
        server.kill()
        server.wait()
        house.close()


@pytest.mark.training
@pytest.mark.timeout(400)
def test_the_demo_closes_the_loop(tmp_path):
    """`make demo ONCE=1`: two models, verdicts that quiet what they should, attacks that still alert, a live swap."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "demo.py"), "--once", "--home", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-1000:]
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["ok"]
    assert summary["gate"] is True
    assert summary["models"]["first"] != summary["models"]["second"]
    assert summary["no_longer_alerting"] >= 0.8 * summary["labelled_false_positives"] > 0
    assert summary["attacks_still_alerting"] >= 0.9 * summary["labelled_attacks"] > 0
