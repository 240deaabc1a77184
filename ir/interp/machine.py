"""Kernels on real lanes: all lanes of the grid at once, grouped by where they stand; one NumPy call per instruction and group.

Scheduling is fair: the group at the lowest block goes first, but one that has taken 64 turns while others wait is passed over.  Warp ops
see the lanes of the group; `bar` waits for all live lanes of the thread block.  Memory is the argument arrays at made-up addresses with
guard gaps; an access outside of them is an error that names lane and place.  A step budget ends what does not end.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DeviceError, UnsupportedError
from ..instr import Edge, Instr, Value
from ..kernel import Kernel
from ..op import op
from ..passes.cleanup import reverse_post_order
from ..types import I1
from .values import eval_lane

Array = Any
GAP, BASE, PATIENCE = 4096, 1 << 32, 64


class Memory:
    """Buffers at addresses of their own."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.bytes: list[Array] = []
        self._next = BASE

    def add(self, data: Array) -> int:
        """Registers a contiguous array; returns its address."""
        start = self._next
        self.starts.append(start)
        self.bytes.append(data.reshape(-1).view(np.uint8))
        self._next = start + -(-max(data.nbytes, 1) // 256) * 256 + GAP
        return start

    def place(self, address: Array, size: int, i: Instr) -> tuple[int, Array]:
        """(buffer, byte offsets) of addresses that must all lie in one buffer's group."""
        k = int(np.searchsorted(self.starts, int(address[0]), side="right")) - 1
        if k < 0:
            raise _outside(i, int(address[0]))
        offset = address - self.starts[k]
        bad = (offset < 0) | (offset + size > self.bytes[k].size)
        if bad.any():
            raise _outside(i, int(address[np.flatnonzero(bad)[0]]))
        if (offset % size).any():
            raise DeviceError(f"{i.op} at a misaligned address", place=i.loc)
        return k, offset


def _outside(i: Instr, address: int) -> DeviceError:
    return DeviceError(f"{i.op} out of bounds at address {address:#x}", place=i.loc)


def run_kernel(kernel: Kernel, grid: Sequence[int], args: Sequence[Any], *, max_steps: int = 1_000_000) -> None:
    """Runs a kernel.  Pointer arguments are contiguous arrays, read and written in place; others are numbers."""
    _Machine(kernel, tuple(grid), args, max_steps).run()


class _Machine:
    def __init__(self, k: Kernel, grid: tuple[int, ...], args: Sequence[Any], max_steps: int) -> None:
        self.k, self.grid, self.max_steps = k, grid, max_steps
        self.lanes = k.lanes or 32
        self.threads = self.lanes * (k.warps or 1)
        self.blocks = int(np.prod(grid))
        self.n = self.blocks * self.threads
        self.env: dict[int, Array] = {}
        self.memory = Memory()
        for p, a in zip(k.params, args):
            value = self.memory.add(a) if p.role == "pointer" else a
            self.env[p.value.id] = np.full(self.n, value, p.value.type.elem.np)
        self.shared = np.zeros((self.blocks, max(k.shared, 1)), np.uint8)
        self.shared_known = np.zeros((self.blocks, max(k.shared, 1)), bool)
        order = reverse_post_order(k)
        self.rank = {b: r for r, b in enumerate(order)}
        self.pc = np.zeros((self.n, 2), np.int64)  # block, instruction
        self.alive = np.ones(self.n, bool)
        self.waiting = np.zeros(self.n, bool)
        self.turns: dict[int, int] = {}

    def run(self) -> None:
        steps = 0
        while self.alive.any():
            ready = self.alive & ~self.waiting
            if not ready.any():
                self.release(force=True)
                continue
            where = {int(b) for b in np.unique(self.pc[ready, 0])}
            block = min(where, key=lambda b: (self.turns.get(b, 0) >= PATIENCE, self.rank[b]))
            self.turns[block] = self.turns.get(block, 0) + 1
            if all(self.turns.get(b, 0) >= PATIENCE for b in where):
                self.turns.clear()
            at = ready & (self.pc[:, 0] == block)
            start = int(self.pc[at, 1].min())
            at &= self.pc[:, 1] == start
            steps += 1
            if steps > self.max_steps:
                raise DeviceError(f"{self.k.name} did not end within {self.max_steps} steps")
            self.walk(block, start, np.flatnonzero(at))

    def walk(self, block: int, start: int, who: Array) -> None:
        b = self.k.blocks[block]
        for n in range(start, len(b.instrs)):
            i = b.instrs[n]
            if i.op.name == "bar":
                self.pc[who, 1] = n + 1
                self.waiting[who] = True
                self.release()
                return
            if i.op.terminator:
                self.end(i, who)
            else:
                self.instr(i, who)

    def release(self, force: bool = False) -> None:
        """Opens the barrier of every block all of whose live lanes have arrived."""
        alive, waiting = self.alive.reshape(self.blocks, -1), self.waiting.reshape(self.blocks, -1)
        full = (waiting | ~alive).all(axis=1) & waiting.any(axis=1)
        if force and not full.any():
            raise DeviceError(f"{self.k.name}: deadlock at a barrier")
        waiting[full] = False

    def get(self, v: Value, who: Array) -> Array:
        return self.env[v.id][who]

    def set(self, v: Value, who: Array, data: Array) -> None:
        have = self.env.get(v.id)
        if have is None:
            have = self.env[v.id] = np.zeros(self.n, v.type.elem.np)
        have[who] = data

    def end(self, i: Instr, who: Array) -> None:
        name = i.op.name
        if name == "jump":
            self.go(i.edges[0], who)
        elif name == "branch":
            taken = self.get(i.args[0], who)
            for e, part in ((i.edges[0], who[taken]), (i.edges[1], who[~taken])):
                if part.size:
                    self.go(e, part)
        elif name == "return":
            self.alive[who] = False
            self.release()
        elif name == "trap":
            raise DeviceError(f"{self.k.name}: trap", place=i.loc)
        else:
            raise UnsupportedError(f"the kernel interpreter does not know {name}", place=i.loc)

    def go(self, e: Edge, who: Array) -> None:
        values = [self.get(a, who).copy() for a in e.args]
        for p, v in zip(self.k.blocks[e.target].params, values):
            self.set(p, who, v)
        self.pc[who, 0], self.pc[who, 1] = e.target, 0

    def instr(self, i: Instr, who: Array) -> None:
        rule = getattr(self, "_" + i.op.name, None)
        if rule is not None:
            rule(i, who)
            return
        if i.op.kind == "warp":
            self.across(i, who)
            return
        args = [self.get(a, who) for a in i.args]
        self.set(i.result, who, eval_lane(i.op, i.result.type.elem, args, i.attrs))

    # ---- special values

    def _constant(self, i: Instr, who: Array) -> None:
        elem = i.attr("type").elem
        with np.errstate(over="ignore"):
            self.set(i.result, who, np.array(i.attr("value")).astype(elem.np))

    def _undef(self, i: Instr, who: Array) -> None:
        self.set(i.result, who, 0)

    def _sreg(self, i: Instr, who: Array) -> None:
        name = i.attr("name")
        thread, block = who % self.threads, who // self.threads
        gx, gy, gz = (*self.grid, 1, 1)[:3]
        table = {"tid.x": thread, "laneid": thread % self.lanes, "warpid": thread // self.lanes, "ntid.x": self.threads, "nwarpid": self.threads // self.lanes,
                 "ctaid.x": block % gx, "ctaid.y": block // gx % gy, "ctaid.z": block // gx // gy, "nctaid.x": gx, "nctaid.y": gy, "nctaid.z": gz,
                 "tid.y": 0, "tid.z": 0, "ntid.y": 1, "ntid.z": 1}  # fmt: skip
        self.set(i.result, who, table[name])

    # ---- across lanes

    def across(self, i: Instr, who: Array) -> None:
        """The group's lanes, laid out by warp."""
        warps = -(-self.n // self.lanes)
        mask = np.zeros((warps, self.lanes), bool)
        mask.reshape(-1)[who] = True
        grids = []
        for a in i.args:
            full = self.env[a.id]
            grids.append(full.reshape(warps, self.lanes))
        out = np.zeros((warps, self.lanes), i.result.type.elem.np)
        assert i.op.meaning is not None
        if i.op.name == "shfl":
            out = _shuffle(grids[0], grids[1], mask, i.attr("mode"))
        else:
            for w in np.unique(who // self.lanes):
                out[w] = i.op.meaning(i.result.type.elem, mask[w], *(g[w] for g in grids), **dict(i.attrs))
        self.set(i.result, who, out.reshape(-1)[who])

    # ---- memory

    def address(self, i: Instr, values: int, who: Array) -> Array:
        n = len(i.args) - values
        a = self.get(i.args[0], who).astype(np.int64)
        if n == 2:
            a = a + self.get(i.args[1], who).astype(np.int64) * i.attr("scale", 1)
        return a + i.attr("disp", 0)

    def guarded(self, i: Instr, who: Array) -> Array:
        return who if i.guard is None else who[self.get(i.guard, who)]

    def _ld(self, i: Instr, who: Array) -> None:
        for k, p in enumerate(i.passthrough):
            self.set(i.results[k], who, self.get(p, who))
        who = self.guarded(i, who)
        if not who.size:
            return
        elem = i.attr("to")
        for k, r in enumerate(i.results):
            self.set(r, who, self.read(i, self.address(i, 0, who) + k * elem.bytes, who, elem))

    def read(self, i: Instr, address: Array, who: Array, elem: Any) -> Array:
        dtype = np.dtype(np.uint8) if elem is I1 else elem.np
        if i.attr("space") == "shared":
            self.inside_shared(i, address, elem.bytes)
            rows = np.broadcast_to((who // self.threads)[:, None], (who.size, elem.bytes))
            columns = address[:, None] + np.arange(elem.bytes)
            if not self.shared_known[rows, columns].all():
                raise DeviceError("a load from shared memory that nobody has written", place=i.loc)
            raw = np.ascontiguousarray(self.shared[rows, columns])
        else:
            k, offset = self.memory.place(address, elem.bytes, i)
            raw = self.memory.bytes[k][offset[:, None] + np.arange(elem.bytes)]
        got = raw.view(dtype).reshape(-1)
        return got != 0 if elem is I1 else got

    def inside_shared(self, i: Instr, address: Array, size: int) -> None:
        if ((address < 0) | (address + size > self.k.shared)).any():
            raise DeviceError(f"{i.op} outside of the shared memory of {self.k.shared} bytes", place=i.loc)

    def write(self, i: Instr, address: Array, who: Array, data: Array, elem: Any) -> None:
        raw = np.ascontiguousarray(data.astype(np.uint8) if elem is I1 else data).view(np.uint8).reshape(-1, elem.bytes)
        if i.attr("space") == "shared":
            self.inside_shared(i, address, elem.bytes)
            rows, columns = (who // self.threads)[:, None], address[:, None] + np.arange(elem.bytes)
            self.shared[rows, columns] = raw
            self.shared_known[rows, columns] = True
        else:
            k, offset = self.memory.place(address, elem.bytes, i)
            self.memory.bytes[k][offset[:, None] + np.arange(elem.bytes)] = raw

    def _st(self, i: Instr, who: Array) -> None:
        who = self.guarded(i, who)
        count = i.attr("count", 1)
        if not who.size:
            return
        elem = i.attr("to")
        for k, v in enumerate(i.args[len(i.args) - count :]):
            self.write(i, self.address(i, count, who) + k * elem.bytes, who, self.get(v, who), elem)

    def _red(self, i: Instr, who: Array) -> None:
        who = self.guarded(i, who)
        elem, fn = i.attr("to"), op(i.attr("fn"))
        for w in who:  # ascending lane order
            one = np.array([w])
            a = self.address(i, 1, one)
            new = eval_lane(fn, elem, (self.read(i, a, one, elem), self.get(i.args[-1], one)))
            self.write(i, a, one, new, elem)

    def _fence(self, i: Instr, who: Array) -> None:
        return None

    def _report(self, i: Instr, who: Array) -> None:
        if self.get(i.args[0], who).any():
            raise DeviceError(f"{self.k.name}: error {i.attr('code', 1)} was reported", place=i.loc)


def _shuffle(a: Array, b: Array, mask: Array, mode: str) -> Array:
    lanes = a.shape[1]
    lane = np.arange(lanes)[None, :]
    b = b.astype(np.int64)
    source = {"bfly": lane ^ b, "down": lane + b, "up": lane - b, "idx": np.broadcast_to(b, a.shape)}[mode]
    source = np.where((source >= 0) & (source < lanes), source, lane)
    source = np.where(np.take_along_axis(mask, source, axis=1), source, lane)
    return np.take_along_axis(a, source, axis=1)
