"""Code for a loop that a warp runs a part of its lanes at a time, and for its call."""
from __future__ import annotations

from ...ir.instr import Instr, Value
from ...ir.types import I1, I8
from .chunks import KEEP, Layout, Loop
from .lanes import W
from .ops import NAMES, Val
from .shaped import Grouped
from .warp import Warp


class Chunk(Warp):
    """The function of such a loop: `i32 NAME.lane(args, launch, block, arena, frame, vars, mask, number)`, for the number-th part of a warp's lanes."""

    def __init__(self, caller: Warp, loop: Loop) -> None:
        super().__init__(caller.declared, caller.helpers, loop.plan, caller.wide_masks)
        self.loop, self.debug, self.x86 = loop, caller.debug, caller.x86
        self.layout = Layout(loop)

    def signature(self, marks: str) -> str:
        return (f"define internal i32 @{self.name}.lane(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk, ptr %arena, ptr %frame, ptr %vars, i32 %start, i64 %number) "
                f"noinline #0{marks} {{")  # fmt: skip

    def prologue(self) -> None:
        self.put_mask(self.mask_of("%start"), "%alive")
        for v in self.loop.reads:
            t = NAMES["i8" if v.type.elem is I1 else v.type.elem.name]
            shape = self.plan.shapes.get(v.id)
            if shape is not None:
                many = self.w // shape.group
                texts = [self.put(f"load {t}, ptr {self.there(v, many, n)}, align {v.type.elem.bytes}") for n in range(many)]
                self.vals[v.id] = Grouped(texts, v.type.elem)
            elif v.id in self.plan.varying:
                x = self.put(f"load <{self.w} x {t}>, ptr {self.there(v, self.w)}, align {min(64, self.w * max(1, v.type.elem.bytes))}")
                self.vals[v.id] = Val(self.put(f"trunc <{self.w} x i8> {x} to {self.bools_type}") if v.type.elem is I1 else x, v.type.elem, None)
            else:
                x = self.put(f"load {t}, ptr {self.there(v, 0)}, align {max(1, v.type.elem.bytes)}")
                self.vals[v.id] = Val(self.put(f"trunc i8 {x} to i1") if v.type.elem is I1 else x, v.type.elem, 0)

    def there(self, v: Value, step: int, n: int = 0) -> str:
        """Where the n-th element of a value begins, of `step` that a part of the lanes has."""
        size = max(1, v.type.elem.bytes)
        by = self.put(f"mul i64 %number, {step * size}")
        p = self.put(f"getelementptr i8, ptr %vars, i64 {self.layout.at[v.id] + n * size}")
        return self.put(f"getelementptr i8, ptr {p}, i64 {by}")

    def die(self, mask: str) -> None:
        """At the end of the loop nobody dies."""

    def _st(self, i: Instr) -> None:
        if i.attr("space") != KEEP:
            super()._st(i)
            return
        for v, r in zip(i.args[1:], self.loop.results):
            x, t = self.vec(v), self.ty(I8 if v.type.elem is I1 else v.type.elem, True)
            if v.type.elem is I1:
                x = self.put(f"zext {self.bools_type} {x} to {t}")
            self.lines.append(f"  store {t} {x}, ptr {self.there(r, self.w)}, align {min(64, self.w * max(1, v.type.elem.bytes))}")


def call(e: Warp, i: Instr) -> None:
    """Runs the loop for the lanes that there are, part by part."""
    loop: Loop = i.attr("loop")
    layout, w = Layout(loop), loop.plan.w
    e.n += 1
    memory = f"%part{e.n}"
    e.allocas.append(f"  {memory} = alloca [{layout.size} x i8], align 64")

    def put(v: Value, t: str, x: str, n: int = 0) -> None:
        p = e.put(f"getelementptr i8, ptr {memory}, i64 {layout.at[v.id] + n * max(1, v.type.elem.bytes)}")
        e.lines.append(f"  store {t} {x}, ptr {p}, align {64 if t.startswith('<') else max(1, v.type.elem.bytes)}")

    for a, v in zip(i.args, loop.reads):
        t, vec = NAMES["i8" if v.type.elem is I1 else v.type.elem.name], v.id in loop.plan.varying
        shape = loop.plan.shapes.get(v.id)
        if shape is not None:
            for n in range(W // shape.group):
                put(v, t, e.first_of(a, shape.group, n), n)
            continue
        x = e.vec(a) if vec else e.val(a).text
        if v.type.elem is I1:
            x = e.put(f"zext {e.bools_type} {x} to <{W} x i8>") if vec else e.put(f"zext i1 {x} to i8")
        put(v, f"<{W} x {t}>" if vec else t, x)
    bits = e.bits(e.here())
    for n in range(W // w):
        part = e.do("and i32", e.do("lshr i32", bits, str(n * w)) if n else bits, str((1 << w) - 1))
        some = e.put(f"icmp ne i32 {part}, 0")
        e.n += 1
        e.when(some, f"%pr{e.n} = call i32 @{loop.kernel.name}.lane(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk, ptr %arena, ptr %frame, ptr {memory}, i32 {part}, i64 {n})")
    for r, v in zip(i.results, loop.results):
        p = e.put(f"getelementptr i8, ptr {memory}, i64 {layout.at[v.id]}")
        t = e.ty(I8 if r.type.elem is I1 else r.type.elem, True)
        x = e.put(f"load {t}, ptr {p}, align 64")
        x = e.put(f"trunc {t} {x} to {e.bools_type}") if r.type.elem is I1 else x
        if r.id not in e.plan.varying:
            first = e.put(e.call("llvm.cttz.i32", "i32", [("i32", bits), ("i1", "false")]))
            x = e.put(f"extractelement {e.ty(r.type.elem, True)} {x}, i32 {e.do('and i32', first, '31')}")
        e.define(r, x)
