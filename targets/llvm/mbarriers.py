"""mbarriers on the CPU, for lanes and for warps, and what a warp does in a cluster: barriers, addresses in other blocks, bulk copies.

An mbarrier is a word: pending count (bits 0–19), expected count (20–39), transaction bytes (40–62, signed), phase (63).  It lies in the shared memory of a
block whose cluster runs on one thread, so it needs no atomic operation, and a wait whose phase is not complete gives way at once: nobody else can complete
it.  The lanes of a warp act in ascending order.  Where all mean one object and the state that they get is only waited for, it is one for all: the
last lane's, whose phase is the newest.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.instr import Instr, Value
from ...ir.types import I1, I32, I64, Scalar
from .asm import Fn
from .dispatch import Lane
from .helpers import CANCEL, COPY_MASKED, MBARRIER, mbarrier
from .layout import BLOCK, FRAME
from .ops import NAMES

RESULTS = ("arrive", "arrive_drop", "test", "test_parity")


class Mbarriers:
    """The part of `Warp` for mbarriers and clusters."""

    plan: Any
    lines: list[str]
    allocas: list[str]
    helpers: dict[str, str]
    declared: set[str]
    n: int
    w: int
    put: Callable[[str], str]  # what follows is Warp's
    do: Callable[[str, str, str], str]
    bits: Callable[[str], str]
    vec: Callable[[Value], str]
    val: Any
    step: Callable[[Value], int | None]
    place: Any
    same: Callable[[Value, str], None]
    define: Callable[[Value, str], None]
    addresses: Any
    guard_mask: Callable[[Instr], str]
    splat: Callable[[str, Scalar], str]
    word: Callable[[str], str]
    from_block: Callable[[str], str]
    here: Callable[[], str]
    frame_store: Any

    @property
    def wide(self) -> str:
        return f"<{self.w} x i64>"

    # ---- mbarriers

    def _mbarrier(self, i: Instr) -> None:
        fn, base = i.attr("fn"), i.args[0]
        if fn == "copies":  # they are complete
            return
        self.helpers.setdefault("mbar", MBARRIER)
        mask, one = self.guard_mask(i), all(self.step(a) == 0 for a in i.args)
        if one and (not i.results or self.step(i.results[0]) == 0):
            p = self.place(i.attr("space", "shared"), self.val(base), None, 1, i.attr("disp", 0))
            n = self.word64(self.val(i.args[1]).text, i.args[1]) if len(i.args) > 1 else "0"
            if fn in ("test", "test_parity"):
                [text] = mbarrier(self, fn, p, n)
                self.same(i.result, text)
                return
            name = f"mbarrier.{fn}.same"
            self.helpers.setdefault(name, _same(name, fn, self.declared))
            r = self.put(f"call i64 @{name}(ptr {p}, i32 {self.bits(mask)}, i64 {n}, ptr %blk)")
            if i.results:
                self.same(i.result, r)
            return
        name = f"lanes.mbarrier.{fn}"
        self.helpers.setdefault(name, _each(name, fn, self.declared))
        self.n += 1
        k = self.n
        self.allocas += [f"  %mb{k}_{part} = alloca {self.wide}, align 64" for part in ("a", "n", "r")]
        self.lines.append(f"  store {self.wide} {self.addresses(i, base, None)}, ptr %mb{k}_a, align 64")
        if len(i.args) > 1:
            x = self.vec(i.args[1])
            self.lines.append(f"  store {self.wide} {self.put(f'zext <{self.w} x i32> {x} to {self.wide}') if i.args[1].type is I32 else x}, ptr %mb{k}_n, align 64")
        self.lines.append(f"  call void @{name}(ptr %mb{k}_a, i32 {self.bits(mask)}, ptr %mb{k}_n, ptr %mb{k}_r, ptr %blk)")
        if i.results:
            r = self.put(f"load {self.wide}, ptr %mb{k}_r, align 64")
            self.define(i.result, self.put(f"icmp ne {self.wide} {r}, zeroinitializer") if i.result.type.elem is I1 else r)

    def word64(self, text: str, v: Value) -> str:
        return self.put(f"zext i32 {text} to i64") if v.type is I32 else text

    # ---- clusters

    def _cluster_barrier(self, i: Instr) -> None:
        """Arrival of the lanes that are here; the wait is a point."""
        lanes = self.put(self.call("llvm.ctpop.i32", "i32", [("i32", self.bits(self.here()))]))  # type: ignore[attr-defined]
        p = self.put(f"getelementptr i8, ptr %blk, i64 {BLOCK['arrived']}")
        self.lines.append(f"  store i32 {self.do('add i32', self.put(f'load i32, ptr {p}'), lanes)}, ptr {p}")
        self.frame_store(FRAME["phase"], I32, self.from_block("phase"))

    def cluster_places(self, x: str) -> str:
        """Real addresses of 32-bit addresses in the cluster's window: rank + 1 (0: the own block) in bits 24 and up."""
        t = f"<{self.w} x i32>"
        mine = self.from_block("rank")
        rank = self.put(f"lshr {t} {x}, splat (i32 24)")
        own = self.put(f"icmp eq {t} {rank}, zeroinitializer")
        step = self.put(f"sub {t} {self.put(f'sub {t} {rank}, splat (i32 1)')}, {self.splat(mine, I32)}")
        step = self.put(f"sext {t} {self.put(f'select <{self.w} x i1> {own}, {t} zeroinitializer, {t} {step}')} to {self.wide}")
        far = self.put(f"mul {self.wide} {step}, {self.splat(self.word('block_stride'), I64)}")
        low = self.put(f"zext {t} {self.put(f'and {t} {x}, splat (i32 16777215)')} to {self.wide}")
        start = self.splat(self.put("ptrtoint ptr %arena to i64"), I64)
        return self.put(f"add {self.wide} {self.put(f'add {self.wide} {start}, {far}')}, {low}")

    def cluster_windows(self, x: str) -> str:
        """The reverse of `cluster_places`."""
        stride = self.word("block_stride")
        first = self.do("sub i64", self.put("ptrtoint ptr %arena to i64"), self.do("mul i64", self.put(f"sext i32 {self.from_block('rank')} to i64"), stride))
        d = self.put(f"sub {self.wide} {x}, {self.splat(first, I64)}")
        many = self.splat(stride, I64)
        rank = self.put(f"udiv {self.wide} {d}, {many}")
        offset = self.put(f"sub {self.wide} {d}, {self.put(f'mul {self.wide} {rank}, {many}')}")
        up = self.put(f"shl {self.wide} {self.put(f'add {self.wide} {rank}, splat (i64 1)')}, splat (i64 24)")
        return self.put(f"or {self.wide} {up}, {offset}")

    def lies_in(self, space: str, x: str, local: str, local_size: int) -> str:
        """Whether generic addresses lie in a space; `local` are the bases of the lanes' local memory."""
        def within(v: str, base: str, size: str) -> str:
            return self.put(f"icmp ult {self.wide} {self.put(f'sub {self.wide} {v}, {base}')}, {size}")

        arena, size = self.splat(self.put("ptrtoint ptr %arena to i64"), I64), self.splat(self.word("arena"), I64)
        if space == "shared":
            return within(x, arena, size)
        if space == "cluster":  # between the arenas of two blocks lie the frames of the first
            stride = self.splat(self.word("block_stride"), I64)
            mine = self.splat(self.put(f"sext i32 {self.from_block('rank')} to i64"), I64)
            d = self.put(f"sub {self.wide} {x}, {self.put(f'sub {self.wide} {arena}, ' + self.put(f'mul {self.wide} {mine}, {stride}'))}")
            all_ = self.put(f"icmp ult {self.wide} {d}, {self.splat(self.do('mul i64', self.word('group'), self.word('block_stride')), I64)}")
            return self.put(f"and <{self.w} x i1> {all_}, {self.put(f'icmp ult {self.wide} ' + self.put(f'urem {self.wide} {d}, {stride}') + f', {size}')}")
        own = within(x, local, f"splat (i64 {local_size})")
        if space == "local":
            return own
        const = within(x, self.splat(self.word("const"), I64), self.splat(self.word("const_size"), I64))
        if space == "const":
            return const
        other = self.put(f"or <{self.w} x i1> {self.put(f'or <{self.w} x i1> {own}, {within(x, arena, size)}')}, {const}")
        return self.put(f"xor <{self.w} x i1> {other}, splat (i1 true)")

    def _cancel(self, i: Instr) -> None:
        """A group that has not started for each lane that is here, ascending."""
        self.helpers.setdefault("cancel", CANCEL)
        self.helpers.setdefault("lanes.cancel", _cancelled(self.declared))
        place = f"%cl{self.n}"
        self.n += 1
        self.allocas.append(f"  {place} = alloca <{self.w} x i32>, align 64")
        self.lines.append(f"  call void @lanes.cancel(i32 {self.bits(self.here())}, ptr {place}, ptr %launch)")
        self.define(i.result, self.put(f"load <{self.w} x i32>, ptr {place}, align 64"))

    # ---- copies that combine, or copy some bytes of each 16

    def copies_by_lane(self, i: Instr, dst: str, src: str, read: str, mask: str) -> None:
        fn, elem = i.attr("fn"), i.attr("elem")
        self.n += 1
        k = self.n
        parts = {"d": dst, "s": src, "r": read}
        if fn:
            name = f"lanes.combine.{fn}.{elem.name}"
            self.helpers.setdefault(name, _combined(name, i, fn, elem, self.declared, self.helpers))
        else:
            name = "lanes.copy.masked"
            self.helpers.setdefault("copy.masked", COPY_MASKED)
            self.helpers.setdefault(name, _masked(name, self.declared))
            parts["m"] = self.put(f"zext <{self.w} x i32> {self.vec(i.args[3])} to {self.wide}")
        self.allocas += [f"  %cb{k}_{p} = alloca {self.wide}, align 64" for p in parts]
        self.lines += [f"  store {self.wide} {x}, ptr %cb{k}_{p}, align 64" for p, x in parts.items()]
        self.lines.append(f"  call void @{name}(i32 {self.bits(mask)}{''.join(f', ptr %cb{k}_{p}' for p in parts)})")


