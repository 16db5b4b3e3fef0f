"""The version of this distribution, said without reading package metadata, which costs a daemon megabytes."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
