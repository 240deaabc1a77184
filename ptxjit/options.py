"""Compile options that are part of every key."""
from __future__ import annotations

from typing import NamedTuple


class Options(NamedTuple):
    """`fast_math` admits contraction, reciprocals, the hardware's approximations (ir/passes/fast.py) and matrix units for floats; `reproducible` asks for the same bits on every device."""

    fast_math: bool = False
    reproducible: bool = False
