"""PTX functions → kernels.

    core      control flow, registers → SSA, calls, parameters, variables
    alu       9.7.1, 9.7.2, 9.7.6–8: integers, carry chains, comparison, logic, shifts        video     9.7.17
    floats    9.7.3–5: floating point, half, bf16, packed pairs, mixed precision             convert   cvt, cvta, mov, prmt
    memory    ld st atom red, copies, address spaces                                         sync      9.7.9, 9.7.13: barriers, votes, shuffles
    matrix    ldmatrix, stmatrix, movmatrix, mma, wmma

Each instruction takes from its list of modifiers what it knows; what is left over is an `UnsupportedError` with the opcode: nothing is
dropped silently.  `lift(module, name)` gives the kernel of an entry, verified.
"""
from __future__ import annotations

from .core import _HANDLERS, Entry, Handler, lift

__all__ = ["Entry", "lift", "table"]


def table() -> dict[str, Handler]:
    """Lifters by opcode."""
    if not _HANDLERS:
        from . import alu, control, convert, floats, matrix, memory, sync, video  # noqa: F401
    return _HANDLERS
