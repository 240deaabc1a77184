"""Local memory of lanes that run together.

Usually it is laid out element by element: the lanes' elements of one place lie side by side, so a place that all lanes mean is one vector.  Lane
after lane it is only where an address of it may be known elsewhere (`cvta`, copies, `alloca`), since a lane's memory is then in one piece.
"""
from __future__ import annotations

from collections.abc import Callable

from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.types import I1, I32, I64, Scalar
from .asm import Fn
from .layout import HEAP
from .mbarriers import ascending
from .ops import NAMES, Val


def side_by_side(k: Kernel) -> int:
    """Bytes of the elements that lie side by side: those of the widest access, of whose size every place is a multiple.  0: lane after lane."""
    widest = 0
    for i in k.instrs():
        if i.op.name in ("ld", "st") and i.attr("space") == "local":
            size = i.attr("to").bytes
            if size > 8 or i.attr("disp", 0) % size:
                return 0
            widest = max(widest, size)
        elif i.op.name == "alloca" or "local" in (i.attr("space"), i.attr("from"), i.attr("to")):
            return 0
    return widest


class Private:
    """The part of `Warp` that reaches local memory side by side."""

    k: Kernel
    w: int
    element: int  # bytes, of `side_by_side`
    uses_heap: bool
    local_stride: int  # bytes from lane to lane
    lines: list[str]
    put: Callable[[str], str]  # what follows is Warp's
    val: Callable[[Value], Val]
    vec: Callable[[Value], str]
    step: Callable[[Value], int | None]
    define: Callable[[Value, str], None]
    some: Callable[[str], str]
    pick: Callable[[str, str, str, str], str]
    bools_type: str
    bits: Callable[[str], str]
    helpers: dict[str, str]
    declared: set[str]
    iota: Callable[[Scalar, int], str]
    here: Callable[[], str]
    window_bases: Callable[[str], str]
    addresses: Callable[[Instr, Value, Value | None], str]
    gathered: Callable[[Scalar, str, str, str | None, Instr], str]
    scattered: Callable[[Scalar, str, str, str, Instr], None]
    splat: Callable[[str, Scalar], str]
    stuck: Callable[..., None]
    both: Callable[[str, str], str]
    mask_of_bools: Callable[[str], str]

    def memory_of_lanes(self, at: int) -> int:
        """Lays out local memory behind that many bytes of a frame, and returns where it ends.  What `alloca` gives lies behind a lane's variables;
        how much each lane has of it stands before them all."""
        at = -(-at // 64) * 64
        self.heap_at = at
        if self.uses_heap:
            at = -(-(at + 4 * self.w) // 64) * 64
        self.local_at = at
        stride = self.heap_start + HEAP if self.uses_heap else -(-self.k.local // 16) * 16
        self.local_stride = stride | 64 if self.uses_heap else stride  # an odd number of cache lines: the lanes' places are not of one set
        return at + self.w * self.local_stride

    @property
    def heap_start(self) -> int:
        return -(-self.k.local // 64) * 64

    def heap(self) -> str:
        return self.put(f"getelementptr i8, ptr %frame, i64 {self.heap_at}")

    def empty_heap(self, fresh: str) -> None:
        """Where a block starts its lanes have nothing."""
        t, p = f"<{self.w} x i32>", self.heap()
        have = self.put(f"select i1 {fresh}, {t} zeroinitializer, {t} " + self.put(f"load {t}, ptr {p}, align 64"))
        self.lines.append(f"  store {t} {have}, ptr {p}, align 64")

    def _alloca(self, i: Instr) -> None:
        t, u, p = f"<{self.w} x i32>", f"<{self.w} x i64>", self.heap()
        have = self.put(f"load {t}, ptr {p}, align 64")
        align = max(i.attr("align", 8), 8)
        at = self.put(f"and {t} {self.put(f'add {t} {have}, splat (i32 {align - 1})')}, splat (i32 {-align})")
        size = self.vec(i.args[0])
        room = self.put(f"sub {u} splat (i64 {HEAP}), {self.put(f'zext {t} {at} to {u}')}")
        full = self.put(f"or {self.bools_type} {self.put(f'icmp ugt {u} {size}, {room}')}, {self.put(f'icmp slt {u} {room}, zeroinitializer')}")
        self.stuck(self.some(self.both(self.here(), self.mask_of_bools(full))), 5)
        end = self.put(f"add {t} {at}, {self.put(f'trunc {u} {size} to {t}')}")
        self.lines.append(f"  store {t} {self.pick(self.here(), t, end, have)}, ptr {p}, align 64")
        wide = self.put(f"add {u} {self.put(f'zext {t} {at} to {u}')}, splat (i64 {self.heap_start})")
        self.define(i.result, self.put(f"add {u} {wide}, {self.window_bases('local')}"))

    def private(self, i: Instr) -> bool:
        return bool(self.element) and i.attr("space") == "local"

    def is_row(self, i: Instr, base: Value) -> bool:
        """Whether all lanes mean one place, whose elements are a vector."""
        return self.step(base) == 0 and i.attr("to").bytes == self.element

    def rows(self, i: Instr, base: Value, count: int, mask: str) -> list[str]:
        """The places of an access; where a guard lets no lane through, the first ones."""
        x = self.val(base).text
        if base.type is I32:
            x = self.put(f"sext i32 {x} to i64")
        if i.guard is not None:
            x = self.put(f"select i1 {self.some(mask)}, i64 {x}, i64 {-i.attr('disp', 0)}")
        out = []
        for n in range(count):
            at = i.attr("disp", 0) + n * self.element
            place = self.put(f"mul i64 {self.put(f'add i64 {x}, {at}') if at else x}, {self.w}")
            out.append(self.put(f"getelementptr i8, ptr %local, i64 {place}"))
        return out

    def private_load(self, i: Instr, base: Value, elem: Scalar, mask: str) -> None:
        if not self.is_row(i, base):
            for n, (r, a) in enumerate(zip(i.results, self.each(i, base, len(i.results)))):
                self.define(r, self.gathered(elem, a, mask, self.vec(i.passthrough[n]) if i.passthrough else None, i))
            return
        m = "i8" if elem is I1 else NAMES[elem.name]
        t, volatile = f"<{self.w} x {m}>", "volatile " if i.attr("volatile") else ""
        for n, (r, p) in enumerate(zip(i.results, self.rows(i, base, len(i.results), mask))):
            x = self.put(f"load {volatile}{t}, ptr {p}, align {elem.bytes}")
            x = self.put(f"icmp ne {t} {x}, zeroinitializer") if elem is I1 else x
            if i.passthrough:
                x = self.pick(mask, self.bools_type if elem is I1 else t, x, self.vec(i.passthrough[n]))
            self.define(r, x)

    def private_store(self, i: Instr, base: Value, elem: Scalar, mask: str, data: tuple[Value, ...]) -> None:
        """Nobody else looks, so other lanes get what they have."""
        if not self.is_row(i, base):
            for v, a in zip(data, self.each(i, base, len(data))):
                self.scattered(elem, a, mask, self.vec(v), i)
            return
        m = "i8" if elem is I1 else NAMES[elem.name]
        t, volatile = f"<{self.w} x {m}>", "volatile " if i.attr("volatile") else ""
        for v, p in zip(data, self.rows(i, base, len(data), mask)):
            x = self.vec(v)
            x = self.put(f"zext {self.bools_type} {x} to {t}") if elem is I1 else x
            old = self.put(f"load {volatile}{t}, ptr {p}, align {elem.bytes}")
            self.lines.append(f"  store {volatile}{t} {self.pick(mask, t, x, old)}, ptr {p}, align {elem.bytes}")

    # ---- lane after lane

    def in_steps(self, i: Instr, base: Value) -> bool:
        """Whether all lanes mean the same place of their own memory, whose addresses are then so many bytes apart."""
        return not self.element and i.attr("space") == "local" and self.step(base) == 0 and i.attr("to").bits <= 64

    def steps(self, i: Instr, base: Value, mask: str) -> str:
        """The first lane's address; where a guard lets no lane through, that of the first place."""
        x = self.val(base).text
        if base.type is I32:
            x = self.put(f"sext i32 {x} to i64")
        if i.guard is not None:
            x = self.put(f"select i1 {self.some(mask)}, i64 {x}, i64 {-i.attr('disp', 0)}")
        at = self.put(f"add i64 {x}, {i.attr('disp', 0)}") if i.attr("disp", 0) else x
        return self.put(f"getelementptr i8, ptr %local, i64 {at}")

    def stepped_load(self, i: Instr, base: Value, elem: Scalar, mask: str) -> None:
        m = "i8" if elem is I1 else NAMES[elem.name]
        t, first = f"<{self.w} x {m}>", self.steps(i, base, mask)
        name = f"lanes{self.w}.steps.{self.local_stride}.load.{m}"
        self.helpers.setdefault(name, _load_steps(name, m, elem.bytes, self.local_stride, self.w))
        for n, r in enumerate(i.results):
            x = self.put(f"call {t} @{name}(ptr {self.put(f'getelementptr i8, ptr {first}, i64 {n * elem.bytes}')})")
            x = self.put(f"icmp ne {t} {x}, zeroinitializer") if elem is I1 else x
            if i.passthrough:
                x = self.pick(mask, self.bools_type if elem is I1 else t, x, self.vec(i.passthrough[n]))
            self.define(r, x)

    def stepped_store(self, i: Instr, base: Value, elem: Scalar, mask: str, data: tuple[Value, ...]) -> None:
        m = "i8" if elem is I1 else NAMES[elem.name]
        t, first = f"<{self.w} x {m}>", self.steps(i, base, mask)
        name = f"lanes{self.w}.steps.{self.local_stride}.store.{m}"
        self.helpers.setdefault(name, _store_steps(name, m, elem.bytes, self.local_stride, self.w, self.declared))
        for n, v in enumerate(data):
            x = self.vec(v)
            x = self.put(f"zext {self.bools_type} {x} to {t}") if elem is I1 else x
            p = self.put(f"getelementptr i8, ptr {first}, i64 {n * elem.bytes}")
            self.lines.append(f"  call void @{name}(ptr {p}, {t} {x}, i32 {self.bits(mask)})")

    # ---- addresses

    def each(self, i: Instr, base: Value, count: int) -> list[str]:
        """The lanes' addresses of each element of an access."""
        size, disp = i.attr("to").bytes, i.attr("disp", 0)
        rest = tuple((k, v) for k, v in i.attrs if k != "disp")
        return [self.addresses(i.replace(attrs=(("disp", disp + n * size), *rest)), base, None) for n in range(count)]

    def private_places(self, x: str) -> str:
        """Addresses of places (i32) that differ between lanes."""
        i32, i64, g = f"<{self.w} x i32>", f"<{self.w} x i64>", self.element
        low = self.put(f"and {i32} {x}, splat (i32 {g - 1})")
        row = self.put(f"mul {i32} {self.put(f'sub {i32} {x}, {low}')}, splat (i32 {self.w})")
        at = self.put(f"add {i32} {self.put(f'add {i32} {row}, {low}')}, {self.iota(I32, g)}")
        start = self.splat(self.put("ptrtoint ptr %local to i64"), I64)
        return self.put(f"add {i64} {self.put(f'sext {i32} {at} to {i64}')}, {start}")


def _load_steps(name: str, m: str, size: int, stride: int, w: int) -> str:
    """What all lanes have there; it is nobody else's, so it may be read for those too that are away."""
    f = Fn(f"define internal <{w} x {m}> @{name}(ptr %p) noinline #0", set())
    x = "poison"
    for lane in range(w):
        v = f.put(f"load {m}, ptr {f.at('%p', lane * stride)}, align {size}")
        x = f.put(f"insertelement <{w} x {m}> {x}, {m} {v}, i64 {lane}")
    f.line(f"ret <{w} x {m}> {x}")
    return f.text()


def _store_steps(name: str, m: str, size: int, stride: int, w: int, declared: set[str]) -> str:
    f = Fn(f"define internal void @{name}(ptr %p, <{w} x {m}> %x, i32 %mask) noinline #0", declared)
    with f.when(f.cmp("eq", "i32", "%mask", -1 if w == 32 else (1 << w) - 1)):
        for lane in range(w):
            f.line(f"store {m} {f.put(f'extractelement <{w} x {m}> %x, i64 {lane}')}, ptr {f.at('%p', lane * stride)}, align {size}")
        f.ret()
    have = f.name("have")
    f.allocas.append(f"  {have} = alloca <{w} x {m}>, align 64")
    f.line(f"store <{w} x {m}> %x, ptr {have}, align 64")

    def one(at: str) -> None:
        lane = f.op("lshr", "i64", at, 3)
        v = f.put(f"load {m}, ptr {f.at(have, f.op('mul', 'i64', lane, size))}, align {size}")
        f.line(f"store {m} {v}, ptr {f.at('%p', f.op('mul', 'i64', lane, stride))}, align {size}")

    ascending(f, one)
    f.line("ret void")
    return f.text()
