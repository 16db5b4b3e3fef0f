"""The version of this distribution, for whoever must say it without reading package metadata (which costs megabytes)."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
