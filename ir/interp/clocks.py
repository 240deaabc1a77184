"""What happened before what: vector clocks of all lanes, shared between lanes that know the same.

A lane has a clock that ticks when others may learn of what it did, and *knowledge*: for each block, how far each lane's work is known to have
happened before.  Knowledge is immutable; lanes that met share one object.

    barriers, collectives         everybody there knows what everybody there knew
    fence                         what a later strong write of the lane hands over (to its block, or to all, as the scope says)
    release, strong write         the location holds the writer's knowledge; a read-modify-write adds to what it held
    acquire, strong read          the reader takes it; a relaxed read only with its next fence, barrier or collective
    mbarrier                      arrivals add to the phase, a successful test takes the phase

*Strong* is an atomic, volatile, relaxed, acquiring or releasing access.
"""
from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import numpy as np

Array = Any
_serial = count(1)


class Know:
    """block → clocks of its lanes."""

    __slots__ = ("parts", "serial")

    def __init__(self, parts: dict[int, Array]) -> None:
        self.parts, self.serial = parts, next(_serial)

    def plus(self, block: int, threads: Array, clocks: Array, size: int) -> Know:
        """… and these lanes of a block up to these clocks."""
        have = self.parts.get(block)
        own = np.zeros(size, np.int32) if have is None else have.copy()
        own[threads] = np.maximum(own[threads], clocks)
        return Know({**self.parts, block: own})


NOTHING = Know({})


def join(knows: Iterable[Know | None]) -> Know:
    distinct = {k.serial: k for k in knows if k is not None and k.parts}
    if not distinct:
        return NOTHING
    first, *rest = distinct.values()
    if not rest:
        return first
    out = dict(first.parts)
    for k in rest:
        for b, x in k.parts.items():
            y = out.get(b)
            out[b] = x if y is None or y is x else np.maximum(x, y)
    return Know(out)


