"""Values that outlive a loop leave it as parameters of the block behind it.

Lanes leave a linearised loop one by one, and what is read behind it must keep, for each lane, what it was when that lane left.  Were the values of
the loop itself read there, each would be blended under the mask at every turn, and could not be known as a scalar plus constants (`lanes.py`).  As
arguments of the edge that leaves they are blended where lanes leave; in the loop they stay what they are.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...ir.instr import Block, Edge, Instr, Value
from ...ir.kernel import Kernel
from ...ir.op import op
from ...ir.passes.cleanup import reverse_post_order
from .regions import components


def loops(k: Kernel, order: Sequence[int]) -> Iterator[set[int]]:
    """The blocks of each loop, outer loops before those in them."""
    work: list[tuple[Sequence[int], int | None]] = [(order, None)]
    while work:
        nodes, cut = work.pop()
        for part in components(k, nodes, cut):
            inner = [n for n in order if n in part]
            if len(part) > 1 or any(e.target == inner[0] != cut for e in k.blocks[inner[0]].terminator.edges):
                yield part
                work.append((inner, inner[0]))


def leaving(k: Kernel) -> Kernel:
    """The kernel with such parameters, for loops with one way out."""
    order = reverse_post_order(k)
    found = list(loops(k, order))
    if not found:
        return k
    constants = {i.result.id for i in k.instrs() if i.op.name == "constant"}
    blocks, fresh = list(k.blocks), k.next_id()
    for part in reversed(found):
        ways = [(n, at) for n in part for at, e in enumerate(blocks[n].terminator.edges) if e.target not in part]
        if len(ways) != 1:
            continue
        made = {v.id: v for n in part for v in (*blocks[n].params, *(r for i in blocks[n].instrs for r in i.results)) if v.id not in constants}
        kept = {v.id: v for n in order if n not in part for i in blocks[n].instrs for v in i.operands() if v.id in made}
        if not kept:
            continue
        [(n, at)] = ways
        edge = blocks[n].terminator.edges[at]
        copies = {v.id: Value(fresh + j, v.type, v.name) for j, v in enumerate(kept.values())}
        fresh += len(copies)
        for m in order:
            if m not in part:
                blocks[m] = Block(blocks[m].name, blocks[m].params, tuple(_renamed(i, copies) for i in blocks[m].instrs))
        behind = blocks[edge.target]
        if sum(e.target == edge.target for m in order for e in blocks[m].terminator.edges) == 1:
            blocks[edge.target] = Block(behind.name, (*behind.params, *copies.values()), behind.instrs)
            edge = Edge(edge.target, (*edge.args, *kept.values()))
        else:
            args = tuple(Value(fresh + j, a.type, a.name) for j, a in enumerate(edge.args))
            fresh += len(args)
            jump = Instr(op("jump"), (), edges=(Edge(edge.target, args),), loc=blocks[n].terminator.loc)
            blocks.append(Block(f"{behind.name}.out{len(blocks)}", (*args, *copies.values()), (jump,)))
            edge = Edge(len(blocks) - 1, (*edge.args, *kept.values()))
            for outer in found:
                if n in outer and jump.edges[0].target in outer:
                    outer.add(len(blocks) - 1)
            order = [*order, len(blocks) - 1]
        t = blocks[n].terminator
        blocks[n] = Block(blocks[n].name, blocks[n].params, (*blocks[n].instrs[:-1], t.replace(edges=(*t.edges[:at], edge, *t.edges[at + 1 :]))))
    return k.with_blocks(tuple(blocks))


def _renamed(i: Instr, copies: dict[int, Value]) -> Instr:
    if not any(v.id in copies for v in i.operands()):
        return i

    def new(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(copies.get(v.id, v) for v in values)

    guard = copies.get(i.guard.id, i.guard) if i.guard is not None else None
    return i.replace(args=new(i.args), guard=guard, passthrough=new(i.passthrough), edges=tuple(Edge(e.target, new(e.args)) for e in i.edges))
