"""Every feature that NFStream computes has NFStream's value, on real captures and on damaged ones' whole part."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.context import Context
from agent.features import compute, origin
from agent.flow import FLOW
from agent.meter import NFSTREAM_PROFILE, FileSource, Meter
from protos import contract

FIELDS = [name for name in FLOW.names if name not in {"src_ip", "dst_ip", "end", "ended_ms"}]
FEATURES = [name for name in contract.FEATURES if origin(name) == "flow"]


def ours(path: Path) -> list[tuple]:
    """Flows by this meter, as sortable tuples, the matrix row of each behind them."""
    context = Context()
    rows = []
    for batch in Meter(FileSource(path), NFSTREAM_PROFILE, max_flows=10**9).batches():
        matrix = compute(batch, context)
        for flow, features in zip(batch, matrix, strict=True):
            rows.append(
                (
                    contract.format_address(flow["src_ip"].tobytes()),
                    contract.format_address(flow["dst_ip"].tobytes()),
                    *[flow[name].item() for name in FIELDS],
                    *[features[contract.index(name)].item() for name in FEATURES],
                )
            )
    return sorted(rows)


def theirs(path: Path) -> list[tuple]:
    """Flows by `NFStreamer`, in the same form; a matrix value is the value as float32."""
    from nfstream import NFStreamer

    return sorted(
        (
            contract.format_address(contract.parse_address(flow.src_ip)),
            contract.format_address(contract.parse_address(flow.dst_ip)),
            *[getattr(flow, name) for name in FIELDS],
            *[np.float32(getattr(flow, name)).item() for name in FEATURES],
        )
        for flow in NFStreamer(source=str(path), statistical_analysis=True, n_dissections=0, n_meters=1)
    )


def main() -> int:
    """In a process of its own: NFStreamer forks and imports pandas, neither of which a test runner wants."""
    flows, differing = 0, []
    for line in sys.stdin:
        path = Path(line.strip())
        mine, reference = ours(path), theirs(path)
        flows += len(reference)
        if mine != reference:
            first = next(((a, b) for a, b in zip(mine, reference, strict=False) if a != b), None)
            differing.append(f"{path.name}: {len(mine)} flows against {len(reference)}; first difference {first}")
    print(json.dumps({"flows": flows, "differing": differing}))
    return 0


@pytest.mark.captures
@pytest.mark.timeout(400)
def test_every_flow_of_every_capture_equals_nfstreamer(captures):
    """Fields and matrix columns are equal, exactly, flow by flow, with NFStream's own timeouts selected."""
    with (captures / "MANIFEST.csv").open(newline="") as manifest:
        paths = [captures.parent / row["file"] for row in csv.DictReader(manifest)]
    paths = [path for path in paths if path.is_file()]
    assert paths, f"the manifest in {captures} names no file that exists"
    result = subprocess.run(
        [sys.executable, __file__],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    answer = json.loads(result.stdout.splitlines()[-1])
    assert not answer["differing"], "\n".join(answer["differing"][:5])
    assert answer["flows"] >= len(paths)


if __name__ == "__main__":
    sys.exit(main())
