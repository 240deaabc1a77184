"""Local memory of lanes that run together.

Usually it is laid out element by element: the lanes' elements of one place lie side by side, so a place that all lanes mean is one vector.  Lane
after lane it is only where an address of it may be known elsewhere (`cvta`, copies, `alloca`), since a lane's memory is then in one piece.
"""
from __future__ import annotations

from collections.abc import Callable

from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.types import I1, I32, I64, Scalar
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

    w: int
    element: int  # bytes, of `side_by_side`
    lines: list[str]
    put: Callable[[str], str]  # what follows is Warp's
    val: Callable[[Value], Val]
    vec: Callable[[Value], str]
    step: Callable[[Value], int | None]
    define: Callable[[Value, str], None]
    some: Callable[[str], str]
    pick: Callable[[str, str, str, str], str]
    bools_type: str
    iota: Callable[[Scalar, int], str]
    addresses: Callable[[Instr, Value, Value | None], str]
    gathered: Callable[[Scalar, str, str, str | None, Instr], str]
    scattered: Callable[[Scalar, str, str, str, Instr], None]
    splat: Callable[[str, Scalar], str]

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
