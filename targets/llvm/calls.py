"""Calls of lanes that run together: functions that call themselves or are called by address, and vprintf.

Such a function takes everything by generic addresses, mostly of the lane's own local memory, and lanes that call by address rarely agree on the target.
So it stays what it is lane by lane (`dispatch.py`), scalar code, and the lanes that stand at a call run it one after the other, ascending.  It cannot
suspend: what waits for other threads is refused.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ir.analysis import in_cycles
from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from .asm import Fn
from .dispatch import polls
from .layout import FRAME, LAUNCH, PRINTF_RECORD, PRINTF_RECORDS
from .mbarriers import ascending

CALLS = ("call", "call_indirect")


def waits(k: Kernel) -> Instr | None:
    """An instruction of a kernel's functions at which a lane may wait for another of its warp: it asks for memory that others write, and a loop or a
    recursion can bring it there again."""
    loops = in_cycles(k)
    again = any(i.op.name in CALLS for n in loops for i in k.blocks[n].instrs)
    for f in k.functions:
        inner = in_cycles(f)
        deep = again or any(i.op.name in CALLS for i in f.instrs())
        for n, b in enumerate(f.blocks):
            for i in b.instrs:
                if polls(i) and i.op.name != "red" and (deep or n in inner):
                    return i
    return None


def threads_in(k: Kernel) -> tuple[str, ...]:
    """Axes of %tid that a kernel's functions read."""
    names = {str(i.attr("name")) for f in k.functions for i in f.instrs() if i.op.name == "sreg"}
    return tuple(a for a in "xyz" if f"tid.{a}" in names)


class Calls:
    """The part of `Warp` for calls."""

    k: Kernel
    name: str
    w: int
    n: int
    lines: list[str]
    allocas: list[str]
    helpers: dict[str, str]
    declared: set[str]
    tid_at: dict[str, int]
    put: Callable[[str], str]  # what follows is Warp's
    vec: Callable[[Value], str]
    bits: Callable[[str], str]
    here: Callable[[], str]
    same: Callable[[Value, str], None]

    def in_memory(self, values: Sequence[Value]) -> list[str]:
        """Vectors of i64 as arrays."""
        out = []
        for v in values:
            self.n += 1
            out.append(f"%arg{self.n}")
            self.allocas.append(f"  {out[-1]} = alloca <{self.w} x i64>, align 64")
            self.lines.append(f"  store <{self.w} x i64> {self.vec(v)}, ptr {out[-1]}, align 64")
        return out

    def _call(self, i: Instr) -> None:
        self.each_calls(f"{self.name}.calls.{i.attr('name')}", i, [f for f in self.k.functions if f.name == i.attr("name")])

    def _call_indirect(self, i: Instr) -> None:
        fits = [f for f in self.k.functions if sum(p.role != "symbol" for p in f.params) == len(i.args) - 1]
        self.each_calls(f"{self.name}.calls.by_number.{len(i.args) - 1}", i, fits)

    def each_calls(self, name: str, i: Instr, fits: Sequence[Kernel]) -> None:
        """The lanes that are here call; a trap in there ends the launch."""
        if name not in self.helpers:
            self.helpers[name] = _caller(name, self, len(i.args), fits, i.op.name == "call_indirect")
        args = "".join(f", ptr {p}" for p in self.in_memory(i.args))
        r = self.put(f"call i32 @{name}(ptr %args, ptr %launch, ptr %blk, ptr %arena, ptr %frame, i32 {self.bits(self.here())}{args})")
        bad = self.put(f"icmp ne i32 {r}, 0")
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {bad}, label %bad{n}, label %good{n}", f"bad{n}:", f"  ret i32 {r}", f"good{n}:"]

    def _printf(self, i: Instr) -> None:
        """The records of the lanes that are here lie one behind the other."""
        self.helpers.setdefault("lanes.printf", _printer(self.declared))
        fmt, data = self.in_memory(i.args)
        self.lines.append(f"  call void @lanes.printf(ptr {fmt}, ptr {data}, i32 {self.bits(self.here())}, ptr %launch)")
        self.same(i.result, "0")


