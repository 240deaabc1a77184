"""Kernels on real lanes: all lanes of the resident blocks at once, grouped by where they stand; one NumPy call per instruction and group.

    memory    bytes and addresses           accesses   loads, stores, atomics, copies
    state     lanes, values, places         warps      collectives and barriers
    machine   the schedule, control flow    launch     foreign kernels: arguments, messages
    findings, races   what `check` watches

Scheduling is fair: the group in the deepest call and at the lowest block goes first, but one that has taken 64 turns while others wait is passed
over.  Blocks run in waves of as many as fit (a cooperative grid at once).  A step budget ends what does not end, and a launch where every lane
only polls and nothing changes is a deadlock.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DeviceError, ResourceError
from ..instr import Edge, Instr, Value
from ..kernel import Kernel
from ..types import I128
from .accesses import Accesses
from .memory import Region
from .state import DEAD, RUN, STATES, YIELD, Function, Group, Place, Shape, Step
from .values import eval_lane
from .warps import Warps

Array = Any
PATIENCE, DEPTH, STALL, TICK = 64, 2000, 4096, 64


def run_kernel(kernel: Kernel, grid: Sequence[int], args: Sequence[Any], *, max_steps: int = 1_000_000) -> None:
    """Runs a kernel.  Pointer arguments are contiguous arrays, read and written in place; others are numbers."""
    from .findings import Strict
    from .launch import failure

    regions: list[Region] = []
    values: list[Any] = []
    for p, a in zip(kernel.params, args):
        if p.role == "pointer":
            regions.append(Region(p.value.name or "an argument", (1 << 32) + len(regions) * (1 << 40), a.reshape(-1).view(np.uint8)))
            a = regions[-1].start
        values.append(a)
    lanes = kernel.lanes or 32
    x, y, z = (*grid, 1, 1)[:3]
    shape = Shape((x, y, z), (lanes * (kernel.warps or 1), 1, 1), lanes=lanes)
    machine = Machine(kernel, shape, values, regions, max_steps=max_steps)
    machine.watch = Strict(machine)
    try:
        machine.run()
    except Stopped as e:
        raise failure(machine, e) from None


class Stopped(Exception):
    """Nothing can go on: where lanes stand, as (place, state, lanes)."""

    def __init__(self, stands: list[tuple[Place, int, Array]], why: str) -> None:
        self.stands, self.why = stands, why


class Machine(Accesses, Warps):
    """Runs a launch.  `tell` is called with how many blocks are done, of how many."""

    tell: Callable[[int, int], None] | None = None

    def run(self) -> None:
        try:
            with np.errstate(all="ignore"):
                first = 0
                while first < self.left:
                    if first:
                        self.memory.forget()
                    self.start(first)
                    if self.watch is not None:
                        self.watch.begin()
                    self.wave()
                    if self.watch is not None:
                        self.watch.end()
                    first += max(self.shape.slots, 1)
                    if self.tell is not None:
                        self.tell(min(first, self.left), self.left)
        finally:
            self.memory.close()

    def wave(self) -> None:
        turns: dict[tuple[int, int], int] = {}
        self.polled = np.zeros(self.n, np.int64)
        self.progress = self.turn
        seen, next_look = self.polled.copy(), self.turn + STALL
        limit = self.turn + self.max_steps
        while True:
            if self.later and (not self.ready or self.turn % PATIENCE == 0):
                self.wake()
            if self.converging and self.settle() and not self.ready:
                continue
            if not self.ready:
                if (self.state == DEAD).all():
                    return
                if self.watch is not None and self.watch.stuck():
                    continue
                raise Stopped(self.stands(), "no thread can go on")
            places = list(self.ready)
            if len(places) == 1:
                place = places[0]
            else:
                place = min(places, key=lambda p: (turns.get(p[1:3], 0) >= PATIENCE, self.order(p)))
                turns[place[1:3]] = turns.get(place[1:3], 0) + 1
                if all(turns.get(p[1:3], 0) >= PATIENCE for p in places):
                    turns.clear()
            self.turn += 1
            self.clock += TICK
            if self.turn > limit:
                raise Stopped(self.stands(), f"it did not end within {self.max_steps} steps")
            if self.turn >= next_look:
                if self.turn - self.progress >= STALL and (self.polled - seen >= 16)[(self.state == RUN) | (self.state == YIELD)].all():
                    raise Stopped(self.stands(), "no thread can go on: all wait for what nobody changes")
                seen, next_look = self.polled.copy(), self.turn + STALL
            parts = self.ready.pop(place)
            ids = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
            before = self.polls
            self.walk(place, Group(ids))
            if self.polls != before:
                self.polled[ids] += 1

    def wake(self) -> None:
        for place, parts in self.later.items():
            for ids in parts:
                self.state[ids] = RUN
                self.put(place, ids)
        self.later = {}

    def walk(self, place: Place, g: Group) -> None:
        depth, fn, block, n = place
        f = self.functions[fn]
        self.env = self.envs[(depth, fn)]
        steps = f.steps.get(block)
        if steps is None:
            steps = f.steps[block] = [self.step(i) for i in f.k.blocks[block].instrs]
        for k in range(n, len(steps)):
            self.here = (depth, fn, block, k)
            if steps[k](g):
                return

    def stands(self) -> list[tuple[Place, int, Array]]:
        """Where the lanes that live stand, by place."""
        out: dict[tuple[Place, int], list[Any]] = {}
        for source in (self.ready, self.later):
            for p, parts in source.items():
                out.setdefault((p, RUN), []).extend(parts)
        for state in (s for s in STATES if s not in (DEAD, RUN, YIELD)):
            for p, lanes in self.by_stop(np.flatnonzero((self.state == state) & (self.standing >= 0))):
                out.setdefault((p, state), []).append(lanes)
        return [(p, s, np.sort(np.concatenate(parts))) for (p, s), parts in out.items()]

    # ---- instructions

    def step(self, i: Instr) -> Step:
        """What runs an instruction: a place for those who watch."""
        return self.decode(i)

    def decode(self, i: Instr) -> Step:
        """What an instruction does to a group; true if the group does not simply go on."""
        name, kind = i.op.name, i.op.kind
        rule = getattr(self, "_" + name, None)
        if rule is not None:
            return lambda g: rule(i, g)
        if kind == "warp":
            return lambda g: self._collective(i, g)
        if kind not in ("lane", "math"):
            raise self.unknown(i)
        ids = [a.id for a in i.args]
        elem = i.result.type.elem
        if kind == "lane" and len(i.results) == 1 and elem.bits != 128:
            meaning, attrs, result = i.op.meaning, dict(i.attrs), i.result
            assert meaning is not None

            def step(g: Group) -> None:
                env, ix = self.env, g.ix
                self.set(result, g, meaning(elem, *[env[a][ix] for a in ids], **attrs))

            return step

        def slow(g: Group) -> None:
            self.set(i.result, g, eval_lane(i.op, elem, [self.env[a][g.ix] for a in ids], i.attrs))

        return slow

    def _constant(self, i: Instr, g: Group) -> None:
        if i.result.id not in self.env:
            elem = i.attr("type").elem
            value = np.array(i.attr("value"), object) if elem is I128 else np.array(i.attr("value")).astype(elem.np)
            self.env[i.result.id] = np.broadcast_to(value, (self.n,))

    def _undef(self, i: Instr, g: Group) -> None:
        self.set(i.result, g, 0)

    def _sreg(self, i: Instr, g: Group) -> None:
        self.set(i.result, g, self.special(i.attr("name"), g))

    def special(self, name: str, g: Group) -> Any:
        s, (head, _, axis) = self.shape, name.partition(".")
        if axis:
            d = "xyz".index(axis)
            t = self.thread[g.ix]
            if head == "tid":
                bx, by, _bz = s.block
                return (t % bx, t // bx % by, t // (bx * by))[d]
            fixed = {"ntid": s.block, "nctaid": s.grid, "cluster_nctaid": s.cluster, "nclusterid": tuple(g // c for g, c in zip(s.grid, s.cluster))}
            if head in fixed:
                return fixed[head][d]
            ctaid = self.ctaid[d][self.slot[g.ix]]
            return {"ctaid": ctaid, "cluster_ctaid": ctaid % s.cluster[d], "clusterid": ctaid // s.cluster[d]}[head]
        lane = self.thread[g.ix] % self.lanes
        if name.startswith("lanemask"):
            bit = np.int64(1) << lane.astype(np.int64)
            masks = {"eq": bit, "lt": bit - 1, "le": 2 * bit - 1, "ge": -bit, "gt": -2 * bit}
            return (masks[name[-2:]] & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
        cx, cy, cz = s.cluster
        if name == "cluster_ctarank":
            x, y, z = (self.ctaid[d][self.slot[g.ix]] % s.cluster[d] for d in range(3))
            return x + cx * (y + cy * z)
        return {"laneid": lane, "warpid": self.thread[g.ix] // self.lanes, "nwarpid": s.warps, "smid": 0, "nsmid": 1, "gridid": 1,
                "cluster_nctarank": cx * cy * cz, "is_explicit_cluster": int(cx * cy * cz > 1), "dynamic_smem_size": s.dynamic,
                "total_smem_size": self.arena, "aggr_smem_size": self.arena}[name]  # fmt: skip

    def _read_clock(self, i: Instr, g: Group) -> None:
        self.clock += 1
        self.progress = self.turn
        self.set(i.result, g, self.clock)

    def _cancel(self, i: Instr, g: Group) -> None:
        """From the last block on, so that the others are started in order."""
        self.progress = self.turn
        out, started = np.full(g.ids.size, -1, np.int32), self.block0 + self.shape.slots
        for k in range(out.size):
            if self.sample is None and self.left > started:
                self.left -= self.shape.count
                out[k] = self.left // self.shape.count
        self.set(i.result, g, out)

    def _report(self, i: Instr, g: Group) -> None:
        if self.get(i.args[0], g).any() and i.attr("code", 1) != 2:  # 2: an assertion, which traps
            raise DeviceError(f"{self.kernel.name}: error {i.attr('code', 1)} was reported", place=i.loc)

    def _printf(self, i: Instr, g: Group) -> None:
        self.progress = self.turn
        for lane, fmt, data in zip(g.ids.tolist(), self.get(i.args[0], g).tolist(), self.get(i.args[1], g).tolist()):
            at, bad = self.memory.find(np.array([data], np.int64), 1)
            raw = b"" if bad is not None else self.memory.flat[int(at[0]) : int(at[0]) + 512].tobytes()
            key = (self.block0 + int(self.slot[lane]), int(self.waits[lane]), int(self.thread[lane]), len(self.printed))
            self.printed.append((key, self.memory.text(fmt), raw))
        self.set(i.result, g, 0)

    # ---- control flow

    def go_to(self, e: Edge, g: Group) -> None:
        depth, fn, _, _ = self.here
        values = [self.get(a, g) for a in e.args]
        if len(values) > 1:
            values = [v.copy() for v in values]
        for p, v in zip(self.functions[fn].k.blocks[e.target].params, values):
            self.set(p, g, v)
        self.put((depth, fn, e.target, 0), g.ids)

    def _jump(self, i: Instr, g: Group) -> bool:
        self.go_to(i.edges[0], g)
        return True

    def _branch(self, i: Instr, g: Group) -> bool:
        taken = self.get(i.args[0], g)
        some, every = taken.any(), taken.all()
        if every or not some:
            self.go_to(i.edges[0 if every else 1], g)
        else:
            first, second = Group(g.ids[taken]), Group(g.ids[~taken])
            self.go_to(i.edges[0], first)
            self.go_to(i.edges[1], second)
        return True

    def _switch(self, i: Instr, g: Group) -> bool:
        n = self.get(i.args[0], g).astype(np.int64)
        last = len(i.edges) - 1
        n = np.where((n < 0) | (n > last), last, n)
        for k in np.unique(n).tolist():
            self.go_to(i.edges[k], Group(g.ids[n == k]))
        return True

    def _return(self, i: Instr, g: Group) -> bool:
        depth = self.here[0]
        if depth == 0:
            self.leave(g)
            return True
        by: dict[Place, list[int]] = {}
        stack = self.back[depth]
        places, base, top = stack[-1][0], stack[-1][2], stack[-1][3]
        for lane in g.ids.tolist():
            by.setdefault(places[lane], []).append(lane)
        self.base[g.ix], self.top[g.ix] = base[g.ix], top[g.ix]
        for p, lanes in by.items():
            self.put(p, np.array(lanes))
        return True

    def _trap(self, i: Instr, g: Group) -> bool:
        block, _ = self.who(int(g.ids[0]))
        steps = self.functions[self.here[1]].k.blocks[self.here[2]].instrs
        what = "assertion failed" if any(s.op.name == "report" and s.attr("code") == 2 for s in steps) else "trap"
        raise DeviceError(f"{self.kernel.name}: {what} in block {block}, thread {int(self.thread[g.ids[0]])}", place=i.loc)

    # ---- calls

    def _call(self, i: Instr, g: Group) -> bool:
        return self.enter(self.by_name[i.attr("name")], i.args, g, i)

    def _call_indirect(self, i: Instr, g: Group) -> bool:
        numbers = self.get(i.args[0], g)
        for n in np.unique(numbers).tolist():
            f = self.by_number.get(n)
            if f is None or sum(p.role != "symbol" for p in f.k.params) != len(i.args) - 1:
                raise DeviceError(f"{self.kernel.name}: a call of no function (number {n})", place=i.loc)
            self.enter(f, i.args[1:], Group(g.ids[numbers == n]), i)
        return True

    def enter(self, f: Function, args: Sequence[Value], g: Group, i: Instr) -> bool:
        depth = self.here[0] + 1
        if depth > DEPTH:
            raise ResourceError(f"{self.kernel.name}: calls are nested too deeply", hint=f"the limit is {DEPTH}")
        env = self.envs.setdefault((depth, f.number), {})
        symbols = {p.value.name: n for n, p in enumerate(self.kernel.params) if p.role == "symbol"}
        own = iter(args)
        for p in f.k.params:
            if p.role == "symbol":
                env[p.value.id] = self.envs[(0, 0)][self.kernel.params[symbols[p.value.name]].value.id]
            else:
                have = env.setdefault(p.value.id, np.zeros(self.n, p.value.type.elem.np))
                have[g.ix] = self.get(next(own), g)
        stack = self.back.setdefault(depth, [([None] * self.n, (0, 0, 0, 0), np.zeros(self.n, np.int64), np.zeros(self.n, np.int64))])
        places, _, base, top = stack[-1]
        after = self.next()
        for lane in g.ids.tolist():
            places[lane] = after
        base[g.ix], top[g.ix] = self.base[g.ix], self.top[g.ix]
        self.base[g.ix] = (self.top[g.ix] + 15) // 16 * 16
        self.top[g.ix] = self.base[g.ix] + f.k.local
        if int(self.top[g.ix].max()) > self.memory.local_stride:
            raise ResourceError(f"{self.kernel.name}: the stack of a lane is full", place=i.loc)
        self.put((depth, f.number, 0, 0), g.ids)
        return True

