"""What all schedules share: the builder with its pointers, the choice of lanes, offsets of merged dimensions."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..device import DeviceFacts
from ..extent import Dim, Extent
from ..instr import Value
from ..lower.emit import Emitter, Group, merge
from ..lower.expr import Expr, walk
from ..program import Buffer, Flat, Launch
from ..tile import TileBuilder
from ..types import I64

WARPS = 4  # per block on a GPU, unless a schedule has a reason


def lanes_for(facts: DeviceFacts, exprs: Sequence[Expr]) -> int:
    """Lanes per warp.  On the CPU as many as one vector register holds of the widest element that is computed with."""
    if facts.kind != "cpu":
        return facts.lanes
    widest = 8
    for e in walk(exprs):
        bits = 32 if e.elem.is_float and e.elem.bits < 32 else e.elem.bits  # narrow floats are computed in f32
        if e.kind not in ("index", "inside") and bits > widest:
            widest = bits
    return max(4, facts.vector_bits // min(widest, 64))


def cost(exprs: Sequence[Expr]) -> int:
    return sum(e.cost for e in walk(exprs) if e.kind == "lane")


class Job:
    """One tile program in the making: builder, emitter, and the buffers behind its pointer parameters."""

    def __init__(self, name: str, facts: DeviceFacts, exprs: Sequence[Expr], sizes: Sequence[int], stored: Sequence[Buffer], *,
                 lanes: int, warps: int = 1, keep: Sequence[int] = (), accesses: Sequence[Expr] = (), groups: list[Group] | None = None) -> None:  # fmt: skip
        self.facts = facts
        self.b = TileBuilder(name, warps=warps, lanes=lanes)
        self.args: list[Any] = []
        self.pointers: dict[str, Value] = {}
        written = {s.name for s in stored}
        for e in walk(exprs):
            if e.kind == "load":
                self.pointer(e.buffer, "rw" if e.buffer.name in written else "r")
        for s in stored:
            self.pointer(s, "w")
        self.groups = merge([*exprs, *accesses], sizes, keep) if groups is None else groups
        self.em = Emitter(self.b, self.groups, sizes, self.pointers)

    def pointer(self, buffer: Buffer, access: str) -> Value:
        found = self.pointers.get(buffer.name)
        if found is None:
            elem = buffer.type.elem.signless
            # buffers of the program never overlap; inputs are only read, so they may overlap one another
            # and are promised to start at a multiple of 16 bytes on a GPU (who calls copies those that do not)
            owned = buffer.kind != "input"
            align = elem.bytes if buffer.kind == "input" and self.facts.kind == "cpu" else 16
            found = self.b.pointer(buffer.name, elem, access=access, align=align, noalias=owned)
            self.pointers[buffer.name] = found
            self.args.append(buffer.base if isinstance(buffer, Flat) else buffer)
        return found

    def program(self, axis: int = 0) -> Value:
        return self.b.sext(self.b.program_id(axis=axis), to=I64)  # type: ignore[no-any-return]

    def split(self, linear: Value, groups: Sequence[int]) -> list[Value]:
        """A linear number over those merged dimensions as one offset each."""
        b, out, rest = self.b, [], linear
        for k, g in enumerate(reversed(groups)):
            n = b.i64(self.groups[g].size)
            if k == len(groups) - 1:
                out.append(rest)
            else:
                out.append(b.irem_u(rest, n))
                rest = b.idiv_u(rest, n)
        return out[::-1]

    def launch(self, programs: Extent, **meta: Any) -> Launch:
        meta["blocks"] = programs if isinstance(programs, int) else None
        fn = self.b.finish(tuple(sorted((k, v) for k, v in meta.items() if v is not None)))
        return Launch(fn, (programs, 1, 1), (*self.args, *map(Dim.symbol, self.b.extents)))
