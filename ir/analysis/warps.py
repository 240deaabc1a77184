"""What of a kernel depends on how lanes come together: in warps of 32, at barriers, by waiting for each other."""
from __future__ import annotations

from ..instr import Instr, Value
from ..kernel import Kernel
from .flow import in_cycles

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


def spins(k: Kernel) -> Instr | None:
    """The first instruction of a loop that may wait there for another thread: what ends the loop depends on a volatile or ordered load, on a test
    of an mbarrier, or on an exchange of constants.  (A loop around a compare-and-swap of what it read itself, or around an addition, moves on.)"""
    cycles = in_cycles(k)
    made: dict[int, Instr] = {r.id: i for i in k.instrs() for r in i.results}
    home = {r.id: n for n, b in enumerate(k.blocks) for i in b.instrs for r in i.results}
    into: dict[int, list[Value]] = {}
    for b in k.blocks:
        for e in b.terminator.edges:
            for a, p in zip(e.args, k.blocks[e.target].params):
                into.setdefault(p.id, []).append(a)
    for n in sorted(cycles):
        t = k.blocks[n].terminator
        if t.op.name not in ("branch", "switch"):
            continue
        seen: set[int] = set()
        stack = [t.args[0]]
        while stack:
            v = stack.pop()
            if v.id in seen:
                continue
            seen.add(v.id)
            stack += into.get(v.id, [])
            i = made.get(v.id)
            if i is None:
                continue
            if home[v.id] in cycles and _polls(i, cycles, home, into):
                return i
            if i.op.name not in ("ld", "atom", "mbarrier"):
                stack += i.args
    return None


def _polls(i: Instr, cycles: set[int], home: dict[int, int], into: dict[int, list[Value]]) -> bool:
    name = i.op.name
    if name == "ld":
        return bool(i.attr("volatile")) or i.attr("order") in ("relaxed", "acquire", "sc")
    if name == "mbarrier":
        return str(i.attr("fn")).startswith("test")
    if name != "atom" or i.attr("fn") not in ("cas", "exch", "or", "and"):
        return False
    n = 2 if i.attr("fn") == "cas" else 1
    first = i.args[len(i.args) - n]
    return home.get(first.id, -1) not in cycles and first.id not in into  # the same each time round
