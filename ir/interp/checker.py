"""The watcher of `check`: what the machine does becomes findings.

Races are found by happens-before (`clocks`), whatever order the machine chose.  Two accesses race if they touch the same bytes from different
lanes, one writes (also the same value), they are not both strong, and neither happened before the other; lanes of a warp that write one value with one instruction do not.  A weak load
whose lane then swaps the same bytes by compare-and-swap does not race with other swaps: it was a first guess.  Asynchronous copies arrive as late
as they may: when their group is waited for, or when the phase of their mbarrier is seen to be complete.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..instr import Instr
from ..kernel import Kernel
from .clocks import Clocks, Shadow
from .findings import Finding, Three, Watch, spot
from .state import BARRIER, CLUSTER, DEAD, WARP, Group, Place

Array = Any
WORDS = {"ld": "load", "st": "store", "atom": "atomic", "red": "atomic", "copy": "asynchronous copy", "mbarrier": "mbarrier"}
LIMIT = 100  # findings


class Copy:
    """An asynchronous copy that has not arrived: its lane, its bytes, and the clock at which it happens once it has been handed over."""

    __slots__ = ("i", "lane", "piece", "kind", "number", "clock", "done")

    def __init__(self, i: Instr, lane: int, piece: tuple[int, int, int, int], number: int) -> None:
        self.i, self.lane, self.piece, self.number = i, lane, piece, number
        self.kind, self.clock, self.done = i.attr("async"), 0, False


class Checker(Watch):
    def __init__(self, machine: Any) -> None:
        super().__init__(machine)
        self.findings: list[Finding] = []
        self.seen: dict[Any, Finding] = {}
        self.clocks = Clocks(machine)
        self.shadow = Shadow(machine, self.clocks)
        self.asynchronous = any(i.op.name == "copy" and i.attr("async") for f in machine.functions for i in f.k.instrs())
        words = machine.memory.flat.size // 4 + 1 if self.asynchronous else 0
        self.into, self.out_of = np.zeros(words, np.int32), np.zeros(words, np.int32)
        self.copies: list[Copy] = []
        self.past: dict[tuple[int, int], set[int]] = {}
        self.fields = {id(i) for f in machine.functions for i in _fields(f.k)}
        self.guesses: list[tuple[tuple[int, int], Finding, Finding]] = []  # (lane, granule) of a weak load, and its race with a compare-and-swap
        self.swaps: set[tuple[int, int]] = set()

    def begin(self) -> None:
        self.clocks.begin()
        self.shadow.begin()
        self.group: dict[tuple[int, str], list[Copy]] = {}  # open groups
        self.groups: dict[tuple[int, str], list[list[Copy]]] = {}
        self.homeless: dict[int, list[Copy]] = {}  # until their mbarrier is named
        self.phase: dict[int, list[Copy]] = {}  # mbarrier → copies of its phase
        self.landed: dict[int, list[Copy]] = {}  # … of the phase that is complete

    def end(self) -> None:
        for c in self.copies:
            self.complete(c)
        self.copies = []

    def finish(self) -> None:
        """The launch is over: weak loads that were a lane's first guess for its compare-and-swap are no races."""
        for key, mine, theirs in self.guesses:
            if key not in self.swaps:
                self.both(mine, theirs)

    # ---- findings

    def note(self, kind: str, i: Instr, lane: int, message: str, address: int | None = None, other: Finding | None = None) -> Finding:
        block, thread = self.m.who(lane)
        return self.add(Finding(kind, i, block, thread, message, address), other)

    def add(self, f: Finding, other: Finding | None = None) -> Finding:
        f.other = other
        key = (f.kind, f.spot, other.spot if other is not None else None)
        old = self.seen.get(key)
        if old is not None:
            old.count += 1
            return old
        self.seen[key] = f
        if len(self.findings) < LIMIT:
            self.findings.append(f)
        return f

    def fault(self, kind: str, i: Instr, lane: int, address: int, message: str) -> None:
        self.note(kind, i, lane, message, address)

    def party(self, kind: str, i: Instr, gid: int, message: str, address: int) -> Finding:
        """A finding at a lane that may belong to a block that is gone."""
        number, t = divmod(gid, self.clocks.size)
        bx, by, _ = self.m.shape.block
        thread: Three = (t % bx, t // bx % by, t // bx // by)
        return Finding(kind, i, self.m.shape.place(number), thread, message, address)

    def races(self, i: Instr, found: list[tuple[int, int, int, int]]) -> None:
        for lane, g, other, site in found:
            at = g * self.shadow.granule
            address = self.m.memory.address_of(at)
            j = self.m.sites[site >> 1]
            old = self.seen.get(("race", spot(i), spot(j)))
            if old is not None:
                old.count += 1
                continue
            where = f"{self.m.memory.name(address)} ({self.value(i, at)})"
            a, b = WORDS.get(i.op.name, i.op.name), WORDS.get(j.op.name, j.op.name)
            block, thread = self.m.who(lane)
            mine = Finding("race", i, block, thread, f"{a} and another thread's {b} of {where}: nothing orders them", address)
            theirs = self.party("race", j, other, f"{b} and another thread's {a} of {where}: nothing orders them", address)
            if i.op.name == "ld" and j.attr("fn") == "cas":
                self.guesses.append(((int(self.clocks.gid[lane]), g), mine, theirs))
            elif j.op.name == "ld" and i.attr("fn") == "cas":
                self.guesses.append(((other, g), mine, theirs))
            else:
                self.both(mine, theirs)

    def both(self, a: Finding, b: Finding) -> None:
        """A race is a finding at each of its places."""
        if a.spot == b.spot:
            b.other = a
        else:
            self.add(b, a)
        self.add(a, b)

    def value(self, i: Instr, at: int) -> str:
        """What the bytes hold, for messages."""
        elem = i.attr("elem") if i.op.name == "copy" else i.attr("to")
        if elem is None or at % elem.bytes:
            return "holds 0x" + self.m.memory.flat[at : at + self.shadow.granule][::-1].tobytes().hex()
        return f"holds {self.m.memory.load(np.array([at]), elem)[0]}"

    # ---- accesses

    def read(self, i: Instr, g: Group, at: Array, size: int, count: int, strong: bool) -> None:
        total = size * count
        if self.copies:
            g, at = self.early(i, g, at, total, False)
        if id(i) not in self.fields:
            self.initialised(i, g, at, total)
        site = self.m.site(i)
        self.races(i, self.shadow.read(g.ids, at, total, site, strong))
        if strong:
            self.clocks.read(g.ids, at, i.attr("order") in ("acquire", "sc"))

    def write(self, i: Instr, g: Group, at: Array, size: int, count: int, strong: bool) -> None:
        total = size * count
        if self.copies:
            g, at = self.early(i, g, at, total, True)
        self.races(i, self.shadow.write(g.ids, at, total, self.m.site(i), strong))
        if strong or self.clocks.held:
            if strong:
                self.clocks.write(g.ids, at, i.attr("order") in ("release", "sc"), i.attr("scope", "sys"), False)
            else:
                for p in at.tolist():
                    self.clocks.held.pop(p, None)

    def wrote(self, i: Instr, g: Group, at: Array, elem: Any, data: Array) -> None:
        """Lanes of a warp wrote to one place together: their values must be the same."""
        pair = self.shadow.together
        if pair is not None:
            now, bits = self.m.memory.load(at, elem), np.dtype(f"u{elem.np.itemsize}")
            differ = now != data if elem.np == object else now.view(bits) != np.ascontiguousarray(data).view(bits)
            if differ.any():
                k = int(np.argmax(differ))
                granule = int(at[k]) // self.shadow.granule
                self.races(i, [(int(g.ids[k]), granule, int(self.shadow.w[0][granule]), pair[3])])

    def atomic(self, i: Instr, g: Group, at: Array, size: int) -> None:
        self.initialised(i, g, at, size)
        if self.copies:
            self.early(i, g, at, size, True)
        self.races(i, self.shadow.write(g.ids, at, size, self.m.site(i), True))
        if i.attr("fn") == "cas":
            self.swaps.update(zip(self.clocks.gid[g.ids].tolist(), (at // self.shadow.granule).tolist()))
        order = i.attr("order")
        acquire, release = order in ("acquire", "acq_rel", "sc"), order in ("release", "acq_rel", "sc")
        c = self.clocks
        if not (release or c.offer or c.held):
            return
        for k in range(g.size):
            one, p = g.ids[k : k + 1], at[k : k + 1]
            c.read(one, p, acquire)
            c.write(one, p, release, i.attr("scope", "gpu"), True)

    def initialised(self, i: Instr, g: Group, at: Array, size: int) -> None:
        m = self.m.memory
        own = at >= m.shared_at
        if not own.any():
            return
        bad = np.zeros(at.size, bool)
        for k in range(size):
            bad |= ~m.known[at + k]
        bad &= own
        if bad.any():
            k = int(np.argmax(bad))
            address = m.address_of(int(at[k]))
            self.note("uninitialised", i, int(g.ids[k]), f"{WORDS.get(i.op.name, i.op.name)} of {m.name(address)}, which nobody has written", address)

    # ---- order

    def fence(self, g: Group, scope: str) -> None:
        self.clocks.fence(g.ids, scope or "gpu")

    def meet(self, ids: Array) -> None:
        self.clocks.meet(ids)

    def arrive(self, g: Group, slot: Array, number: Array) -> None:
        self.clocks.arrive(g.ids, slot, number)

    def opened(self, ids: Array, slot: int, number: int) -> None:
        self.aligned(ids)
        if ids.size:
            self.clocks.meet(ids, self.clocks.barriers.pop((slot, number), ()))

    def cluster_arrive(self, g: Group, cluster: Array) -> None:
        for c in np.unique(cluster).tolist():
            mine = g.ids[cluster == c]
            for b in np.unique(self.m.slot[mine]).tolist():
                self.clocks.clusters.setdefault(c, []).append(self.clocks.gather(mine[self.m.slot[mine] == b]))

    def cluster_open(self, cluster: int) -> None:
        from .clocks import join

        self.clocks.passed[cluster] = join(self.clocks.clusters.pop(cluster, []))

    def cluster_wait(self, ids: Array, cluster: int) -> None:
        from .clocks import join

        k = self.clocks.passed[cluster]
        for w in ids.tolist():
            self.clocks.set(w, join([self.clocks.know[w], k]))

    # ---- barriers and masks

    def mask(self, i: Instr, g: Group, masks: Array) -> None:
        lane = g.ids % self.m.lanes
        out = (masks.astype(np.int64) >> lane) & 1 == 0
        if out.any():
            k = int(np.argmax(out))
            self.note("sync-mask", i, int(g.ids[k]), f"lane {int(lane[k])} executes {i.op} with the mask {int(masks[k]) & 0xFFFFFFFF:#010x}, which does not name it")

    def aligned(self, ids: Array) -> None:
        """An aligned barrier opens: all lanes of a warp that live stand at the same one."""
        m = self.m
        for w in np.unique(ids // m.lanes).tolist():
            mine = ids[ids // m.lanes == w]
            places = list(dict.fromkeys(m.at[k] for k in mine.tolist()))
            live = np.flatnonzero(m.state[w * m.lanes : (w + 1) * m.lanes] != DEAD)
            if len(places) == 1 and live.size == mine.size:
                continue
            for p in places:
                self.diverged(p, [k for k in mine.tolist() if m.at[k] == p])

    def diverged(self, place: Place, lanes: list[int], how: str = "the others are elsewhere") -> None:
        i = self.m.instr_at(place)
        if i.op.name == "bar" or i.attr("aligned"):
            some = ", ".join(str(k % self.m.lanes) for k in lanes[:8]) + (" …" if len(lanes) > 8 else "")
            self.note("barrier-divergence", i, lanes[0], f"of warp {lanes[0] % self.clocks.size // self.m.lanes} only the lanes {some} are at this barrier; {how}")

    def leave(self, g: Group, warps: Array) -> None:
        """Lanes that went past a barrier or collective where others of their warp wait, and exit."""
        m = self.m
        for w in warps.tolist():
            row = range(w * m.lanes, (w + 1) * m.lanes)
            waiting = [k for k in row if m.state[k] in (BARRIER, WARP)]
            if not waiting:
                continue
            for k in g.ids[g.ids // m.lanes == w].tolist():
                by: dict[Place, list[int]] = {}
                for q in waiting:
                    if m.stamp[q] < m.acted[k] and self.reaches(m.at[q], int(m.acted_at[k])):
                        by.setdefault(m.at[q], []).append(q)
                for p, lanes in by.items():
                    i = m.instr_at(p)
                    if m.state[lanes[0]] == BARRIER:
                        self.diverged(p, lanes, f"lane {k % m.lanes} has gone past it and exits")
                    elif self.names(p, lanes[0], k):
                        self.note("sync-mask", i, lanes[0], f"lane {k % m.lanes} is named in the mask of {i.op}, but went past it and exits")

    def names(self, p: Place, lane: int, other: int) -> bool:
        """Whether a lane's mask names another."""
        mask = int(self.m.envs[(p[0], p[1])][self.m.instr_at(p).args[0].id][lane])
        return bool(mask >> (other % self.m.lanes) & 1)

    def reaches(self, p: Place, block: int) -> bool:
        """Whether a block can be run after a place."""
        key = (p[1], p[2])
        if key not in self.past:
            blocks = self.m.functions[p[1]].k.blocks
            seen, stack = {p[2]}, [p[2]]
            while stack:
                for e in blocks[stack.pop()].terminator.edges:
                    if e.target not in seen:
                        seen.add(e.target)
                        stack.append(e.target)
            self.past[key] = seen
        return block in self.past[key]

    def stuck(self) -> bool:
        """Lanes that wait for a member that cannot come are sent on; what remains is a deadlock."""
        m = self.m
        for w in range(m.n // m.lanes):
            states = m.state[w * m.lanes : (w + 1) * m.lanes]
            waiting = np.flatnonzero(states == WARP) + w * m.lanes
            if not waiting.size:
                continue
            places: list[Place] = sorted({m.at[k] for k in waiting.tolist()}, key=m.order)
            for p in places:
                self.absent(p, w, [k for k in waiting.tolist() if m.at[k] == p])
            p = places[0]
            here = [k for k in waiting.tolist() if m.at[k] == p]
            m.go(p, np.array(here), np.array([w]))
            return True
        return False

    def absent(self, p: Place, w: int, here: list[int]) -> None:
        """Members that never arrive where these lanes of a warp stand."""
        m, i = self.m, self.m.instr_at(p)
        absent = [k for k in range(w * m.lanes, (w + 1) * m.lanes) if m.state[k] != DEAD and k not in here and self.names(p, here[0], k)]
        if not absent:
            return
        some = ", ".join(str(k % m.lanes) for k in absent[:8]) + (" …" if len(absent) > 8 else "")
        stands = sorted({str(m.instr_at(m.at[k]).loc) for k in absent if m.at[k] is not None and m.state[k] in (BARRIER, WARP, CLUSTER)})
        tail = f": they stand at {', '.join(stands)}" if stands else ""
        self.note("sync-mask", i, here[0], f"{i.op} waits for lanes {some} of its mask, which never arrive{tail}")
        for q in {m.at[k] for k in absent if m.state[k] == BARRIER}:
            self.diverged(q, [k for k in absent if m.at[k] == q])

    def deadlock(self, stands: list[tuple[Place, int, Array]], why: str) -> None:
        """A finding at each place where a warp stands."""
        m = self.m
        for place, state, lanes in stands:
            i = m.instr_at(place)
            if state in (BARRIER, CLUSTER, WARP):
                for w in np.unique(lanes // m.lanes).tolist():
                    mine = lanes[lanes // m.lanes == w]
                    live = (m.state[w * m.lanes : (w + 1) * m.lanes] != DEAD).sum()
                    if state == BARRIER and mine.size != live:
                        self.diverged(place, mine.tolist())
                        break
                self.note("deadlock", i, int(lanes[0]), f"{why}: {lanes.size} thread{'s' * (lanes.size > 1)} wait{'s' * (lanes.size == 1)} here")
                continue
            for s in np.unique(m.polled_at[lanes]).tolist():
                if s >= 0:
                    mine = lanes[m.polled_at[lanes] == s]
                    self.note("deadlock", m.sites[s], int(mine[0]), f"{why}: {mine.size} thread{'s' * (mine.size > 1)} spin{'s' * (mine.size == 1)} here")

    # ---- asynchronous copies

    def copy(self, i: Instr, lane: int, piece: tuple[int, int, int, int]) -> bool:
        dst, src, n, t = piece
        one, site = Group(np.array([lane])), self.m.site(i)
        kind = i.attr("async")
        if not kind:
            self.transfer(i, lane, piece, None)
            return False
        if self.copies:
            self.early(i, one, np.array([dst]), t, True)
            if n:
                self.early(i, one, np.array([src]), n, False)
        c = Copy(i, lane, piece, len(self.copies) + 1)
        self.copies.append(c)
        self.into[dst // 4 : -(-(dst + t) // 4)] = c.number
        self.out_of[src // 4 : -(-(src + n) // 4)] = c.number
        if kind == "mbarrier":
            self.homeless.setdefault(lane, []).append(c)
        else:
            self.group.setdefault((lane, kind), []).append(c)
        _ = site
        return True

    def transfer(self, i: Instr, lane: int, piece: tuple[int, int, int, int], clock: int | None) -> None:
        dst, src, n, t = piece
        lanes, site, g = np.array([lane]), self.m.site(i), self.shadow.granule
        strong = i.attr("fn") is not None
        if n:
            self.initialised(i, Group(lanes), np.array([src]), n)
            self.races(i, self.shadow.read(lanes, np.array([src]), max(n, g), site, False, clock))
        if t:
            self.races(i, self.shadow.write(lanes, np.array([dst]), max(t, g), site, strong, clock))

    def complete(self, c: Copy) -> None:
        if c.done:
            return
        c.done = True
        dst, src, n, t = c.piece
        for words, at, size in ((self.into, dst, t), (self.out_of, src, n)):
            part = words[at // 4 : -(-(at + size) // 4)]
            part[part == c.number] = 0
        self.transfer(c.i, c.lane, c.piece, c.clock or None)
        self.m.move(c.i, c.piece)

    def early(self, i: Instr, g: Group, at: Array, size: int, writes: bool) -> tuple[Group, Array]:
        """Accesses to what a copy is about to write, or that overwrite what it is about to read; the others are left."""
        fine = np.ones(at.size, bool)
        for words, what in ((self.into, "has not been waited for"), (self.out_of, "may still read it"))[: 1 + writes]:
            hit = np.zeros(at.size, np.int32)
            for k in range(0, size, 4):
                hit = np.maximum(hit, words[(at + k) // 4])
            hit = np.maximum(hit, words[(at + size - 1) // 4])
            for number in np.unique(hit[hit > 0]).tolist():
                k = int(np.argmax(hit == number))
                c = self.copies[number - 1]
                if c.i.attr("fn") and (i.op.name in ("atom", "red") or i.attr("fn")):  # both are atomic
                    continue
                fine &= hit != number
                address = self.m.memory.address_of(int(at[k]))
                other = self.party("missing-wait", c.i, int(self.clocks.gid[c.lane]), "the copy", address)
                self.note("missing-wait", i, int(g.ids[k]), f"{WORDS.get(i.op.name, i.op.name)} of {self.m.memory.name(address)}: "
                          f"an asynchronous copy {what}", address, other)  # fmt: skip
        return (g, at) if fine.all() else (Group(g.ids[fine]), at[fine])

    def async_wait(self, i: Instr, g: Group) -> None:
        kind = i.attr("kind")
        name = "bulk" if kind.startswith("bulk") else "group"
        for lane in g.ids.tolist():
            key = (lane, name)
            if kind.endswith("commit"):
                self.groups.setdefault(key, []).append(self.group.pop(key, []))
                continue
            have = self.groups.get(key, [])
            n = max(len(have) - int(i.attr("n", 0)), 0)
            for group in have[:n]:
                for c in group:
                    self.complete(c)
            del have[:n]

    # ---- mbarriers

    def mbarrier(self, i: Instr, fn: str, g: Group, at: Array, done: Array | None) -> None:
        c, site = self.clocks, self.m.site(i)
        self.races(i, self.shadow.write(g.ids, at, 8, site, fn not in ("init", "inval")))
        if fn not in ("init", "inval"):
            self.initialised(i, g, at, 8)
        if done is not None:
            for p in np.unique(at[done]).tolist():
                for copy in self.landed.pop(p, ()):
                    self.complete(copy)
            c.passes(g.ids[done], at[done])
        elif fn in ("arrive", "arrive_drop"):
            c.arrived(g.ids, at)
        elif fn in ("complete_tx", "copies"):
            for lane, p in zip(g.ids.tolist(), at.tolist()):
                if fn == "complete_tx":
                    copies = self.homeless.pop(lane, [])
                else:
                    copies = [*self.group.get((lane, "group"), ()), *(x for part in self.groups.get((lane, "group"), ()) for x in part)]
                for copy in copies:
                    copy.clock = copy.clock or int(c.clock[lane])
                self.phase.setdefault(p, []).extend(copies)
                c.arrived(np.array([lane]), np.array([p]))

    def flipped(self, at: int) -> None:
        for copy in self.landed.pop(at, ()):
            self.complete(copy)
        self.landed[at] = self.phase.pop(at, [])
        self.clocks.flipped(at)


def _fields(k: Kernel) -> list[Instr]:
    """Loads of a word of which a part is replaced before it is stored where it was: how a compiler sets a bit field."""
    made = {r.id: i for i in k.instrs() for r in i.results}
    out: list[Instr] = []
    for st in k.instrs():
        if st.op.name != "st" or len(st.args) != 2:
            continue
        stack, masked = [(st.args[-1], False)], False
        while stack:
            v, masked = stack.pop()
            i = made.get(v.id)
            if i is None:
                continue
            if i.op.name == "ld":
                if masked and i.args == st.args[:1] and i.attr("disp") == st.attr("disp"):
                    out.append(i)
            elif i.op.name in ("and", "or", "bitcast", "itrunc", "zext"):
                stack += [(a, masked or i.op.name == "and") for a in i.args]
    return out
