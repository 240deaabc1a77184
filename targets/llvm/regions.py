"""How a warp goes through a kernel: which values differ between its lanes, and which blocks are *linearised*.

`Plan` finds both together.  A branch on a condition that differs between lanes has a region, the blocks from it to where its sides meet; each runs
under the mask of the lanes that stand before it, and a loop that lanes leave one by one is part of a region whole.  What `Plan` cannot have run
this way it refuses, with the reason: the kernel then goes lane by lane.
"""
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ...ir.analysis import in_cycles
from ...ir.errors import UnsupportedError
from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.passes.cleanup import dominators, reverse_post_order
from .calls import CALLS, waits
from .dispatch import polls
from .lanes import Lanes, Shape, W, uniform

REFUSED = frozenset("shfl vote_any vote_all".split())
BARRIER_OPS = frozenset(("named_barrier", "bar"))
COLLECTIVES = frozenset("shfl_sync vote_sync ballot_sync match_any_sync match_all_sync redux_sync warp_sync elect_sync mma".split())


class Refused(UnsupportedError):
    """Why a kernel cannot be widened."""


class Plan:
    """Which values vary over a warp, and which blocks are linearised (block of the divergent branch → region)."""

    def __init__(self, k: Kernel, form: str = "any", w: int = W, same: Collection[int] = (), arriving: dict[int, Shape | None] = {}) -> None:  # noqa: B006
        """`same` and `arriving`: values that come from elsewhere, those that all lanes share and the others with their shapes."""
        if k.functions and (i := waits(k)) is not None:
            raise Refused("calls of functions that wait", place=i.loc)
        self.k, self.w = k, w
        self.order, self.cycles = reverse_post_order(k), in_cycles(k)
        self.lanes = Lanes(k, form, w)
        given = {p.value.id for p in k.params} | set(same)
        self.lanes.arriving = {v: s for v, s in arriving.items() if s is not None}
        self.first = self.lanes.solve(self.order, lambda v: v.id in given, ())
        self.varying: set[int] = set(arriving)
        self.used_in: dict[int, set[int]] = {}  # value → blocks that read it
        for n in self.order:
            for i in k.blocks[n].instrs:
                for v in i.operands():
                    self.used_in.setdefault(v.id, set()).add(n)
        self.polls: set[int] = set()  # id() of instructions at which a warp gives way
        self.spins: dict[int, Instr] = {}  # heads of linearised loops at which a warp gives way
        self.joined: set[int] = set()  # parameters of blocks where divergent code ends
        self._leave: dict[int, bool] = {}
        self.regions: dict[int, tuple[set[int], int | None]] = {}  # branch block → (blocks, join)
        self.inside: dict[int, int] = {}  # linearised block → its branch block
        self.after = self._post_dominators()
        self.above = dominators(k)
        for i in k.instrs():
            if i.op.name in REFUSED:
                raise Refused(i.op.name, place=i.loc)
        while self._values() | self._branches():
            pass
        self._allowed()
        loop, direct = self._loops()
        self.blend = {v.id for n in self.inside for v in self._blended(n, loop, direct)} | self.joined
        free = {p.id for b in k.blocks for p in b.params} - self.blend
        found = self.lanes.solve(self.order, lambda v: v.id not in self.varying, free, self.blend)
        self.shapes: dict[int, Shape] = {v: s for v, s in found.items() if v in self.varying} | self.lanes.arriving

    def shape(self, v: Value) -> Shape | None:
        """How it differs between lanes, where that is known."""
        return self.shapes.get(v.id) if v.id in self.varying else uniform(self.w)

    def _loops(self) -> tuple[dict[int, frozenset[int]], set[int]]:
        """(block → innermost loop of linearised code around it, heads of loops whose parameters all lanes get at once)."""
        loop: dict[int, frozenset[int]] = {}
        direct: set[int] = set()
        work: list[tuple[list[int], int | None]] = [([n for n in self.order if n in self.inside], None)]
        while work:
            nodes, cut = work.pop()
            for part in components(self.k, nodes, cut):
                n = next(iter(part))
                if len(part) == 1 and (n == cut or all(e.target != n for e in self.k.blocks[n].terminator.edges)):
                    continue
                entries = [(m, e.target) for m in self.order if m not in part for e in self.k.blocks[m].terminator.edges if e.target in part]
                for m in part:
                    loop[m] = frozenset(part)
                if len({t for _, t in entries}) != 1:
                    continue
                h = entries[0][1]
                back = sum(e.target == h for m in part for e in self.k.blocks[m].terminator.edges)
                outside = [m for m, _ in entries]
                if back == 1 and (len(outside) == 1 or len(set(outside)) == len(outside) and not self.inside.keys() & set(outside)):
                    direct.add(h)
                work.append(([m for m in self.order if m in part], h))
        return loop, direct

    def _blended(self, n: int, loop: dict[int, frozenset[int]], direct: set[int]) -> Iterator[Value]:
        """Values of a linearised block that lanes keep when others go on: parameters that lanes get on several ways, what is read behind a loop."""
        b, around = self.k.blocks[n], loop.get(n)
        for p in b.params:
            if n not in direct or not self.used_in.get(p.id, set()) <= loop[n]:
                yield p
        if around is not None:
            for i in b.instrs:
                for r in i.results:
                    if r.id not in self.lanes.const and not self.used_in.get(r.id, set()) <= around:
                        yield r

    def fresh(self, n: int, target: int) -> bool:
        """Whether the parameters of a block are dead in all lanes that stand in block `n`, which has one edge to it: then all of these may be given
        what the edge passes on, though only some take it."""
        x = n
        while x != target and self.above[x] != x:
            x = self.above[x]
        return x != target and sum(e.target == target for e in self.k.blocks[n].terminator.edges) == 1

    def dies(self, n: int) -> bool:
        b = self.k.blocks[n]
        return len(b.instrs) == 1 and b.terminator.op.name == "return"

    def _post_dominators(self) -> dict[int, int | None]:
        """Immediate post-dominator of each block; None stands for the end.  Sides that only return are left out: their lanes die."""
        after: dict[int, list[int]] = {}  # the end is −1
        before: dict[int, list[int]] = {}
        for n in self.order:
            after[n] = [e.target for e in self.k.blocks[n].terminator.edges if not self.dies(e.target)] or [-1]
            for s in after[n]:
                before.setdefault(s, []).append(n)
        ends: list[int] = []  # blocks in post-order of the reversed graph (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm)
        seen, work = {-1}, [(-1, 0)]
        while work:
            n, e = work.pop()
            if e < len(before.get(n, ())):
                work.append((n, e + 1))
                m = before[n][e]
                if m not in seen:
                    seen.add(m)
                    work.append((m, 0))
            else:
                ends.append(n)
        number = {n: at for at, n in enumerate(ends)}
        above = {-1: -1}
        changed = True
        while changed:
            changed = False
            for n in reversed(ends[:-1]):
                new: int | None = None
                for s in after[n]:
                    if s in above:
                        x = s
                        while new is not None and x != new:
                            if number[x] < number[new]:
                                x = above[x]
                            else:
                                new = above[new]
                        new = x
                if new is not None and above.get(n) != new:
                    above[n], changed = new, True
        return {n: None if above.get(n, -1) == -1 else above[n] for n in self.order}

    def _values(self) -> bool:
        before = len(self.varying)
        loop, direct = self._loops()
        for n in self.inside:
            self.varying.update(v.id for v in self._blended(n, loop, direct))
        again = True
        while again:
            size = len(self.varying)
            for n in self.order:
                for i in self.k.blocks[n].instrs:
                    if i.results and self._varies(i, self.varying):
                        shared = i.attr("same", ()) if i.op.name == "part" else ()
                        self.varying.update(r.id for r in i.results if r.id not in shared)
                    for e in i.edges:
                        for a, p in zip(e.args, self.k.blocks[e.target].params):
                            if a.id in self.varying:
                                self.varying.add(p.id)
            again = len(self.varying) != size
        return len(self.varying) != before

    def _varies(self, i: Instr, varying: set[int]) -> bool:
        name = i.op.name
        if name == "sreg":
            reg = str(i.attr("name"))
            return reg.startswith("lanemask") or reg.startswith(("tid.", "laneid")) and self.lanes.varies(reg)
        first = self.first.get(i.results[0].id)
        if first is not None and first.flat and first.group == self.w:
            return False
        if name == "icmp" and self.lanes.same_for_all(i, lambda v: self.first.get(v.id)):
            return False
        if name == "shfl_sync" and self.one_source(i):
            return i.args[1].id in varying and i.args[2].id in varying
        if name in ("atom", "cancel", "shfl_sync", "match_any_sync", "read_clock"):
            return name != "read_clock"
        if name == "mbarrier" and (i.guard is not None or i.attr("fn") in ("arrive", "arrive_drop") and not self._waited_for(i.result)):
            return True
        if name in ("mma", "part"):
            return True
        if name in ("vote_sync", "ballot_sync", "redux_sync", "match_all_sync"):
            return i.args[0].id in varying and i.args[0].id not in self.lanes.const
        if name == "activemask":
            return False
        if name in ("elect_sync", "alloca"):
            return True
        if name == "printf":
            return False
        if name == "ld" and (i.guard is not None or i.attr("space") == "local"):
            return True
        if name in ("to_generic", "from_generic", "is_space") and i.attr("space") == "local":
            return True
        return any(a.id in varying for a in i.operands())

    def one_source(self, i: Instr) -> bool:
        """Whether a shuffle gives all lanes what one of them has, if they agree on which."""
        c = self.lanes.const.get(i.args[3].id)
        return i.attr("mode") == "idx" and c is not None and c & 0x1F1F == 31

    def _waited_for(self, state: Value) -> bool:
        """Whether the state of an mbarrier is only waited for, in loops."""
        seen, work = set[int](), [state.id]
        while work:
            v = work.pop()
            if v in seen:
                continue
            seen.add(v)
            for n in self.used_in.get(v, ()):
                for i in self.k.blocks[n].instrs:
                    if any(a.id == v for a in (*i.args, *i.passthrough)) and (i.op.name != "mbarrier" or n not in self.cycles):
                        return False
                    work += [p.id for e in i.edges for a, p in zip(e.args, self.k.blocks[e.target].params) if a.id == v]
        return True

    def _branches(self) -> bool:
        """New divergent branches, and the blocks that they linearise."""
        found = False
        for n in self.order:
            t = self.k.blocks[n].terminator
            if n in self.inside or n in self.regions or len(t.edges) < 2 or t.args[0].id not in self.varying:
                continue
            join = self.after[n]
            live = [e.target for e in t.edges if not self.dies(e.target)]
            blocks: set[int] = set()
            if len(set(live)) == 2 and join is None and (apart := self._apart(*live)) is not None:
                blocks, join = apart
            elif len(set(live)) > 1:
                for x in live:
                    blocks |= self._reach(x, join)
            for m in [m for m in self.regions if m in blocks]:
                del self.regions[m]
            for other, _ in self.regions.values():
                if other & blocks and not other <= blocks:
                    raise Refused("divergent branches that cross", place=t.loc)
            # a loop that lanes leave one by one is linearised whole, and entered at its head
            self.regions[self._entry_of(blocks) if n in blocks else n] = (blocks, join)
            for m in blocks:
                self.inside[m] = n
            if join is not None and blocks:
                self.joined.update(p.id for p in self.k.blocks[join].params)
                self.varying |= self.joined
            found = True
        return found

    def _reach(self, start: int, stop: int | None) -> set[int]:
        """Blocks from `start` on, without `stop` and what lies behind it."""
        out: set[int] = set()
        stack = [start]
        while stack:
            m = stack.pop()
            if m not in out and m != stop:
                out.add(m)
                stack.extend(e.target for e in self.k.blocks[m].terminator.edges if not self.dies(e.target))
        return out

    def _apart(self, a: int, b: int) -> tuple[set[int], int] | None:
        """Where the sides of a branch never meet, one is written under its mask and ends there; the other goes on, with its barriers."""
        ra, rb = self._reach(a, None), self._reach(b, None)
        if ra & rb:
            return None

        def waits(part: set[int]) -> bool:
            return any(i.op.name in BARRIER_OPS or cluster_wait(i) for m in part for i in self.k.blocks[m].instrs)

        if waits(ra) or not waits(rb) and len(ra) > len(rb):
            (a, ra), (b, rb) = (b, rb), (a, ra)
        return None if waits(ra) else (ra, b)

    def _entry_of(self, blocks: set[int]) -> int:
        heads = {e.target for m in self.order if m not in blocks for e in self.k.blocks[m].terminator.edges if e.target in blocks}
        if len(heads) != 1:
            raise Refused("a divergent loop with several entries")
        return heads.pop()

    def _ragged(self) -> set[int]:
        """Linearised blocks on cycles that hold a branch on data that differ between lanes."""
        differ: set[int] = set()
        again = True
        while again:
            size = len(differ)
            for n in self.order:
                for i in self.k.blocks[n].instrs:
                    if i.results and self._varies(i, differ):
                        differ.update(r.id for r in i.results)
                    for e in i.edges:
                        differ.update(p.id for a, p in zip(e.args, self.k.blocks[e.target].params) if a.id in differ)
                    if len(i.edges) > 1 and i.args[0].id in differ:
                        for e in i.edges:
                            join = self.after[n]
                            if join is not None:
                                differ.update(p.id for p in self.k.blocks[join].params)
            again = len(differ) != size
        out: set[int] = set()
        for part in components(self.k, [n for n in self.order if n in self.inside]):
            if len(part) > 1 or any(e.target in part for m in part for e in self.k.blocks[m].terminator.edges):
                ends = [self.k.blocks[m].terminator for m in part]
                if any(len(t.edges) > 1 and t.args[0].id in differ for t in ends):
                    out |= part
        return out

    def _tainted(self, loops: set[int]) -> set[int]:
        """Values in loops that depend on what other threads may write meanwhile."""
        k = self.k
        tainted: set[int] = set()
        again = True
        while again:
            size = len(tainted)
            for n in loops:
                for i in k.blocks[n].instrs:
                    if polls(i) and i.op.name != "red" or any(a.id in tainted for a in i.operands()):
                        tainted.update(r.id for r in i.results)
                    for e in i.edges:
                        tainted.update(p.id for a, p in zip(e.args, k.blocks[e.target].params) if a.id in tainted)
                    join = self.after.get(n)
                    if len(i.edges) > 1 and i.args[0].id in tainted and join in loops:
                        tainted.update(p.id for p in k.blocks[join].params)
            again = len(tainted) != size
        return tainted

    def _allowed(self) -> None:
        k, loops = self.k, self.cycles
        tainted = self._tainted(loops)
        ragged = self._ragged()
        loop, _ = self._loops()
        patient = {n for n in loops if (t := k.blocks[n].terminator).op.name != "branch" or not self._retries(t.args[0])}
        waiting = {n for part in components(k, [n for n in self.order if n in patient]) for n in part
                   if len(part) > 1 or any(e.target == n for e in k.blocks[n].terminator.edges)}  # fmt: skip  (on cycles without such a retry)
        for n, b in enumerate(k.blocks):
            for i in b.instrs:
                if n in waiting and i.op.terminator and len(i.edges) > 1 and i.args[0].id in tainted:
                    self._spin(n, i, loop.get(n))
                if n in self.inside and (i.op.name in BARRIER_OPS or cluster_wait(i)):
                    raise Refused(f"{i.op.name} in divergent code", place=i.loc)
                if n in ragged and i.op.name in COLLECTIVES:
                    raise Refused(f"{i.op.name} in a divergent loop", place=i.loc)

    def others_leave(self, n: int) -> bool:
        """Whether the lanes that go another way than to this linearised block only exit: they meet no collective and no barrier on their way, so a
        member mask that names them waits for their exit, not for them."""
        found = self._leave.get(n)
        if found is None:
            head, blocks, join = next((h, blocks, join) for h, (blocks, join) in self.regions.items() if n in blocks)
            away: set[int] = set()
            for m in blocks | {head}:
                t = self.k.blocks[m].terminator
                if len(t.edges) > 1 and t.args[0].id in self.varying:
                    sides = {e.target: self._reach(e.target, join) for e in t.edges if not self.dies(e.target)}
                    if any(n in part for part in sides.values()):
                        away.update(s for s, part in sides.items() if n not in part)
            met = set[int]().union(*(self._reach(s, None) for s in away))
            found = self._leave[n] = not any(i.op.name in COLLECTIVES or i.op.name in BARRIER_OPS or cluster_wait(i) for m in met for i in self.k.blocks[m].instrs)
        return found

    # ---- loops that wait for other threads

    def _retries(self, v: Value) -> bool:
        """Whether a condition only asks if a compare-and-swap found what it was given: where it did not, another lane's did, and it is tried again
        with what was found."""
        while (i := self.lanes.defs.get(v.id)) is not None and i.op.name == "not":
            v = i.args[0]
        if i is None or i.op.name not in ("icmp", "fcmp") or str(i.attr("pred")) not in ("eq", "ne", "oeq", "une", "ueq", "one"):
            return False
        for x, y in (i.args, i.args[::-1]):
            cas = self.lanes.defs.get(self._plain(x).id)
            if cas is None or cas.op.name != "atom" or cas.attr("fn") != "cas":
                continue
            given = self._plain(cas.args[-2])
            if self._plain(y).id == given.id and self._found(given, cas.result):
                return True
        return False

    def _plain(self, v: Value) -> Value:
        """The value behind views of its bits."""
        while (i := self.lanes.defs.get(v.id)) is not None and i.op.name in ("bitcast", "itrunc", "zext", "sext"):
            v = i.args[0]
        return v

    def _found(self, p: Value, result: Value) -> bool:
        """Whether a block parameter gets that result on the way back."""
        return any(self._plain(a).id == result.id for b in self.k.blocks for e in b.terminator.edges
                   for a, q in zip(e.args, self.k.blocks[e.target].params) if q.id == p.id)  # fmt: skip

    def _spin(self, n: int, t: Instr, loop: frozenset[int] | None) -> None:
        """Takes a loop that may wait for other threads, if those are not lanes of this warp that stand behind it.  The warp gives way in it: where
        control flow is uniform at the polls, in linearised code at the head of the loop."""
        if n not in self.inside:
            around = next(part for part in components(self.k, self.order) if n in part)
            asks = [i for m in sorted(around) if m not in self.inside for i in self.k.blocks[m].instrs if polls(i) and i.op.name != "red"]
            if not asks:
                raise Refused("a loop that waits for other threads, whose polls are in divergent code", place=t.loc)
            self.polls.update(id(i) for i in asks)
            return
        if loop is None:  # a side branch of a uniform loop, which is asked about itself
            return
        region = next(blocks for blocks, _ in self.regions.values() if n in blocks)
        join = next(j for blocks, j in self.regions.values() if n in blocks)
        alone = self._alone(loop)
        others = region - loop - alone
        if any(self._writes(i) for m in others for i in self.k.blocks[m].instrs) or join is not None and join not in alone and self._writes_before_barrier(join):
            raise Refused("a loop that waits for other threads, which may be lanes of its warp", place=t.loc)
        heads = {e.target for m in self.order if m not in loop for e in self.k.blocks[m].terminator.edges if e.target in loop}
        if len(heads) != 1:
            raise Refused("a divergent loop with several entries", place=t.loc)
        self.spins.setdefault(heads.pop(), t)

    @staticmethod
    def _writes(i: Instr) -> bool:
        return i.op.name in ("st", "atom", "red", "copy", *CALLS) or i.op.name == "mbarrier" and not polls(i)

    def _writes_before_barrier(self, start: int) -> bool:
        """Whether lanes that wait behind a region could write before a barrier that needs them all."""
        seen: set[int] = set()
        stack = [start]
        while stack:
            m = stack.pop()
            if m in seen:
                continue
            seen.add(m)
            for i in self.k.blocks[m].instrs:
                if i.op.name in BARRIER_OPS and whole_block(i, self.lanes.const) or i.op.name in COLLECTIVES and self.lanes.const.get(i.args[0].id) == -1:
                    break
                if self._writes(i):
                    return True
            else:
                stack.extend(e.target for e in self.k.blocks[m].terminator.edges)
        return False

    def _alone(self, loop: frozenset[int]) -> set[int]:
        """Blocks around a loop that at most one lane of the warp gets to: `if (threadIdx.x == 0)`."""
        out: set[int] = set()
        for n in self.order:
            t = self.k.blocks[n].terminator
            if t.op.name != "branch":
                continue
            for e, yes in zip(t.edges, (True, False)):
                if self._picks_one(t.args[0], yes) and t.edges[0].target != t.edges[1].target:
                    seen, stack = {e.target}, [0]  # what is reached without that edge's target is not behind it
                    while stack:
                        m = stack.pop()
                        if m not in seen:
                            seen.add(m)
                            stack.extend(x.target for x in self.k.blocks[m].terminator.edges)
                    into = [m for m in self.order for x in self.k.blocks[m].terminator.edges if x.target == e.target]
                    behind = (set(self.order) - seen) | {e.target}
                    if all(m == n or m in behind for m in into) and loop <= behind:
                        out |= behind
        return out

    def _picks_one(self, v: Value, yes: bool) -> bool:
        """Whether a predicate is true (false) in one lane of a warp at most."""
        i = self.lanes.defs.get(v.id)
        if i is None:
            return False
        if i.op.name == "not":
            return self._picks_one(i.args[0], not yes)
        if i.op.name == "elect_sync":
            return yes and v.id == i.results[1].id
        if i.op.name == "icmp" and i.attr("pred") == ("eq" if yes else "ne"):
            for x, y in (i.args, i.args[::-1]):
                s = self.first.get(x.id)
                if s is not None and s.group == self.w and not s.anchors and len(set(s.offs)) == self.w and y.id not in self.varying:
                    return True
        return i.op.name == ("and" if yes else "or") and any(self._picks_one(a, yes) for a in i.args)


