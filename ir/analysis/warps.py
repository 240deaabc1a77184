"""What of a kernel depends on how lanes come together: in warps of 32, at barriers, by waiting for each other."""
from __future__ import annotations

from ..instr import Instr
from ..kernel import Kernel

WARP_OPS = frozenset("shfl vote_any vote_all shfl_sync vote_sync ballot_sync match_any_sync match_all_sync redux_sync warp_sync elect_sync "
                     "activemask mma".split())  # fmt: skip


def warp_needs(k: Kernel) -> Instr | None:
    """The first instruction whose meaning depends on the lanes of a warp being together, of the kernel or a function of it.  (Registers like
    laneid are arithmetic on the thread's number and need no warp.)"""
    for f in (k, *k.functions):
        for i in f.instrs():
            if i.op.name in WARP_OPS:
                return i
    return None
