"""Which values are alive behind each instruction of a kernel: register pressure before any allocation.

A value counts the 32-bit words that it takes in a lane; constants take none (they are immediates), nor do predicates (they have registers of their
own) and pointers that are kernel parameters.
"""
from __future__ import annotations

from ..instr import Value
from ..kernel import Kernel


def words(v: Value) -> int:
    """32-bit registers of a value."""
    bits = v.type.elem.bits
    return 0 if bits == 1 else -(-bits // 32)


def pressure(k: Kernel) -> list[list[int]]:
    """Words alive behind each instruction, and what it makes or passes on, per block in the kernel's order."""
    free = {i.result.id for i in k.instrs() if i.op.name == "constant"} | {p.value.id for p in k.params}
    size: dict[int, int] = {}
    reads: list[set[int]] = []
    makes: list[set[int]] = []
    for b in k.blocks:
        have: set[int] = set()
        need: set[int] = set()
        for v in b.params:
            size[v.id] = words(v)
            have.add(v.id)
        for i in b.instrs:
            need.update(v.id for v in i.operands() if v.id not in have)
            for v in i.results:
                size[v.id] = words(v)
                have.add(v.id)
        reads.append(need - free)
        makes.append(have)
    into = [set(r) for r in reads]
    changed = True
    while changed:
        changed = False
        for n in range(len(k.blocks) - 1, -1, -1):
            out = set().union(*(into[e.target] for e in k.blocks[n].terminator.edges))
            new = reads[n] | (out - makes[n])
            if not new <= into[n]:
                into[n] |= new
                changed = True
    result = []
    for n, b in enumerate(k.blocks):
        alive = set().union(*(into[e.target] for e in b.terminator.edges))
        line = []
        for i in reversed(b.instrs):
            mine = {v.id for v in i.results} - free
            if i.edges:
                mine |= {a.id for e in i.edges for a in e.args} - free
            line.append(sum(size[v] for v in alive | mine))
            alive -= mine
            alive.update(v.id for v in i.operands() if v.id not in free)
        result.append(line[::-1])
    return result


def peak(k: Kernel) -> int:
    """The most words alive anywhere."""
    return max((n for line in pressure(k) for n in line), default=0)
