"""Code pages are given back, and nothing breaks."""

from __future__ import annotations

import numpy as np

from agent import footprint

MAPS = """\
55d0-55d4 r--p 00000000 fe:00 1 /usr/bin/python
7f00000000-7f00200000 r-xp 00001000 fe:00 2 /usr/lib/lib with blank.so
7f00200000-7f00300000 rw-p 00001000 fe:00 2 /usr/lib/lib.so
7f00300000-7f00400000 r-xp 00000000 00:00 0 [vdso]
7f00400000-7f00500000 r-xp 00000000 00:00 0
"""


def test_only_code_of_files_is_chosen():
    """Data, anonymous memory and the kernel's own pages are left alone."""
    assert footprint._code(MAPS) == [(0x7F00000000, 0x7F00200000)]


def test_a_trimmed_process_goes_on_as_before():
    """Megabytes are given back, and what was loaded still computes."""
    before = np.linalg.norm(np.arange(1000.0))
    assert footprint.trim() > 1 << 20
    assert np.linalg.norm(np.arange(1000.0)) == before
