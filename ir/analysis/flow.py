"""Where values come from and go to."""
from __future__ import annotations

from ..kernel import Kernel

WRITES = frozenset("st red atom copy mbarrier".split())
CARRIES = frozenset("iadd isub select bitcast zext sext itrunc to_generic from_generic and or xor imul shl".split())


def written_params(k: Kernel) -> frozenset[int]:
    """Numbers of the parameters whose value, as an address, may be written through: followed through arithmetic and block parameters."""
    origin: dict[int, set[int]] = {p.value.id: {n} for n, p in enumerate(k.params)}
    changed = True
    while changed:
        changed = False
        for b in k.blocks:
            for i in b.instrs:
                if i.op.name in CARRIES:
                    have = origin.setdefault(i.results[0].id, set())
                    before = len(have)
                    for a in i.args:
                        have |= origin.get(a.id, set())
                    changed |= len(have) != before
                for e in i.edges:
                    for a, p in zip(e.args, k.blocks[e.target].params):
                        have = origin.setdefault(p.id, set())
                        before = len(have)
                        have |= origin.get(a.id, set())
                        changed |= len(have) != before
    out: set[int] = set()
    for i in k.instrs():
        if i.op.name in WRITES and i.attr("space", "global") not in ("shared", "local"):
            out |= origin.get(i.args[0].id, set())
    return frozenset(out)


def in_cycles(k: Kernel) -> set[int]:
    """Blocks on a cycle (strongly connected components with an inner edge; Tarjan 1972, without recursion)."""
    out: set[int] = set()
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on: set[int] = set()
    stack: list[int] = []
    for root in range(len(k.blocks)):
        if root in index:
            continue
        work = [(root, 0)]
        while work:
            n, e = work.pop()
            if e == 0:
                index[n] = low[n] = len(index)
                stack.append(n)
                on.add(n)
            edges = k.blocks[n].terminator.edges
            if e > 0:
                low[n] = min(low[n], low[edges[e - 1].target]) if edges[e - 1].target in on else low[n]
            if e < len(edges):
                work.append((n, e + 1))
                t = edges[e].target
                if t not in index:
                    work.append((t, 0))
                elif t in on:
                    low[n] = min(low[n], index[t])
                continue
            if low[n] == index[n]:
                part = []
                while True:
                    m = stack.pop()
                    on.discard(m)
                    part.append(m)
                    if m == n:
                        break
                if len(part) > 1 or any(x.target == n for x in edges):
                    out.update(part)
    return out
