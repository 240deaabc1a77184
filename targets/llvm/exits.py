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
    blocks, fresh = list(k.blocks), k.next_id()
    used: dict[int, set[int]] = {}  # value → blocks that read it
    into: dict[int, int] = {}  # block → edges to it
    for n in order:
        for i in blocks[n].instrs:
            for v in i.operands():
                used.setdefault(v.id, set()).add(n)
            for e in i.edges:
                into[e.target] = into.get(e.target, 0) + 1
    for part in reversed(found):
        ways = [(n, at) for n in part for at, e in enumerate(blocks[n].terminator.edges) if e.target not in part]
        if len(ways) != 1:
            continue
        made = [v for n in sorted(part) for v in (*blocks[n].params, *(r for i in blocks[n].instrs if i.op.name != "constant" for r in i.results))]
        kept = [v for v in made if not used.get(v.id, part) <= part]
        if not kept:
            continue
        [(n, at)] = ways
        edge, t = blocks[n].terminator.edges[at], blocks[n].terminator
        copies = {v.id: Value(fresh + j, v.type, v.name) for j, v in enumerate(kept)}
        fresh += len(copies)
        for m in sorted(set[int]().union(*(used[old] - part for old in copies))):
            blocks[m] = Block(blocks[m].name, blocks[m].params, tuple(_renamed(i, copies) for i in blocks[m].instrs))
        for old, copy in copies.items():
            used[copy.id] = used[old] - part
            used[old] = used[old] & part | {n}
        behind = blocks[edge.target]
        if into[edge.target] == 1:
            blocks[edge.target] = Block(behind.name, (*behind.params, *copies.values()), behind.instrs)
            edge = Edge(edge.target, (*edge.args, *kept))
        else:
            args = tuple(Value(fresh + j, a.type, a.name) for j, a in enumerate(edge.args))
            fresh += len(args)
            new = len(blocks)
            blocks.append(Block(f"{behind.name}.out{new}", (*args, *copies.values()), (Instr(op("jump"), (), edges=(Edge(edge.target, args),), loc=t.loc),)))
            used |= {a.id: {new} for a in args}
            into[new] = 1
            for outer in found:
                if n in outer and edge.target in outer:
                    outer.add(new)
            edge = Edge(new, (*edge.args, *kept))
        blocks[n] = Block(blocks[n].name, blocks[n].params, (*blocks[n].instrs[:-1], t.replace(edges=(*t.edges[:at], edge, *t.edges[at + 1 :]))))
    return k.with_blocks(tuple(blocks))


def _renamed(i: Instr, copies: dict[int, Value]) -> Instr:
    if not any(v.id in copies for v in i.operands()):
        return i

    def new(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(copies.get(v.id, v) for v in values)

    guard = copies.get(i.guard.id, i.guard) if i.guard is not None else None
    return i.replace(args=new(i.args), guard=guard, passthrough=new(i.passthrough), edges=tuple(Edge(e.target, new(e.args)) for e in i.edges))