def _caller(name: str, e: Any, count: int, fits: Sequence[Kernel], by_number: bool) -> str:
    """Calls of the active lanes, each with a frame that says which thread it is: 0, or what the first that trapped gave."""
    args = "".join(f", ptr %a{n}" for n in range(count))
    records = "ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk, ptr %arena, ptr %frame"
    f = Fn(f"define internal i32 @{name}({records}, i32 %mask{args}) noinline #0", e.declared)
    own = f.name("frame")
    f.allocas.append(f"  {own} = alloca [{FRAME['ops']} x i8], align 16")
    first = f.load("i32", "%frame", FRAME["linear"])
    axes = threads_in(e.k)

    def call(callee: Kernel, passed: Sequence[str]) -> None:
        r = f.call("i32", f"{e.name}.{callee.name}",
                   [*(("ptr", p) for p in ("%args", "%launch", "%blk", "%arena", own)), *(("i64", x) for x in passed)])  # fmt: skip
        with f.when(f.cmp("ne", "i32", r, 0)):
            f.ret(f"i32 {r}")

    def one(at: str) -> None:
        lane = f.put(f"trunc i64 {f.op('lshr', 'i64', at, 3)} to i32")
        f.store("i32", f.op("add", "i32", first, lane), own, FRAME["linear"])
        f.store("i32", "1", own, FRAME["depth"])
        for axis in axes:
            f.store("i32", f.load("i32", f.at("%frame", e.tid_at[axis]), f.op("lshr", "i64", at, 1)), own, FRAME[axis])
        values = [f.load("i64", f"%a{n}", at) for n in range(count)]
        if not by_number:
            call(fits[0], values)
            return
        labels, wild, back = [f.name("callee")[1:] for _ in fits], f.name("wild")[1:], f.name("back")[1:]
        cases = " ".join(f"i64 {dict(c.meta)['number']}, label %{label}" for c, label in zip(fits, labels))
        f.line(f"switch i64 {values[0]}, label %{wild} [ {cases} ]")
        for c, label in zip(fits, labels):
            f.lines.append(f"{label}:")
            call(c, values[1:])
            f.line(f"br label %{back}")
        f.lines += [f"{wild}:", "  ret i32 -1", f"{back}:"]

    ascending(f, one)
    f.line("ret i32 0")
    return f.text()


def _printer(declared: set[str]) -> str:
    """A record of the buffer for each active lane: the format, then 512 bytes of arguments as they lie."""
    f = Fn("define internal void @lanes.printf(ptr %formats, ptr %data, i32 %mask, ptr noalias readonly %launch) noinline #0", declared)
    buffer = f.put(f"inttoptr i64 {f.load('i64', '%launch', 8 * LAUNCH['printf'])} to ptr")
    many = f.widen(f.call("i32", "llvm.ctpop.i32", [("i32", "%mask")], declare=True))
    free = f.var("i64", f.put(f"atomicrmw add ptr {buffer}, i64 {many} monotonic"))

    def one(at: str) -> None:
        k = free.get()
        free.set(f.op("add", "i64", k, 1))
        with f.when(f.cmp("ult", "i64", k, PRINTF_RECORDS)):
            p = f.at(f.at(buffer, 64), f.op("mul", "i64", k, PRINTF_RECORD))
            f.store("i64", f.load("i64", "%formats", at), p)
            data = f.put(f"inttoptr i64 {f.load('i64', '%data', at)} to ptr")
            with f.when(f.cmp("ne", "ptr", data, "null")):
                for n in range(0, PRINTF_RECORD - 8, 64):
                    f.store("<8 x i64>", f.load("<8 x i64>", data, n), p, 8 + n)

    ascending(f, one)
    f.line("ret void")
    return f.text()