class Clocks:
    def __init__(self, m: Any) -> None:
        self.m, self.size = m, m.shape.padded
        self.held: dict[int, tuple[Know, Know, int]] = {}  # location → for all, for the block, block

    def begin(self) -> None:
        m = self.m
        self.block = m.block0 + m.slot
        self.gid = (self.block * self.size + m.thread).astype(np.int32)
        self.clock = np.ones(m.n, np.int32)
        self.know: list[Know] = [NOTHING] * m.n
        self.serial = np.full(m.n, NOTHING.serial, np.int64)
        self.taken: dict[int, Know] = {}  # by relaxed reads
        self.offer: dict[int, tuple[Know, Know]] = {}  # lane → (for all, for the block), since its last fence
        self.barriers: dict[tuple[int, int], list[Know]] = {}
        self.clusters: dict[int, list[Know]] = {}
        self.passed: dict[int, Know] = {}
        self.phases: dict[int, tuple[list[Know], Know]] = {}  # mbarrier → arrivals of this phase, knowledge of the last
        self.held = {p: h for p, h in self.held.items() if p < m.memory.shared_at}

    def set(self, lane: int, k: Know) -> None:
        self.know[lane], self.serial[lane] = k, k.serial

    def own(self, lane: int) -> Know:
        """What the lane knows, itself included."""
        return self.know[lane].plus(int(self.block[lane]), int(self.m.thread[lane]), self.clock[lane], self.size)

    def before(self, lanes: Array, gid: Array, clock: Array) -> Array:
        """Whether what lane `gid` did at `clock` happened before now, as each of `lanes` sees it."""
        ok = self.gid[lanes] == gid
        rest = np.flatnonzero(~ok)
        if not rest.size:
            return ok
        serial = self.serial[lanes[rest]]
        for s in np.unique(serial).tolist():
            mine = rest[serial == s]
            parts = self.know[int(lanes[mine[0]])].parts
            if not parts:
                continue
            b, t = np.divmod(gid[mine], self.size)
            for k in np.unique(b).tolist():
                x = parts.get(k)
                if x is not None:
                    here = b == k
                    ok[mine[here]] = x[t[here]] >= clock[mine[here]]
        return ok

    # ---- meetings

    def all_of(self, ids: Array) -> list[Know]:
        """Distinct knowledge of these lanes, what they have read included."""
        serial = self.serial[ids]
        first = [0] if (serial == serial[0]).all() else np.unique(serial, return_index=True)[1].tolist()
        out = [self.know[int(ids[k])] for k in first]
        if self.taken:
            out += [self.taken.pop(w) for w in ids.tolist() if w in self.taken]
        return out

    def gather(self, ids: Array) -> Know:
        """What these lanes know together, themselves included; their clocks tick."""
        k = join(self.all_of(ids))
        blocks = self.block[ids]
        first = int(blocks[0])
        for b in [first] if (blocks == first).all() else np.unique(blocks).tolist():
            mine = ids[blocks == b]
            k = k.plus(b, self.m.thread[mine], self.clock[mine], self.size)
        self.clock[ids] += 1
        return k

    def spread(self, ids: Array, k: Know) -> None:
        self.serial[ids] = k.serial
        for w in ids.tolist():
            self.know[w] = k

    def meet(self, ids: Array, more: Iterable[Know] = ()) -> None:
        offers = [self.offer[w] for w in ids.tolist() if w in self.offer] if self.offer else []
        if offers:
            both = join(o[0] for o in offers), join(o[1] for o in offers)
            for w in ids.tolist():
                self.offer[w] = both
        self.spread(ids, join([self.gather(ids), *more]))

    def arrive(self, ids: Array, slot: Array, number: Array) -> None:
        for w, s, b in zip(ids.tolist(), slot.tolist(), number.tolist()):
            self.barriers.setdefault((s, b), []).append(self.gather(np.array([w])))

    # ---- fences and strong accesses

    def fence(self, ids: Array, scope: str) -> None:
        for w in ids.tolist():
            if w in self.taken:
                self.set(w, join([self.know[w], self.taken.pop(w)]))
            k = self.own(w)
            wide = self.offer[w][0] if scope == "cta" and w in self.offer else NOTHING
            self.offer[w] = (wide if scope == "cta" else k, k)
        self.clock[ids] += 1

    def read(self, ids: Array, at: Array, acquire: bool) -> None:
        if not self.held:
            return
        for w, p in zip(ids.tolist(), at.tolist()):
            h = self.held.get(p)
            if h is None:
                continue
            k = join([h[0], h[1] if h[2] == int(self.block[w]) else None])
            if acquire:
                self.set(w, join([self.know[w], k]))
            else:
                self.taken[w] = join([self.taken.get(w), k])

    def write(self, ids: Array, at: Array, release: bool, scope: str, rmw: bool) -> None:
        if not release and not self.offer and not self.held:
            return
        for w, p in zip(ids.tolist(), at.tolist()):
            if release:
                k = self.own(w)
                given: tuple[Know, Know] | None = (NOTHING if scope == "cta" else k, k)
            else:
                given = self.offer.get(w)
            old = self.held.get(p) if rmw else None
            if given is None and old is None:
                if not rmw:
                    self.held.pop(p, None)
                continue
            wide, own = given or (NOTHING, NOTHING)
            block = int(self.block[w])
            if old is not None:
                wide = join([wide, old[0]])
                own = join([own, old[1]]) if old[2] == block else own
            self.held[p] = (wide, own, block)
        if release:
            self.clock[ids] += 1

    # ---- mbarriers

    def arrived(self, ids: Array, at: Array) -> None:
        for w, p in zip(ids.tolist(), at.tolist()):
            self.phases.setdefault(p, ([], NOTHING))[0].append(self.gather(np.array([w])))

    def flipped(self, p: int) -> None:
        arrivals, last = self.phases.get(p, ([], NOTHING))
        self.phases[p] = ([], join([last, *arrivals]))

    def passes(self, ids: Array, at: Array) -> None:
        for w, p in zip(ids.tolist(), at.tolist()):
            if p in self.phases:
                self.set(w, join([self.know[w], self.phases[p][1]]))


