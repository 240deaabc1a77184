"""Memory as instructions see it: addresses, loads, stores, atomics, copies, mbarriers, the windows of a generic address.

An mbarrier is a 64-bit word: pending count (bits 0–19), expected count (20–39), transaction bytes (40–62, signed), phase (63), as in compiled code.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..instr import Instr
from ..op import op
from ..types import BF16, F16, F32, I32, I64, Scalar
from .memory import LOCAL, SHARED
from .state import Group, State
from .values import eval_lane

Array = Any
STRONG = ("relaxed", "acquire", "release", "acq_rel", "sc")


class Accesses(State):
    # ---- addresses

    def where(self, i: Instr, values: int, g: Group) -> Array:
        """base + index·scale + disp; 32-bit addresses wrap."""
        n = len(i.args) - values
        a = self.get(i.args[0], g).astype(np.int64)
        if n == 2:
            a = a + self.get(i.args[1], g).astype(np.int64) * i.attr("scale", 1)
        disp = i.attr("disp", 0)
        return a + disp if disp else a

    def device(self, space: str, a: Array, g: Group) -> Array:
        """Device addresses of addresses in a space."""
        if space == "shared":
            return SHARED + self.slot[g.ix] * self.memory.shared_stride + (a & 0xFFFFFFFF)
        if space == "local":
            return self.stack(g) + ((a + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        if space == "cluster":
            a = a & 0xFFFFFFFF
            rank, own = a >> 24, self.slot[g.ix]
            slot = np.where(rank == 0, own, own // self.shape.count * self.shape.count + rank - 1)
            return SHARED + slot * self.memory.shared_stride + (a & 0xFFFFFF)
        return a

    def stack(self, g: Group) -> Array:
        return LOCAL + g.ids * self.memory.local_stride + self.base[g.ix]

    def locate(self, i: Instr, space: str, a: Array, size: int, align: int, g: Group) -> tuple[Array, Group, Array | None]:
        """(indices, lanes, which of `g` or None for all) of an access; what is wrong is an error or a finding."""
        m = self.memory
        inside: Array | None = None
        if space == "shared":
            low = a & 0xFFFFFFFF
            at = m.shared_at + self.slot[g.ix] * m.shared_stride + low
            if int(low.max()) + size > self.arena:
                inside = low + size <= self.arena
        elif space == "local":
            d = self.base[g.ix] + ((a + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
            at = m.local_at + g.ids * m.local_stride + d
            ok = (d >= self.base[g.ix]) & (d + size <= self.top[g.ix])
            inside = None if ok.all() else ok
        else:
            at, inside = m.find(self.device(space, a, g), size)
        bad = (a & (align - 1)) != 0 if align > 1 else None
        if bad is not None and not bad.any():
            bad = None
        if inside is None and bad is None:
            return at, g, None
        keep = np.ones(g.size, bool) if inside is None else inside
        address = self.device(space, a, g)
        if inside is not None:
            k = int(np.argmin(inside))
            own = f"{space} memory, byte {(int(a[k]) + (1 << 31)) % (1 << 32) - (1 << 31)}" if space in ("shared", "local") else None
            self.fault("out-of-bounds", i, int(g.ids[k]), int(address[k]), f"{i.op} of {size} bytes", own)
        if bad is not None:
            k = int(np.argmax(bad & keep)) if (bad & keep).any() else -1
            if k >= 0:
                self.fault("misaligned", i, int(g.ids[k]), int(address[k]), f"{i.op} of {size} bytes, aligned to {align}")
            keep = keep & ~bad
        return at[keep], Group(g.ids[keep]), keep

    def fault(self, kind: str, i: Instr, lane: int, address: int, what: str, name: str | None = None) -> None:
        """`name` says what lies there, where the address itself does not (beyond the end of a window another one begins)."""
        name = name or self.memory.name(address)
        if self.watch is not None:
            self.watch.fault(kind, i, lane, address, f"{what} at {address:#x}: {name}")
            return
        block, thread = self.who(lane)
        how = "out of bounds at" if kind == "out-of-bounds" else "at the misaligned"
        raise self.error(f"{i.op} {how} address {address:#x} ({name}), block {block}, thread {thread}", i)

    def guarded(self, i: Instr, g: Group) -> Group | None:
        if i.guard is None:
            return g
        p = self.get(i.guard, g)
        return g.sub(p) if p.any() else None

    @staticmethod
    def strong(i: Instr) -> bool:
        return bool(i.attr("volatile")) or i.attr("order") in STRONG

    # ---- loads and stores

    def _ld(self, i: Instr, g: Group) -> None:
        for k, p in enumerate(i.passthrough):
            self.set(i.results[k], g, self.get(p, g))
        on = self.guarded(i, g)
        if on is None:
            return
        elem, count, space = i.attr("to"), len(i.results), i.attr("space", "global")
        a = self.where(i, 0, on)
        at, ok, kept = self.locate(i, space, a, elem.bytes * count, elem.bytes * (count if self.watch is not None else 1), on)
        if kept is not None:
            for r in i.results:
                self.set(r, on, np.zeros(on.size, r.type.elem.np))
            if not ok.size:
                return
        if self.watch is not None:
            self.watch.read(i, ok, at, elem.bytes, count, self.strong(i))
        if self.strong(i):
            self.poll(i, ok)
        for k, r in enumerate(i.results):
            self.set(r, ok, self.memory.load(at + k * elem.bytes if k else at, elem))

    def _st(self, i: Instr, g: Group) -> None:
        on = self.guarded(i, g)
        if on is None:
            return
        count, elem, space = i.attr("count", 1), i.attr("to"), i.attr("space", "global")
        a = self.where(i, count, on)
        at, ok, kept = self.locate(i, space, a, elem.bytes * count, elem.bytes * (count if self.watch is not None else 1), on)
        if not ok.size:
            return
        self.act(ok)
        if self.watch is not None:
            self.watch.write(i, ok, at, elem.bytes, count, self.strong(i))
        for k, v in enumerate(i.args[len(i.args) - count :]):
            data, place = self.get(v, ok), at + k * elem.bytes if k else at
            if self.progress != self.turn and not np.array_equal(self.memory.load(place, elem), data):
                self.progress = self.turn
            self.memory.store(place, elem, data)
            self.know(place, elem.bytes)
            if self.watch is not None:
                self.watch.wrote(i, ok, place, elem, data)

    def know(self, at: Array, size: int) -> None:
        for k in range(size):
            self.memory.known[at + k] = True

    # ---- atomics

    def _red(self, i: Instr, g: Group) -> None:
        for k, p in enumerate(i.passthrough):
            self.set(i.results[k], g, self.get(p, g))
        on = self.guarded(i, g)
        if on is None:
            return
        fn, elem, space = i.attr("fn"), i.attr("to"), i.attr("space", "global")
        values = 2 if fn == "cas" else 1
        a = self.where(i, values, on)
        at, ok, kept = self.locate(i, space, a, elem.bytes, elem.bytes, on)
        if kept is not None:
            for r in i.results:
                self.set(r, on, np.zeros(on.size, r.type.elem.np))
            if not ok.size:
                return
        self.act(ok)
        self.poll(i, ok)
        if self.watch is not None:
            self.watch.atomic(i, ok, at, elem.bytes)
        data = [self.get(v, ok) for v in i.args[len(i.args) - values :]]
        old = self.modify(at, fn, elem, data)
        self.know(at, elem.bytes)
        for r in i.results:
            self.set(r, ok, old)

    _atom = _red

    def modify(self, at: Array, fn: str, elem: Scalar, data: list[Array]) -> Array:
        """Read-modify-write in ascending lane order; the old values."""
        m = self.memory
        old = np.zeros(at.size, elem.np)
        left = np.arange(at.size)
        if at.size > 1 and fn == "iadd" and elem.bits <= 64:
            return self.add(at, elem, data[0])
        while left.size:
            _, first = np.unique(at[left], return_index=True)
            now = left[first]
            have = m.load(at[now], elem)
            old[now] = have
            new = combine(fn, elem, have, [d[now] for d in data])
            if self.progress != self.turn and not np.array_equal(_raw(have), _raw(new)):
                self.progress = self.turn
            m.store(at[now], elem, new)
            if now.size == left.size:
                break
            rest = np.ones(left.size, bool)
            rest[first] = False
            left = left[rest]
        return old

    def add(self, at: Array, elem: Scalar, data: Array) -> Array:
        """Integer sums: prefixes per address."""
        order = np.argsort(at, kind="stable")
        place, x = at[order], data[order]
        head = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
        with np.errstate(over="ignore"):
            total = np.cumsum(x, dtype=x.dtype)
            before = total - x
            before = before - np.repeat(before[head], np.diff(np.r_[head, place.size]))
            start = np.repeat(self.memory.load(place[head], elem), np.diff(np.r_[head, place.size]))
            old = np.empty_like(x)
            old[order] = start + before
            last = np.r_[head[1:], place.size] - 1
            self.memory.store(place[last], elem, (start + before + x)[last])
        if x.any():
            self.progress = self.turn
        return old

    def _fence(self, i: Instr, g: Group) -> None:
        if self.watch is not None:
            self.watch.fence(g, i.attr("scope", "gpu"))

    # ---- windows

    def _to_generic(self, i: Instr, g: Group) -> None:
        a = self.get(i.args[0], g).astype(np.int64)
        self.set(i.result, g, self.device(i.attr("space"), a, g))

    def _from_generic(self, i: Instr, g: Group) -> None:
        space, a = i.attr("space"), self.get(i.args[0], g)
        if space == "shared":
            a = a - (SHARED + self.slot[g.ix] * self.memory.shared_stride)
        elif space == "local":
            a = a - self.stack(g)
        elif space == "cluster":
            slot, offset = np.divmod(a - SHARED, self.memory.shared_stride)
            a = (slot % self.shape.count + 1 << 24) | offset
        self.set(i.result, g, a)

    def _is_space(self, i: Instr, g: Group) -> None:
        space, a, m = i.attr("space"), self.get(i.args[0], g), self.memory
        own = SHARED + self.slot[g.ix] * m.shared_stride
        shared, local = (a >= own) & (a < own + self.arena), a >= LOCAL
        const = (a >= m.const[0]) & (a < m.const[0] + m.const[1])
        if space == "cluster":
            first = SHARED + self.slot[g.ix] // self.shape.count * self.shape.count * m.shared_stride
            r = (a >= first) & (a < first + self.shape.count * m.shared_stride)
        elif space in ("shared", "local", "const"):
            r = {"shared": shared, "local": local, "const": const}[space]
        elif space == "global":
            r = ~(shared | local | const)
        else:
            raise self.unknown(i)
        self.set(i.result, g, r)

    def _alloca(self, i: Instr, g: Group) -> None:
        align = max(i.attr("align", 8), 8)
        at = (self.top[g.ix] + align - 1) // align * align
        size, room = self.get(i.args[0], g).astype(np.int64), self.memory.local_stride - at
        if ((room < 0) | (size < 0) | (size > room)).any():
            raise self.error(f"{self.kernel.name}: the stack of a lane is full", i)
        self.top[g.ix] = at + size
        self.set(i.result, g, LOCAL + g.ids * self.memory.local_stride + at)

    # ---- copies

    def _copy(self, i: Instr, g: Group) -> None:
        on = self.guarded(i, g)
        if on is None:
            return
        read = self.get(i.args[2], on).astype(np.int64) & 0xFFFFFFFF
        total = read
        if i.attr("bytes"):
            total = np.full(on.size, i.attr("bytes"))
        elif len(i.args) > 3 and not i.attr("masked"):
            total = self.get(i.args[3], on)
        masks = self.get(i.args[3], on).tolist() if i.attr("masked") else []
        to, source = (self.get(a, on).astype(np.int64) for a in i.args[:2])
        self.progress = self.turn
        self.act(on)
        for k, lane in enumerate(on.ids.tolist()):
            one, n, t = Group(on.ids[k : k + 1]), int(read[k]), int(total[k])
            align = i.attr("bytes") or (16 if i.attr("async") == "bulk" or i.attr("async") == "mbarrier" else 1)
            src, dst = np.zeros(0, np.int64), np.zeros(0, np.int64)
            if n:
                src, ok, _ = self.locate(i, i.attr("from"), source[k : k + 1], n, align, one)
                if not ok.size:
                    continue
            if t:
                dst, ok, _ = self.locate(i, i.attr("to"), to[k : k + 1], t, align, one)
                if not ok.size:
                    continue
            pieces = [(int(dst[0]) if t else 0, int(src[0]) if n else 0, n, t)]
            if i.attr("masked"):
                pieces = [(int(dst[0]) + at, int(src[0]) + at, size, size) for at, size in _runs(masks[k], n)]
            for piece in pieces:
                if self.watch is None or not self.watch.copy(i, lane, piece):
                    self.move(i, piece)

    def move(self, i: Instr, piece: tuple[int, int, int, int]) -> None:
        """Does a copy: to, from, bytes read, bytes written."""
        dst, src, n, t = piece
        m, fn = self.memory, i.attr("fn")
        if fn:
            elem = i.attr("elem")
            steps = np.arange(0, n, elem.bytes)
            self.modify(dst + steps, fn, elem, [m.load(src + steps, elem)])
            return
        m.flat[dst : dst + min(n, t)] = m.flat[src : src + min(n, t)].copy()
        m.flat[dst + n : dst + t] = 0
        m.known[dst : dst + t] = True

    def _async_wait(self, i: Instr, g: Group) -> None:
        if self.watch is not None:
            self.watch.async_wait(i, g)

    # ---- mbarriers

    def _mbarrier(self, i: Instr, g: Group) -> None:
        on = self.guarded(i, g)
        if on is None:
            return
        fn, space = i.attr("fn"), i.attr("space", "shared")
        a = self.get(i.args[0], on).astype(np.int64) + i.attr("disp", 0)
        at, ok, kept = self.locate(i, space, a, 8, 8, on)
        for r in i.results:
            self.set(r, on, np.zeros(on.size, r.type.elem.np))
        if not ok.size:
            return
        m, n = self.memory, np.zeros(ok.size, np.int64)
        if len(i.args) > 1:
            n = self.get(i.args[1], ok).astype(np.int64) & (0xFFFFFFFF if i.args[1].type is I32 else -1)
        if fn in ("test", "test_parity"):
            self.poll(i, ok)
            w = m.load(at, I64)
            done = (w ^ n) < 0 if fn == "test" else (w < 0).astype(np.int64) != (n & 1)
            if self.watch is not None:
                self.watch.mbarrier(i, fn, ok, at, done)
            self.set(i.result, ok, done)
            return
        if self.watch is not None:
            self.watch.mbarrier(i, fn, ok, at, None)
        self.know(at, 8)
        self.progress = self.turn
        self.act(ok)
        old = np.zeros(ok.size, np.int64)
        for k, (p, by) in enumerate(zip(at.tolist(), n.tolist())):
            one = np.array([p])
            w = int(m.load(one, I64)[0]) & (2**64 - 1)
            old[k] = w - (1 << 64) if w >> 63 else w
            new = _mbarrier(fn, w, by)
            if self.watch is not None and (new ^ w) >> 63 and fn not in ("init", "inval"):
                self.watch.flipped(p)
            m.store(one, I64, np.array([new - (1 << 64) if new >> 63 else new]))
        if i.results:
            self.set(i.result, ok, old)


def _runs(mask: int, n: int) -> list[tuple[int, int]]:
    """(offset, size) of the runs of bytes that a mask of 16 lets through, in n bytes."""
    out: list[tuple[int, int]] = []
    for at in range(n):
        if mask >> at % 16 & 1:
            if out and sum(out[-1]) == at:
                out[-1] = (out[-1][0], out[-1][1] + 1)
            else:
                out.append((at, 1))
    return out


def _mbarrier(fn: str, w: int, n: int) -> int:
    if fn == "init":
        return n | n << 20
    if fn == "inval":
        return 0
    if fn == "copies":
        return w
    pending, expected, tx, phase = w & 0xFFFFF, w >> 20 & 0xFFFFF, w >> 40 & 0x7FFFFF, w >> 63
    if fn in ("arrive", "arrive_drop"):
        pending, expected = pending - n & 0xFFFFF, expected - n * (fn == "arrive_drop") & 0xFFFFF
    else:
        tx = tx + (n if fn == "expect_tx" else -n) & 0x7FFFFF
    if fn != "expect_tx" and pending == 0 and tx == 0:
        pending, phase = expected, 1 - phase
    return pending | expected << 20 | tx << 40 | phase << 63


def combine(fn: str, elem: Scalar, old: Array, data: list[Array]) -> Array:
    """What an atomic writes."""
    if fn == "exch":
        return data[0]
    if fn == "cas":
        return np.where(_raw(old) == _raw(data[0]), data[1], old)
    if fn in ("inc", "dec"):
        u = np.dtype(f"u{elem.bytes}")
        x, top = old.view(u), data[0].view(u)
        one = u.type(1)
        with np.errstate(over="ignore"):
            new = np.where(x >= top, u.type(0), x + one) if fn == "inc" else np.where((x == 0) | (x > top), top, x - one)
        return new.astype(u).view(elem.np)
    if elem in (F16, BF16):  # computed in f32 and rounded once
        wide = [np.asarray(v, np.float32) for v in (old, data[0])]
        return np.asarray(eval_lane(op("fcvt"), elem, [eval_lane(op(fn), F32, wide)], (("to", elem),)))
    return np.asarray(eval_lane(op(fn), elem, (old, data[0])))


def _raw(x: Array) -> Array:
    """Bits, for comparison."""
    return x if x.dtype == object else np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")