def components(k: Kernel, nodes: Sequence[int], cut: int | None = None) -> list[set[int]]:
    """Strongly connected components of some blocks, in topological order; edges into `cut` are left out."""
    inside = set(nodes)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on: set[int] = set()
    stack: list[int] = []
    out: list[set[int]] = []
    for root in nodes:
        if root in index:
            continue
        work: list[tuple[int, int]] = [(root, 0)]
        while work:
            n, e = work.pop()
            targets = [x.target for x in k.blocks[n].terminator.edges if x.target in inside and x.target != cut]
            if e == 0:
                index[n] = low[n] = len(index)
                stack.append(n)
                on.add(n)
            elif targets[e - 1] in on:
                low[n] = min(low[n], low[targets[e - 1]])
            if e < len(targets):
                work.append((n, e + 1))
                t = targets[e]
                if t not in index:
                    work.append((t, 0))
                elif t in on:
                    low[n] = min(low[n], index[t])
                continue
            if low[n] == index[n]:
                part: set[int] = set()
                while True:
                    m = stack.pop()
                    on.discard(m)
                    part.add(m)
                    if m == n:
                        break
                out.append(part)
    return out[::-1]


def cluster_wait(i: Instr) -> bool:
    return i.op.name == "cluster_barrier" and i.attr("kind") == "wait"


def whole_block(i: Instr, const: dict[int, Any]) -> bool:
    """A barrier for all threads of the block, without a result: `__syncthreads()`."""
    return i.op.name == "bar" or i.attr("kind") == "sync" and not i.attr("counted") and const.get(i.args[0].id) == 0
