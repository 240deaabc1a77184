"""Where lanes wait for each other: collectives of a warp, barriers of a block, the barrier of a cluster.

A collective with a member mask is done when all members that have not exited stand at it.  One without (`activemask`, the shuffles of the tile
compiler) takes the lanes that stand there once nobody of the warp can move, the lowest such place first.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..instr import Instr
from ..types import I32
from .state import BARRIER, CLUSTER, CONVERGED, DEAD, RUN, WARP, YIELD, Group, Place, State

Array = Any
CONVERGED_OPS = frozenset(("activemask", "shfl", "vote_any", "vote_all"))
BARRIERS = 16


class Warps(State):
    def start(self, first: int) -> None:
        super().start(first)
        s = self.shape.slots
        self.arrived = np.zeros((s, BARRIERS), np.int64)
        self.expected = np.zeros((s, BARRIERS), np.int64)
        self.votes = np.zeros((s, BARRIERS), np.int64)
        self.barrier = np.zeros(self.n, np.int64)
        clusters = -(-s // max(self.shape.count, 1))
        self.cluster_arrived = np.zeros(clusters, np.int64)
        self.cluster_phase = np.zeros(clusters, np.int64)
        self.phase = np.zeros(self.n, np.int64)
        self.converging: set[int] = set()  # warps with lanes that wait to converge

    # ---- collectives

    def _collective(self, i: Instr, g: Group) -> bool:
        """Operand 0 names the members."""
        if i.op.name in CONVERGED_OPS:
            return self.converge(i, g)
        self.wait(g, WARP)
        if self.watch is not None:
            self.watch.mask(i, g, self.env[i.args[0].id][g.ix])
        self.collect(np.unique(g.ids // self.lanes))
        return True

    def converge(self, i: Instr, g: Group) -> bool:
        warps = np.unique(g.ids // self.lanes)
        alive = (self.state.reshape(-1, self.lanes)[warps] != DEAD).sum()
        if alive == g.size:  # all that live are here
            self.across(i, self.rows(g.ids, warps), warps)
            return False
        self.wait(g, CONVERGED)
        self.converging.update(warps.tolist())
        return True

    def settle(self) -> bool:
        """Runs what lanes without a mask do together in warps where nobody can move."""
        moved = False
        for w in sorted(self.converging):
            states = self.state[w * self.lanes : (w + 1) * self.lanes]
            if (states == RUN).any():
                continue
            here = np.flatnonzero(states == CONVERGED) + w * self.lanes
            if not here.size:
                self.converging.discard(w)
                continue
            lowest, lanes = min(self.by_stop(here), key=lambda part: self.order(part[0]))
            self.go(lowest, lanes, np.array([w]))
            moved = True
        return moved

    def order(self, p: Place) -> tuple[int, int, int]:
        return -p[0], self.functions[p[1]].rank[p[2]], p[3]

    def collect(self, warps: Array) -> None:
        """Runs every collective of these warps whose members are all there."""
        n = self.lanes
        states = self.state.reshape(-1, n)[warps]
        there = states == WARP
        done: dict[Place, list[tuple[Array, Array]]] = {}
        rest = there.any(axis=1)
        for place, rows in self.complete(warps, there, states != DEAD):
            done[place] = [(warps[rows], there[rows])]
            rest[rows] = False
        for row in np.flatnonzero(rest).tolist():
            w = int(warps[row])
            waiting = np.flatnonzero(there[row])
            alive = states[row] != DEAD
            for p, lanes in self.by_stop(waiting + w * n):
                here = np.zeros(n, bool)
                here[lanes - w * n] = True
                env = self.envs[(p[0], p[1])]
                masks = env[self.instr_at(p).args[0].id][w * n : (w + 1) * n]
                left = here.copy()
                while left.any():
                    word = int(masks[int(np.argmax(left))])
                    members = ((word >> np.arange(n)) & 1 != 0) & alive
                    own = left & (masks == word)
                    left &= ~own
                    if not (members & ~here).any():
                        done.setdefault(p, []).append((np.array([w]), (members | own if self.watch is not None else members)[None]))
                        left &= ~members
        for p, parts in done.items():
            who, mask = (np.concatenate(x) for x in zip(*parts))
            self.go(p, (who[:, None] * n + np.arange(n))[mask], who, mask)

    def complete(self, warps: Array, there: Array, alive: Array) -> Iterator[tuple[Place, Array]]:
        """The usual case: rows of warps whose living lanes all wait at one place, with one mask that names them all."""
        first = there.argmax(axis=1)[:, None]
        stops = self.standing.reshape(-1, self.lanes)[warps]
        stop = np.take_along_axis(stops, first, 1)
        whole = there.any(axis=1) & (there == alive).all(axis=1) & ((stops == stop) | ~there).all(axis=1)
        for s in np.unique(stop[whole]).tolist():
            place, rows = self.stops[s], np.flatnonzero(whole & (stop[:, 0] == s))
            masks = self.envs[(place[0], place[1])][self.instr_at(place).args[0].id].reshape(-1, self.lanes)[warps[rows]].astype(np.int64)
            mask, here = np.take_along_axis(masks, first[rows], 1), there[rows]
            fits = ((masks == mask) | ~here).all(axis=1) & ((mask >> np.arange(self.lanes) & 1 != 0) | ~here).all(axis=1)
            if fits.any():
                yield place, rows[fits]

    def rows(self, ids: Array, warps: Array) -> Array:
        mask = np.zeros((self.n // self.lanes, self.lanes), bool)
        mask.reshape(-1)[ids] = True
        return mask[warps]

    def go(self, place: Place, ids: Array, warps: Array, mask: Array = None) -> None:
        i = self.instr_at(place)
        kept, self.env = self.env, self.envs[(place[0], place[1])]
        twice = warps.size != np.unique(warps).size
        if mask is None:
            mask = self.rows(ids, warps)
        for part in [slice(k, k + 1) for k in range(warps.size)] if twice else [slice(None)]:
            self.across(i, mask[part], warps[part])
        self.env = kept
        self.resume(ids)

    def across(self, i: Instr, mask: Array, warps: Array) -> None:
        """Results of one collective: `mask` (warp, lane) says who takes part."""
        n, name = self.lanes, i.op.name
        first = 1 if i.op.effect is not None and i.op.effect.may_suspend and name not in CONVERGED_OPS else 0
        args = [self.env[a.id].reshape(-1, n)[warps] for a in i.args[first:]]
        if self.watch is not None and name != "activemask":
            for w, m in zip(warps.tolist(), mask):
                self.watch.meet(w * n + np.flatnonzero(m))
        if not i.results:
            return
        rule = _TOGETHER.get(name)
        attrs = dict(i.attrs)
        if rule is not None:
            outs = rule(mask, *args, **attrs)
        else:
            assert i.op.meaning is not None
            outs = []
            for k in range(len(mask)):
                r = i.op.meaning(i.result.type.elem, mask[k], *(a[k] for a in args), **attrs)
                outs.append(r if isinstance(r, tuple) else (r,))
            outs = [np.stack(parts) for parts in zip(*outs)]
        for r, data in zip(i.results, outs):
            have = self.env.get(r.id)
            if have is None:
                have = self.env[r.id] = np.zeros(self.n, r.type.elem.np)
            rows = have.reshape(-1, n)
            rows[warps] = np.where(mask, data, rows[warps])

    # ---- barriers of the block

    def _bar(self, i: Instr, g: Group) -> bool:
        return self.arrive(i, g, np.zeros(g.size, np.int64), None, None, "sync")

    def _named_barrier(self, i: Instr, g: Group) -> bool:
        kind = i.attr("kind", "sync")
        number = self.get(i.args[0], g).astype(np.int64) & (BARRIERS - 1)
        counted = self.get(i.args[1], g).astype(np.int64) if i.attr("counted") else None
        vote = self.get(i.args[-1], g) if kind in ("popc", "and", "or") else None
        return self.arrive(i, g, number, counted, vote, kind)

    def arrive(self, i: Instr, g: Group, number: Array, counted: Array | None, vote: Array | None, kind: str) -> bool:
        slot = self.slot[g.ix]
        weight = np.ones(g.size, np.int64)
        if counted is not None:  # whole warps are counted: the block's last thread stands for those that its warp lacks
            weight += (self.thread[g.ix] == self.shape.threads - 1) * (-self.shape.threads % self.lanes)
        np.add.at(self.arrived, (slot, number), weight)
        self.expected[slot, number] = 0 if counted is None else counted
        if vote is not None:
            np.add.at(self.votes, (slot, number), vote.astype(np.int64) * (1 if kind == "popc" else weight))
        self.progress = self.turn
        if kind == "arrive":
            if self.watch is not None:
                self.watch.arrive(g, slot, number)
        else:
            self.barrier[g.ix] = number
            self.wait(g, BARRIER)
        self.open(np.unique(slot * BARRIERS + number))
        return kind != "arrive"

    def open(self, which: Array) -> None:
        """Opens those of these barriers where all have arrived."""
        opened = []
        for b in which.tolist():
            s, k = divmod(b, BARRIERS)
            arrived, want = int(self.arrived[s, k]), int(self.expected[s, k]) or int(self.live[s])
            if arrived == 0 or arrived < want:
                continue
            row = slice(s * self.shape.padded, (s + 1) * self.shape.padded)
            ids = np.flatnonzero((self.state[row] == BARRIER) & (self.barrier[row] == k)) + row.start
            total = int(self.votes[s, k])
            self.arrived[s, k] = self.votes[s, k] = 0
            opened.append((ids, s, k))
            for p, here in self.by_stop(ids):
                i = self.instr_at(p)
                if i.results:
                    kind = i.attr("kind")
                    kept, self.env = self.env, self.envs[(p[0], p[1])]
                    out = total if i.result.type is I32 else total > 0 if kind == "or" else total == arrived
                    self.set(i.result, Group(here), np.full(here.size, out))
                    self.env = kept
        if opened:
            if self.watch is not None:
                self.watch.opened(opened)
            self.resume(np.concatenate([ids for ids, _, _ in opened]))

    # ---- the cluster

    def _cluster_barrier(self, i: Instr, g: Group) -> bool:
        cluster = self.slot[g.ix] // self.shape.count
        if i.attr("kind") == "arrive":
            np.add.at(self.cluster_arrived, cluster, 1)
            self.phase[g.ix] = self.cluster_phase[cluster]
            self.progress = self.turn
            if self.watch is not None:
                self.watch.cluster_arrive(g, cluster)
            self.open_clusters(np.unique(cluster))
            return False
        self.wait(g, CLUSTER)
        self.open_clusters(np.unique(cluster))
        return True

    def open_clusters(self, which: Array) -> None:
        n = self.shape.count
        for c in which.tolist():
            if self.cluster_arrived[c] and self.cluster_arrived[c] >= self.live[c * n : (c + 1) * n].sum():
                self.cluster_arrived[c] = 0
                self.cluster_phase[c] += 1
                if self.watch is not None:
                    self.watch.cluster_open(c)
            row = slice(c * n * self.shape.padded, (c + 1) * n * self.shape.padded)
            ids = np.flatnonzero((self.state[row] == CLUSTER) & (self.phase[row] != self.cluster_phase[c])) + row.start
            if ids.size:
                if self.watch is not None:
                    self.watch.cluster_wait(ids, c)
                self.resume(ids)

    # ---- others first, the end

    def _pause(self, i: Instr, g: Group) -> bool:
        some = g if i.guard is None else g.sub(self.get(i.guard, g)) if self.get(i.guard, g).any() else None
        if some is None:
            return False
        self.state[some.ix] = YIELD
        self.waits[some.ix] += 1
        self.later.setdefault(self.next(), []).append(some.ids)
        if some.size < g.size:
            self.put(self.next(), g.ids[~self.get(i.guard, g)])  # type: ignore[arg-type]
        return True

    def leave(self, g: Group) -> None:
        """Lanes exit: whoever waited for them need not."""
        self.state[g.ix] = DEAD
        self.progress = self.turn
        np.subtract.at(self.live, self.slot[g.ix], 1)
        warps = np.unique(g.ids // self.lanes)
        if self.watch is not None:
            self.watch.leave(g, warps)
        if (self.state.reshape(-1, self.lanes)[warps] == WARP).any():
            self.collect(warps)
        slots = np.unique(self.slot[g.ix])
        busy = [s * BARRIERS + k for s in slots.tolist() for k in np.flatnonzero(self.arrived[s]).tolist()]
        if busy:
            self.open(np.array(busy))
        if self.cluster_arrived.any():
            self.open_clusters(np.unique(slots // self.shape.count))


def _shfl_sync(mask: Array, a: Array, b: Array, c: Array, mode: str = "bfly") -> list[Array]:
    """All warps at once; see `ops/warp.py` for one."""
    lane = np.arange(a.shape[1])[None, :]
    b, c = b.astype(np.int64) & 31, c.astype(np.int64)
    clamp, segment = c & 31, (c >> 8) & 31
    top, low = (lane & segment) | (clamp & ~segment), lane & segment
    j = {"up": lane - b, "down": lane + b, "bfly": lane ^ b, "idx": low | (b & ~segment)}[mode]
    ok = j >= top if mode == "up" else j <= top
    return [np.take_along_axis(a, np.where(ok, j, lane), 1), ok]


def _shfl(mask: Array, a: Array, b: Array, mode: str = "bfly") -> list[Array]:
    lane = np.arange(a.shape[1])[None, :]
    b = b.astype(np.int64)
    source = {"bfly": lane ^ b, "down": lane + b, "up": lane - b, "idx": b}[mode]
    source = np.where((source >= 0) & (source < a.shape[1]), source, lane)
    return [np.take_along_axis(a, np.where(np.take_along_axis(mask, source, 1), source, lane), 1)]


def _bits(p: Array) -> Array:
    words = (p.astype(np.int64) << np.arange(p.shape[1])[None, :]).sum(1).astype(np.uint32).view(np.int32)
    return np.broadcast_to(words[:, None], p.shape)


_TOGETHER: dict[str, Any] = {"shfl_sync": _shfl_sync, "shfl": _shfl, "activemask": lambda mask: [_bits(mask)], "ballot_sync": lambda mask, p: [_bits(mask & p)]}