def ascending(f: Fn, body: Callable[[str], None]) -> None:
    """The active lanes (%mask) in ascending order; `body` gets eight times the lane's number."""
    left = f.var("i32", "%mask")
    with f.loop(lambda: f.cmp("ne", "i32", left.get(), 0)):
        now = left.get()
        k = f.widen(f.call("i32", "llvm.cttz.i32", [("i32", now), ("i1", "true")], declare=True))
        left.set(f.op("and", "i32", now, f.op("sub", "i32", now, 1)))
        body(f.op("shl", "i64", k, 3))


def _one(f: Fn, fn: str, p: str, n: str) -> list[str]:
    """`mbarrier` of one lane, in a function."""
    e = _Writer(f)
    return mbarrier(e, fn, p, n)


class _Writer:
    """What `mbarrier` needs, over a function."""

    def __init__(self, f: Fn) -> None:
        self.put, self.lines = f.put, f.lines

    def do(self, op: str, a: str, b: str) -> str:
        return self.put(f"{op} {a}, {b}")


def _each(name: str, fn: str, declared: set[str]) -> str:
    """An operation of each lane, on its own object."""
    f = Fn(f"define internal void @{name}(ptr %addresses, i32 %mask, ptr %counts, ptr %results, ptr %blk) noinline #0", declared)

    def one(at: str) -> None:
        p = f.put(f"inttoptr i64 {f.load('i64', '%addresses', at)} to ptr")
        results = _one(f, fn, p, f.load("i64", "%counts", at) if fn != "inval" else "0")
        if results:
            f.store("i64", f.put(f"zext i1 {results[0]} to i64") if fn.startswith("test") else results[0], "%results", at)

    ascending(f, one)
    f.line("ret void")
    return f.text()


