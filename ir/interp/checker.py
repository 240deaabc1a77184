"""The watcher of `check`: fences and meetings of lanes, barriers and masks, and deadlocks.  `records` has accesses, `copies` what is asynchronous."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..instr import Instr
from .clocks import join
from .copies import Copies
from .state import BARRIER, CLUSTER, DEAD, WARP, Group, Place

Array = Any


class Checker(Copies):
    """Turns what the machine does into findings."""

    def __init__(self, machine: Any) -> None:
        super().__init__(machine)
        self.past: dict[tuple[int, int], set[int]] = {}

    # ---- order

    def fence(self, g: Group, scope: str) -> None:
        self.clocks.fence(g.ids, scope or "gpu")

    def meet(self, ids: Array) -> None:
        self.clocks.meet(ids)

    def arrive(self, g: Group, slot: Array, number: Array) -> None:
        self.clocks.arrive(g.ids, slot, number)

    def opened(self, barriers: Sequence[tuple[Array, int, int]]) -> None:
        """Barriers open: (lanes that wait there, slot of the block, number)."""
        self.aligned(np.concatenate([ids for ids, _, _ in barriers]))
        for ids, slot, number in barriers:
            if ids.size:
                self.clocks.meet(ids, self.clocks.barriers.pop((slot, number), ()))

    def cluster_arrive(self, g: Group, cluster: Array) -> None:
        for c in np.unique(cluster).tolist():
            mine = g.ids[cluster == c]
            for b in np.unique(self.m.slot[mine]).tolist():
                self.clocks.clusters.setdefault(c, []).append(self.clocks.gather(mine[self.m.slot[mine] == b]))

    def cluster_open(self, cluster: int) -> None:
        self.clocks.passed[cluster] = join(self.clocks.clusters.pop(cluster, []))

    def cluster_wait(self, ids: Array, cluster: int) -> None:
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
        """Aligned barriers open: all lanes of a warp that live stand at the same one."""
        m, ids = self.m, np.sort(ids)
        warps, first, count = np.unique(ids // m.lanes, return_index=True, return_counts=True)
        live = (m.state.reshape(-1, m.lanes)[warps] != DEAD).sum(axis=1)
        stops = m.standing[ids]
        bad = (count != live) | (np.minimum.reduceat(stops, first) != np.maximum.reduceat(stops, first)) if ids.size else live
        for w in warps[bad].tolist() if bad.any() else ():
            for p, lanes in m.by_stop(ids[ids // m.lanes == w]):
                self.diverged(p, lanes.tolist())

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
                    if m.stamp[q] < m.acted[k] and self.reaches(m.stop_of(q), int(m.acted_at[k])):
                        by.setdefault(m.stop_of(q), []).append(q)
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
            parts = sorted(m.by_stop(waiting), key=lambda part: m.order(part[0]))
            for p, lanes in parts:
                self.absent(p, w, lanes.tolist())
            m.go(*parts[0], np.array([w]))
            return True
        return False

    def absent(self, p: Place, w: int, here: list[int]) -> None:
        """Members that never arrive where these lanes of a warp stand."""
        m, i = self.m, self.m.instr_at(p)
        absent = [k for k in range(w * m.lanes, (w + 1) * m.lanes) if m.state[k] != DEAD and k not in here and self.names(p, here[0], k)]
        if not absent:
            return
        some = ", ".join(str(k % m.lanes) for k in absent[:8]) + (" …" if len(absent) > 8 else "")
        stands = sorted({str(m.instr_at(m.stop_of(k)).loc) for k in absent if m.state[k] in (BARRIER, WARP, CLUSTER)})
        tail = f": they stand at {', '.join(stands)}" if stands else ""
        self.note("sync-mask", i, here[0], f"{i.op} waits for lanes {some} of its mask, which never arrive{tail}")
        for q, lanes in m.by_stop(np.array([k for k in absent if m.state[k] == BARRIER], np.int64)):
            self.diverged(q, lanes.tolist())

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
