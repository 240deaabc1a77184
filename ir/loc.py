"""Where a value came from: the user's file, line and function.  Outside of equality and of every cache key."""
from __future__ import annotations

from typing import NamedTuple


class Loc(NamedTuple):
    """A place in the user's source; prints as `file.py:12`."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"