def _same(name: str, fn: str, declared: set[str]) -> str:
    """An operation of some lanes on one object, each with the same count; the state that the last one got.  Arrivals that complete nothing are one."""
    f = Fn(f"define internal i64 @{name}(ptr %p, i32 %mask, i64 %n, ptr %blk) noinline #0", declared)
    state = f.var("i64", "0")
    if fn == "arrive":
        lanes = f.widen(f.call("i32", "llvm.ctpop.i32", [("i32", "%mask")], declare=True))
        total, w = f.op("mul", "i64", lanes, "%n"), f.load("i64", "%p")
        with f.when(f.cmp("ult", "i64", total, f.op("and", "i64", w, 0xFFFFF))):
            f.store("i64", f.op("sub", "i64", w, total), "%p")
            f.ret(f"i64 {f.op('add', 'i64', f.op('sub', 'i64', w, total), '%n')}")

    def one(at: str) -> None:
        for r in _one(f, fn, "%p", "%n"):
            state.set(r)

    ascending(f, one)
    f.line(f"ret i64 {state.get()}")
    return f.text()


def _combined(name: str, i: Instr, fn: str, elem: Scalar, declared: set[str], helpers: dict[str, str]) -> str:
    """cp.reduce of each lane: element by element, atomically."""
    f = Fn(f"define internal void @{name}(i32 %mask, ptr %to, ptr %from, ptr %sizes) noinline #0", declared)
    inner = Lane.__new__(Lane)
    inner.declared, inner.helpers, inner.lines, inner.n, inner.w = declared, helpers, [], 1 << 20, 1
    inner.local_vals, inner.vals, inner.crossing = {}, {}, {}

    def one(at: str) -> None:
        dst, src = (f.put(f"inttoptr i64 {f.load('i64', end, at)} to ptr") for end in ("%to", "%from"))
        count = f.op("udiv", "i64", f.load("i64", "%sizes", at), elem.bytes)
        with f.count(count, "i64") as k:
            by = f.op("mul", "i64", k, elem.bytes)
            v = f.put(f"load {NAMES[elem.name]}, ptr {f.at(src, by)}, align {elem.bytes}")
            p = f.at(dst, by)
            Lane.atomic(inner, i, p, fn, elem, [v])
            f.lines += inner.lines
            inner.lines = []

    ascending(f, one)
    f.line("ret void")
    return f.text()


def _cancelled(declared: set[str]) -> str:
    f = Fn("define internal void @lanes.cancel(i32 %mask, ptr %numbers, ptr %launch) noinline #0", declared)
    ascending(f, lambda at: f.store("i32", f.call("i32", "cancel.next", [("ptr", "%launch")]), "%numbers", f.op("lshr", "i64", at, 1)))
    f.line("ret void")
    return f.text()


def _masked(name: str, declared: set[str]) -> str:
    f = Fn(f"define internal void @{name}(i32 %mask, ptr %to, ptr %from, ptr %sizes, ptr %bytes) noinline #0", declared)

    def one(at: str) -> None:
        dst, src = (f.put(f"inttoptr i64 {f.load('i64', end, at)} to ptr") for end in ("%to", "%from"))
        m = f.put(f"trunc i64 {f.load('i64', '%bytes', at)} to i32")
        f.call("void", "copy.masked", [("ptr", dst), ("ptr", src), ("i64", f.load("i64", "%sizes", at)), ("i32", m)])

    ascending(f, one)
    f.line("ret void")
    return f.text()
