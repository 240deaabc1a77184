"""Which values and blocks of a kernel of threads are the same for all threads of a block, or of a warp.

Levels: 0 the block's threads agree, 1 the threads of each warp agree, 2 threads differ.  The level of a program block is that of the worst branch
that decides whether a thread is in it.  Weak loads from one address agree (a kernel without races); anything atomic or volatile does not.
Level 1 counts on warps that lie along x: blocks of one dimension, or an x that is a multiple of 32.
"""
from __future__ import annotations

from ..instr import Instr
from ..kernel import Kernel

BLOCK, WARP, THREAD = 0, 1, 2
DIFFER = frozenset("atom activemask alloca mbarrier call call_indirect printf read_clock cancel shfl shfl_sync match_any_sync elect_sync mma".split())
AGREE_WARP = frozenset("vote_sync ballot_sync match_all_sync redux_sync vote_any vote_all".split())


class Uniform:
    """`value[id]` and `block[n]`: levels.  Blocks that cannot be reached have level 0."""

    def __init__(self, k: Kernel) -> None:
        self.k = k
        self.value: dict[int, int] = {p.value.id: BLOCK for p in k.params}
        self.block = [BLOCK] * len(k.blocks)
        self.made: dict[int, Instr] = {r.id: i for i in k.instrs() for r in i.results}
        self.const = {i.result.id: i.attr("value") for i in k.instrs() if i.op.name == "constant"}
        self._home: dict[int, int] = {}
        self._users: dict[int, set[int]] = {}
        for n, b in enumerate(k.blocks):
            for v in (*b.params, *(r for i in b.instrs for r in i.results)):
                self._home[v.id] = n
            for i in b.instrs:
                for v in i.operands():
                    self._users.setdefault(v.id, set()).add(n)
        self._after = post_dominators(k)
        self._done: dict[int, int] = {}
        while self._values() or self._branches():
            pass

    def _raise(self, v: int, level: int) -> bool:
        if level > self.value.get(v, BLOCK):
            self.value[v] = level
            return True
        return False

    def _values(self) -> bool:
        changed = False
        for b in self.k.blocks:
            for i in b.instrs:
                for e in i.edges:
                    for a, p in zip(e.args, self.k.blocks[e.target].params):
                        changed |= self._raise(p.id, self.value.get(a.id, BLOCK))
                if i.results:
                    level = self._level(i)
                    for r in i.results:
                        changed |= self._raise(r.id, level)
        return changed

    def _level(self, i: Instr) -> int:
        name = i.op.name
        if name == "sreg":
            r = i.attr("name")
            return WARP if r == "warpid" else THREAD if r.startswith(("tid.", "lane")) else BLOCK
        if name in DIFFER:
            return THREAD
        if name in AGREE_WARP:
            return WARP
        if name == "named_barrier":
            return BLOCK
        worst = max((self.value.get(v.id, BLOCK) for v in i.operands()), default=BLOCK)
        if name == "ld":
            weak = not i.attr("volatile") and i.attr("order") in (None, "weak")
            return THREAD if not weak or i.attr("space") == "local" else worst
        if worst == THREAD and self._by_warps(i):
            return WARP
        return worst

    def _by_warps(self, i: Instr) -> bool:
        """tid.x / 32, and comparisons that part whole warps."""
        if len(i.args) != 2 or not self._is_x(i.args[0].id):
            return False
        c, name, pred = self.const.get(i.args[1].id), i.op.name, str(i.attr("pred", ""))
        if not isinstance(c, int):
            return False
        if name in ("shr_u", "shr_s"):
            return c >= 5
        if name in ("idiv_u", "idiv_s"):
            return c > 0 and c % 32 == 0
        if name == "and":
            return c & 31 == 0
        return name == "icmp" and c >= 0 and (pred[1:] in ("lt", "ge") and c % 32 == 0 or pred[1:] in ("le", "gt") and c % 32 == 31)

    def _is_x(self, v: int) -> bool:
        i = self.made.get(v)
        while i is not None and i.op.name in ("zext", "sext", "bitcast"):
            i = self.made.get(i.args[0].id)
        return i is not None and i.op.name == "sreg" and i.attr("name") == "tid.x"

    def _branches(self) -> bool:
        changed = False
        for n, b in enumerate(self.k.blocks):
            t = b.terminator
            if t.op.name not in ("branch", "switch"):
                continue
            level = self.value.get(t.args[0].id, BLOCK)
            if level <= self._done.get(n, BLOCK):
                continue
            self._done[n] = level
            changed = True
            join = self._after[n]
            region: set[int] = set()
            stack = [e.target for e in t.edges]
            while stack:
                x = stack.pop()
                if x in region or x == join:
                    continue
                region.add(x)
                stack += [e.target for e in self.k.blocks[x].terminator.edges]
            for x in region:
                self.block[x] = max(self.block[x], level)
                for v in self.k.blocks[x].params:
                    self._raise(v.id, level)
            if join is not None:
                for v in self.k.blocks[join].params:
                    self._raise(v.id, level)
            for id_, home in self._home.items():  # what leaves a loop that threads leave one by one
                if home in region and self._users.get(id_, set()) - region:
                    self._raise(id_, level)
        return changed


def post_dominators(k: Kernel) -> list[int | None]:
    """The immediate post-dominator of each block; None stands for the end (Cooper, Harvey, Kennedy 2001, on the reversed graph).  Blocks
    that never end count as ending."""
    end = len(k.blocks)
    after = [[e.target for e in b.terminator.edges] or [end] for b in k.blocks]
    before: list[list[int]] = [[] for _ in range(end + 1)]
    for n, targets in enumerate(after):
        for t in targets:
            before[t].append(n)
    order: list[int] = []  # of the reversed graph, what is visited last first
    seen: set[int] = set()
    for root in (end, *range(end)):
        if root in seen:
            continue
        if root != end:
            after[root] = [*after[root], end]
        seen.add(root)
        work = [(root, iter(before[root]))]
        while work:
            n, rest = work[-1]
            for m in rest:
                if m not in seen:
                    seen.add(m)
                    work.append((m, iter(before[m])))
                    break
            else:
                work.pop()
                order.append(n)
    order = [end, *(n for n in reversed(order) if n != end)]
    place = {n: p for p, n in enumerate(order)}
    found: dict[int, int] = {end: end}

    def meet(a: int, b: int) -> int:
        while a != b:
            while place[a] > place[b]:
                a = found[a]
            while place[b] > place[a]:
                b = found[b]
        return a

    changed = True
    while changed:
        changed = False
        for n in order[1:]:
            new: int | None = None
            for t in after[n]:
                if t in found:
                    new = t if new is None else meet(new, t)
            if new is not None and found.get(n) != new:
                found[n], changed = new, True
    return [None if (j := found.get(n, end)) == end else j for n in range(end)]
