"""Names, order and digest of the features, for those who need no matrix: read from the descriptor, without numpy."""

from __future__ import annotations

import hashlib
from typing import Final

from protos.v1 import features_pb2

_FIELDS = sorted(features_pb2.FlowFeatures.DESCRIPTOR.fields, key=lambda field: field.number)

FEATURES: Final[tuple[str, ...]] = tuple(field.name for field in _FIELDS)
"""Feature names in contract order."""

DIGEST: Final[str] = hashlib.sha256("\n".join(f"{field.number}:{field.name}" for field in _FIELDS).encode()).hexdigest()
"""SHA-256 of the numbered names, lower-case hexadecimal."""
