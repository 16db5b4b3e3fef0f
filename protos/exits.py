"""Exit codes of every command. Scripts depend on them; docs/cli.md shows this table and a test compares the two."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What a command's end means. `meaning` is the sentence the documentation shows."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """A code with its sentence."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "Done."
    FAILED = 1, "An error nobody foresaw; please report it."
    USAGE = 2, "The command line is wrong."
    CONFIG = 3, "A configuration file, environment variable or setting is wrong."
    SOURCE = 4, "The interface or capture cannot be read: missing, not a capture, truncated, or a bad filter."
    PERMISSION = 5, "Not permitted: capturing needs CAP_NET_RAW, state needs its directory."
    MODEL = 6, "A model was refused: foreign, corrupt, or for other features."
    AGGREGATOR = 7, "The aggregator is away or refused this side."
    STATE = 8, "The state directory, spool or database is unusable."
    GATE = 9, "A model did not pass its gate."
    DATA = 10, "There is not enough usable data, or it is not what was expected."
    INTERRUPTED = 130, "Stopped by the user."
