"""A manifest survives its file, names what is missing, and picks the threshold that keeps a promise."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from protos import contract, manifest

ROWS = np.ones((2, len(contract.FEATURES)), dtype=np.float32)
GOOD = manifest.Manifest(
    name="office",
    kind="autoencoder",
    features=contract.FEATURES,
    feature_digest=contract.DIGEST,
    created_ms=1,
    calibration_rows=1000,
    thresholds=(
        manifest.Threshold(0.01, 2.0, True),
        manifest.Threshold(0.001, 3.0, False),
    ),
    provenance={"seed": 7},
    self_test_features=manifest.encode_rows(ROWS),
    self_test_scores=(1.5, 2.5),
)


def test_round_trip():
    """What is written is what is read, self-test rows included."""
    read = manifest.parse(GOOD.to_json())
    assert read == GOOD
    rows, scores = read.self_test()
    np.testing.assert_array_equal(rows, ROWS)
    assert scores.tolist() == [1.5, 2.5]


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7", '{"format": 1}', json.dumps({"format": 99})])
def test_what_is_no_manifest_is_named(text):
    """Missing, unreadable, incomplete or from another age: each is refused in words."""
    with pytest.raises(manifest.ManifestError, match=r"manifest|not a model"):
        manifest.parse(text)


def test_what_flows_need_together_is_optional_and_a_score():
    """A model from before, without the figure, is read as one that judges flow by flow; nonsense is refused."""
    assert manifest.parse(replace(GOOD, together=0.4).to_json()).together == 0.4
    old = json.loads(GOOD.to_json())
    del old["together"]
    assert manifest.parse(json.dumps(old)).together is None
    for wrong in (-1, "much", float("inf")):
        with pytest.raises(manifest.ManifestError, match="together"):
            manifest.parse(json.dumps(old | {"together": wrong}))


def test_another_contract_is_refused_with_the_remedy():
    """The digests and the unknown feature are named."""
    foreign = replace(GOOD, features=(*contract.FEATURES, "payload_entropy"), feature_digest="0" * 64)
    with pytest.raises(manifest.ManifestError, match=r"payload_entropy.*upgrade"):
        manifest.require_contract(foreign)
    manifest.require_contract(GOOD)


@pytest.mark.parametrize(("alpha", "score"), [(0.05, 2.0), (0.01, 2.0), (0.005, 3.0), (1e-9, 3.0)])
def test_a_threshold_never_promises_less_than_asked(alpha, score):
    """The largest calibrated rate not above the wanted one; the strictest when none is small enough."""
    assert GOOD.threshold_for(alpha).score == score


def test_a_model_without_calibration_says_so():
    """No threshold can be made up."""
    with pytest.raises(manifest.ManifestError, match="fit it again"):
        replace(GOOD, thresholds=()).threshold_for(0.01)


def test_thresholds_of_an_older_manifest_say_nothing_of_host_windows() -> None:
    """New fields are optional, and those of a newer version are ignored."""
    [old] = manifest.read_thresholds([{"alpha": 0.01, "score": 2.0, "certified": True, "later": 1}])
    assert old == manifest.Threshold(0.01, 2.0, True)
    assert old.windows is None
    [new] = manifest.read_thresholds([asdict(manifest.Threshold(0.01, 2.0, True, 0.2, True))])
    assert (new.windows, new.windows_certified) == (0.2, True)