class Shadow:
    """Who touched what last: per granule the last weak write, the last strong one since, and up to three reads since (of different warps, if there
    are)."""

    def __init__(self, m: Any, clocks: Clocks) -> None:
        self.m, self.c = m, clocks
        sizes = [i.attr("to").bytes for f in m.functions for i in f.k.instrs()
                 if i.op.name in ("ld", "st", "atom", "red") and i.attr("space") not in ("local", "param", "const", "shared" if m.arena == 0 else "")]  # fmt: skip
        self.granule = min([8, *sizes, *(4 for f in m.functions for i in f.k.instrs() if i.op.name == "copy")])
        n = m.memory.local_at // self.granule + 1
        self.w = np.zeros((3, n), np.int32)  # lane, clock, site·2 + strong
        self.s = np.zeros((3, n), np.int32)
        self.r = np.zeros((3, 3, n), np.int32)
        self.together: tuple[int, int, int, int] | None = None  # lanes of a warp that wrote to one place with one instruction

    def begin(self) -> None:
        first = self.m.memory.shared_at // self.granule
        self.w[:, first:] = 0
        self.s[:, first:] = 0
        self.r[:, :, first:] = 0

    def spans(self, lanes: Array, at: Array, size: int) -> tuple[Array, Array]:
        """(lanes, granules) of accesses, those to local memory left out."""
        inside = at < self.m.memory.local_at
        if not inside.all():
            lanes, at = lanes[inside], at[inside]
        n = max(size // self.granule, 1)
        at = at // self.granule
        if n == 1:
            return lanes, at
        return np.repeat(lanes, n), (at[:, None] + np.arange(n)).reshape(-1)

    def conflicts(self, lanes: Array, g: Array, old: Array, strong: bool) -> list[tuple[int, int, int, int]]:
        """(lane, granule, other lane, its site) for each site whose access of these granules is not before now."""
        who, clock, site = old[0][g], old[1][g], old[2][g]
        some = clock != 0
        if strong:
            some &= site & 1 == 0
        k = np.flatnonzero(some)
        if not k.size:
            return []
        k = k[~self.c.before(lanes[k], who[k], clock[k])]
        if not k.size:
            return []
        _, first = np.unique(site[k], return_index=True)
        return [(int(lanes[k[j]]), int(g[k[j]]), int(who[k[j]]), int(site[k[j]])) for j in first]

    def read(self, lanes: Array, at: Array, size: int, site: int, strong: bool, clock: Array = None) -> list[tuple[int, int, int, int]]:
        lanes, g = self.spans(lanes, at, size)
        if not g.size:
            return []
        out = self.conflicts(lanes, g, self.w, strong)
        if not strong:
            out += self.conflicts(lanes, g, self.s, strong)
        mine = np.stack([self.c.gid[lanes], self.c.clock[lanes] if clock is None else np.broadcast_to(clock, lanes.shape), np.full(lanes.size, site * 2 + strong)])
        left = np.arange(g.size)
        for slot in range(3):
            r = self.r[slot]
            if slot < 2:
                here = g[left]
                free = r[1][here] == 0
                rest = np.flatnonzero(~free)
                free[rest] = self.c.before(lanes[left[rest]], r[0][here[rest]], r[1][here[rest]])
                put = left[free]
            else:
                put = left
            r[:, g[put]] = mine[:, put]
            lost = mine[0][left] != r[0][g[left]]
            if slot == 0:  # of another warp first
                far = mine[0][left] // self.m.lanes != r[0][g[left]] // self.m.lanes
                left = np.concatenate([left[lost & ~far], left[lost & far]])
            else:
                left = left[lost]
            if not left.size:
                break
        return out

    def write(self, lanes: Array, at: Array, size: int, site: int, strong: bool, clock: Array = None) -> list[tuple[int, int, int, int]]:
        self.together = None
        lanes, g = self.spans(lanes, at, size)
        if not g.size:
            return []
        out = self.conflicts(lanes, g, self.w, strong)
        if not strong:
            out += self.conflicts(lanes, g, self.s, strong)
            self.s[1][g] = 0
        for slot in range(3):
            out += self.conflicts(lanes, g, self.r[slot], strong)
        gid, last = self.c.gid[lanes], self.s if strong else self.w
        last[0][g] = gid
        last[1][g] = self.c.clock[lanes] if clock is None else clock
        last[2][g] = site * 2 + strong
        self.r[:, 1, g] = 0
        if not strong:
            lost = np.flatnonzero(self.w[0][g] != gid)
            for k, far in ((k, gid[k] // self.m.lanes != self.w[0][g[k]] // self.m.lanes) for k in lost.tolist()):
                pair = int(lanes[k]), int(g[k]), int(self.w[0][g[k]]), site * 2
                if far:
                    out.append(pair)
                    break
                self.together = self.together or pair
        return out
