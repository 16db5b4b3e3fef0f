"""Which threshold, which sample, which cap: the policy the aggregator sent, or what the configuration says until then.

The threshold is, in this order: the operator's own (`threshold`), the policy's if it was set for the running model or
for any model, the one the policy had for this model before, the model's own at `promised_fpr`, and, for a model without
calibration, `-log10(promised_fpr)`, which is what the score means.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.state import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.config import AgentConfig
    from protos.manifest import Manifest

_REMEMBERED: Final = 8


class PolicyRefused(ValueError):  # noqa: N818 - reads like the other refusals
    """A policy that makes no sense; the old one stays."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as kept in `policy.json`. `thresholds` remembers what was set for other models, newest last."""

    version: int = 0
    model_digest: str = ""
    threshold: float = math.inf
    keep_fraction: float = 0.0
    max_alerts_per_minute: int = 0
    thresholds: tuple[tuple[str, float], ...] = ()


def follow(old: Policy | None, new: Policy) -> Policy:
    """`new`, remembering the thresholds of `old`. Raises `PolicyRefused` for values out of range. Pure."""
    if not math.isfinite(new.threshold) or not 0 <= new.keep_fraction <= 1 or new.max_alerts_per_minute < 0:
        raise PolicyRefused(
            f"policy {new.version}: threshold {new.threshold}, keep_fraction {new.keep_fraction}, "
            f"max_alerts_per_minute {new.max_alerts_per_minute} are not usable; the old policy stays"
        )
    known = dict(old.thresholds) if old is not None else {}
    known.pop(new.model_digest, None)
    if new.model_digest:
        known[new.model_digest] = new.threshold
    return Policy(
        version=new.version,
        model_digest=new.model_digest,
        threshold=new.threshold,
        keep_fraction=new.keep_fraction,
        max_alerts_per_minute=new.max_alerts_per_minute,
        thresholds=tuple(known.items())[-_REMEMBERED:],
    )


def to_json(policy: Policy) -> dict[str, Any]:
    """What `from_json` reads back."""
    return asdict(policy)


def from_json(content: Mapping[str, Any]) -> Policy | None:
    """The policy in `content`; None when there is none that makes sense."""
    try:
        policy = Policy(
            version=int(content["version"]),
            model_digest=str(content["model_digest"]),
            threshold=float(content["threshold"]),
            keep_fraction=float(content["keep_fraction"]),
            max_alerts_per_minute=int(content["max_alerts_per_minute"]),
            thresholds=tuple((str(digest), float(value)) for digest, value in content["thresholds"]),
        )
        return follow(policy, policy)
    except (KeyError, TypeError, ValueError):
        return None


def read_policy(path: Path) -> Policy | None:
    """The policy kept in `path`, or None."""
    return from_json(read_json(path))


def initial_policy(config: AgentConfig) -> Policy:
    """What holds until the aggregator sends a policy. Version 0; its threshold is nobody's choice."""
    return Policy(
        version=0,
        threshold=math.inf,
        keep_fraction=config.keep_fraction,
        max_alerts_per_minute=config.max_alerts_per_minute,
    )


def effective_threshold(
    policy: Policy, *, digest: str, manifest: Manifest | None, override: float | None, promised_fpr: float
) -> float:
    """The score that makes an alert under model `digest`; infinite without a model. Pure."""
    if not digest or manifest is None:
        return math.inf
    if override is not None:
        return override
    if policy.version and policy.model_digest in ("", digest):
        return policy.threshold
    remembered = dict(policy.thresholds).get(digest)
    if remembered is not None:
        return remembered
    if manifest.thresholds:
        return manifest.threshold_for(promised_fpr).score
    return -math.log10(promised_fpr)
