"""Loops of a warp that run a part of its lanes at a time.

A kernel whose lanes talk to each other goes by whole warps.  A loop in it where they do not, and which keeps more than the registers hold, becomes a
function for fewer lanes (`Chunk`) and one instruction (`PART`), which calls it for 8 or 16 lanes after the other.  What the loop reads goes through an
array of 32 in memory, or by the scalars of its groups; so do its results back, which leave it as parameters (`exits.py`).
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...ir.instr import Block, Edge, Instr, Value
from ...ir.kernel import Kernel
from ...ir.op import Effect, Op, op
from ...ir.types import I1, I32
from .exits import loops
from .lanes import Shape, W, regroup
from .regions import Plan, Refused

PART = Op("part", "memory", lambda types, attrs: (), effect=Effect(reads=True), levels="kernel")
KEEP = "part"  # the space of stores that give results back


class Loop(NamedTuple):
    """A loop as a function: its code and plan, what it reads, and how many results it has.  `shapes`: of what it reads as scalars of groups."""

    kernel: Kernel
    plan: Plan
    reads: tuple[Value, ...]
    results: tuple[Value, ...]
    shapes: dict[int, Shape]


def chunked(plan: Plan, fits: Callable[[set[int]], int]) -> Kernel:
    """The kernel with such instructions; itself without.  `fits`: for how many lanes a loop is, 32 where it is left alone."""
    k = plan.k
    blocks = list(k.blocks)
    taken: set[int] = set()
    fresh = k.next_id()
    for part in loops(k, plan.order):
        if part & taken:
            continue
        w = fits(part)
        found = _one(plan, part, w, fresh, len(taken)) if w < W else None
        if found is None:
            continue
        loop, (m, at), (n, out) = found
        fresh = loop.kernel.next_id()
        left = k.blocks[n].terminator.edges[out]
        results = tuple(Value(fresh + j, a.type, a.name) for j, a in enumerate(left.args))
        fresh += len(results)
        same = frozenset(r.id for r, a in zip(results, left.args) if a.id not in plan.varying and n not in plan.inside)
        call = Instr(PART, loop.reads, (("loop", loop), ("same", same)), results, loc=next((i.loc for b in sorted(part) for i in k.blocks[b].instrs if i.loc), None))
        blocks.append(Block(f"{k.blocks[n].name}.parts", (), (call, Instr(op("jump"), (), edges=(Edge(left.target, results),), loc=call.loc))))
        t = blocks[m].terminator
        edges = (*t.edges[:at], Edge(len(blocks) - 1), *t.edges[at + 1 :])
        blocks[m] = Block(blocks[m].name, blocks[m].params, (*blocks[m].instrs[:-1], t.replace(edges=edges)))
        taken |= part
    return _without(k.with_blocks(tuple(blocks)), taken) if taken else k


def _one(plan: Plan, part: set[int], w: int, fresh: int, number: int) -> tuple[Loop, tuple[int, int], tuple[int, int]] | None:
    """A loop as a function of `w` lanes, its way in and its way out (block, edge); None where it is not of the kind."""
    k = plan.k
    ways_in = [(n, at) for n in plan.order if n not in part for at, e in enumerate(k.blocks[n].terminator.edges) if e.target in part]
    ways_out = [(n, at) for n in part for at, e in enumerate(k.blocks[n].terminator.edges) if e.target not in part]
    if len(ways_in) != 1 or len(ways_out) != 1 or not all(_alone(i) for n in part for i in k.blocks[n].instrs):
        return None
    [(m, at)], [(n, out)] = ways_in, ways_out
    around = [(head, blocks) for head, (blocks, _) in plan.regions.items() if blocks & part]
    if m in plan.inside or any(head not in part or not blocks <= part for head, blocks in around):
        return None
    edge, left = k.blocks[m].terminator.edges[at], k.blocks[n].terminator.edges[out]
    made = {v.id for b in part for v in (*k.blocks[b].params, *(r for i in k.blocks[b].instrs for r in i.results))}
    constants = {i.result.id: i for i in k.instrs() if i.op.name == "constant"}
    if any(v.id in made and v.id not in constants for b in plan.order if b not in part for i in k.blocks[b].instrs for v in i.operands()):
        return None
    used = {v.id: v for b in sorted(part) for i in k.blocks[b].instrs for v in i.operands() if v.id not in made} | {v.id: v for v in edge.args}
    given = {p.value.id for p in k.params}
    reads = tuple(v for v in used.values() if v.id not in constants and v.id not in given)
    kept = tuple(Value(fresh + j, a.type, a.name) for j, a in enumerate(left.args))
    nowhere = Instr(op("constant"), (), (("type", I32), ("value", 0)), (Value(fresh + len(kept), I32),))
    place = {b: at + 1 for at, b in enumerate(b for b in plan.order if b in part)}
    end = len(place) + 1
    inner = [Block("entry", (), (*constants.values(), nowhere, Instr(op("jump"), (), edges=(Edge(place[edge.target], edge.args),))))]
    for b in place:
        body = tuple(i for i in k.blocks[b].instrs if i.op.name != "constant")
        t = body[-1]
        t = t.replace(edges=tuple(Edge(place.get(e.target, end), e.args) for e in t.edges))
        inner.append(Block(k.blocks[b].name, k.blocks[b].params, (*body[:-1], t)))
    store = Instr(op("st"), (nowhere.result, *kept), (("space", KEEP), ("count", len(kept))), loc=k.blocks[n].terminator.loc)
    inner.append(Block("end", kept, (store, Instr(op("return"), ()))))
    kernel = Kernel(f"{k.name}.part{number}", k.params, tuple(inner), shared=k.shared, local=k.local)
    shapes = {v.id: s for v in reads if (s := _shape(plan.shapes.get(v.id), w)) is not None}
    arriving = {v.id: shapes.get(v.id) for v in reads if v.id in plan.varying}
    try:
        inside = Plan(kernel, plan.lanes.form, w, {v.id for v in reads if v.id not in plan.varying}, arriving)
    except Refused:
        return None
    return Loop(kernel, inside, reads, kept, shapes), (m, at), (n, out)


def _alone(i: Instr) -> bool:
    """An instruction that a part of a warp may run without the rest, as often as it likes before others do."""
    if i.op.name == "ld":
        return i.attr("space", "global") in ("global", "generic", "const", "shared", "param") and not i.attr("volatile") and i.attr("order") in (None, "weak")
    return i.op.kind == "lane" or i.op.name in ("constant", "jump", "branch", "to_generic", "from_generic") and i.attr("space") != "local"


def _shape(s: Shape | None, w: int) -> Shape | None:
    """Of each chunk of the lanes, where all chunks have the same."""
    if s is None or s.anchors:
        return None
    r = regroup(s, min(w, s.group))
    return Shape(r.group, r.offs[:w], (), r.zeros) if all(r.offs[at : at + w] == r.offs[:w] for at in range(0, W, w)) else None


def _without(k: Kernel, gone: set[int]) -> Kernel:
    """The kernel without blocks that nothing leads to any more."""
    number = {n: at for at, n in enumerate(n for n in range(len(k.blocks)) if n not in gone)}

    def moved(t: Instr) -> Instr:
        return t.replace(edges=tuple(Edge(number[e.target], e.args) for e in t.edges)) if t.edges else t

    return k.with_blocks(tuple(Block(k.blocks[n].name, k.blocks[n].params, (*k.blocks[n].instrs[:-1], moved(k.blocks[n].terminator))) for n in number))


class Layout:
    """Where values lie in the memory that a loop and its callers share."""

    def __init__(self, loop: Loop) -> None:
        self.at: dict[int, int] = {}
        at = 0
        for v in (*loop.reads, *loop.results):
            size = (1 if v.type.elem is I1 else v.type.elem.bytes) * W
            self.at[v.id] = at
            at += -(-size // 64) * 64
        self.size = max(at, 64)
