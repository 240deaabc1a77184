"""The instructions of PTX ISA §9.7 as rows that mirror the manual's syntax lines: one table for the reader and the writer.

    table      the notation, and the rows as data            matching   which row an instruction follows, what is wrong where there is none
    say        how an op of the kernel level is said: which row, and what fills it       writing    what the writer takes from that
    samples    instructions made from the rows, for the coverage table and for tests
    integer carry floats half compare logic convert memory texture control sync matrix wgmma tcgen05 misc       the chapters
"""
from __future__ import annotations

_loaded = False


def load() -> None:
    """Reads the chapters, in the manual's order."""
    global _loaded
    if _loaded:
        return
    from . import integer, carry, floats, half, compare, logic, convert, memory, texture, control, sync, matrix, wgmma, tcgen05, misc  # noqa: F401, I001
    from .table import SECTIONS

    SECTIONS.sort(key=lambda s: [int(p) for p in s.number.split(".")])
    _loaded = True
