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
