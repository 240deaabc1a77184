"""Common subexpressions and dead code, in one pass over a kernel.

Equal pure ops are merged where the first dominates the second: within a block, and from the blocks that dominate it.  Then what
nothing needs is dropped.  Both are linear in the number of instructions.
"""
from __future__ import annotations

from typing import Any

from ..instr import Block, Edge, Instr, Value
from ..kernel import Kernel


def cleanup(k: Kernel) -> Kernel:
    return drop_dead(merge_equal(k))


def dominators(k: Kernel) -> list[int]:
    """Immediate dominator of each block (the entry's is itself; unreachable blocks get −1).  Cooper, Harvey, Kennedy 2001."""
    order = reverse_post_order(k)
    number = {b: n for n, b in enumerate(order)}
    before: dict[int, list[int]] = {b: [] for b in order}
    for b in order:
        for e in k.blocks[b].terminator.edges:
            before[e.target].append(b)
    idom = [-1] * len(k.blocks)
    idom[0] = 0
    changed = True
    while changed:
        changed = False
        for b in order[1:]:
            new = -1
            for p in before[b]:
                if idom[p] < 0:
                    continue
                if new < 0:
                    new = p
                    continue
                x, y = p, new
                while x != y:
                    while number[x] > number[y]:
                        x = idom[x]
                    while number[y] > number[x]:
                        y = idom[y]
                new = x
            if idom[b] != new:
                idom[b], changed = new, True
    return idom


def reverse_post_order(k: Kernel) -> list[int]:
    """Reachable blocks, each before those that it dominates."""
    seen, post, stack = {0}, [], [(0, 0)]
    while stack:
        n, e = stack.pop()
        edges = k.blocks[n].terminator.edges
        if e < len(edges):
            stack.append((n, e + 1))
            t = edges[e].target
            if t not in seen:
                seen.add(t)
                stack.append((t, 0))
        else:
            post.append(n)
    return post[::-1]


def _key(i: Instr, args: tuple[int, ...]) -> Any:
    attrs = i.attrs
    if i.op.name == "constant":  # −0.0 == 0.0, but they differ
        value = i.attr("value")
        attrs = (("type", i.attr("type")), ("value", value.hex() if isinstance(value, float) else int(value)))
    if i.op.commutative and len(args) == 2 and args[0] > args[1]:
        args = (args[1], args[0])
    return i.op, attrs, args


def merge_equal(k: Kernel) -> Kernel:
    idom = dominators(k)
    tables: dict[int, dict[Any, Value]] = {}
    same: dict[int, Value] = {}
    blocks: dict[int, Block] = {}
    changed = False

    def look(v: Value) -> Value:
        return same.get(v.id, v)

    for n in reverse_post_order(k):
        chain, at = [], n
        while True:
            at = idom[at]
            if at in tables:
                chain.append(tables[at])
            if at == 0 or n == 0:
                break
        table = tables[n] = {}
        out = []
        for i in k.blocks[n].instrs:
            args = tuple([same.get(a.id, a) for a in i.args]) if same else i.args
            if i.op.pure and len(i.results) == 1 and i.guard is None:
                key = _key(i, tuple([a.id for a in args]))
                found = table.get(key)
                if found is None:
                    for t in chain:
                        found = t.get(key)
                        if found is not None:
                            break
                if found is not None:
                    same[i.result.id] = found
                    changed = True
                    continue
                table[key] = i.result
            out.append(_with(i, args, look) if same else i)
        blocks[n] = Block(k.blocks[n].name, k.blocks[n].params, tuple(out))
    if not changed:
        return k
    return k.with_blocks(tuple(blocks.get(n, b) for n, b in enumerate(k.blocks)))


def _with(i: Instr, args: tuple[Value, ...], look: Any) -> Instr:
    if all(look(v) is v for v in i.operands()):
        return i
    guard = None if i.guard is None else look(i.guard)
    edges = tuple(Edge(e.target, tuple(look(a) for a in e.args)) for e in i.edges)
    return Instr(i.op, args, i.attrs, i.results, guard, tuple(look(p) for p in i.passthrough), edges, i.regions, i.loc)


def drop_dead(k: Kernel) -> Kernel:
    """Removes pure instructions and loads whose results nothing reads, and block parameters that nothing reads stay."""
    makes: dict[int, Instr] = {}
    params: dict[int, tuple[int, int]] = {}
    needed: set[int] = set()
    work: list[Value] = []
    reach = set(reverse_post_order(k))
    incoming: dict[int, list[Edge]] = {}
    for n in reach:
        for j, p in enumerate(k.blocks[n].params):
            params[p.id] = (n, j)
        for i in k.blocks[n].instrs:
            for r in i.results:
                makes[r.id] = i
            if _keeps(i):
                work.extend(i.args)
                if i.guard is not None:
                    work.append(i.guard)
                work.extend(i.passthrough)
            for e in i.edges:
                incoming.setdefault(e.target, []).append(e)
    while work:
        v = work.pop()
        if v.id in needed:
            continue
        needed.add(v.id)
        made = makes.get(v.id)
        if made is not None:
            work.extend(made.args)
            if made.guard is not None:
                work.append(made.guard)
            work.extend(made.passthrough)
        elif v.id in params:
            n, j = params[v.id]
            work.extend(e.args[j] for e in incoming.get(n, ()))
    blocks, changed = [], False
    for n, b in enumerate(k.blocks):
        if n not in reach:
            blocks.append(b)
            continue
        live = [j for j, p in enumerate(b.params) if p.id in needed]
        instrs = [i for i in b.instrs if _keeps(i) or any(r.id in needed for r in i.results)]
        trimmed = [_trim(i, k, needed) for i in instrs]
        if len(live) == len(b.params) and len(trimmed) == len(b.instrs) and all(x is y for x, y in zip(trimmed, b.instrs)):
            blocks.append(b)
        else:
            changed = True
            blocks.append(Block(b.name, tuple(b.params[j] for j in live), tuple(trimmed)))
    return k.with_blocks(tuple(blocks)) if changed else k


def _keeps(i: Instr) -> bool:
    """Whether an instruction matters even if nothing reads its results."""
    if i.op.terminator:
        return True
    e = i.op.effect
    return e is not None and (e.writes or e.may_exit or e.may_suspend)


def _trim(i: Instr, k: Kernel, needed: set[int]) -> Instr:
    """Edge arguments of dropped block parameters go too."""
    if not i.edges:
        return i
    edges = tuple(Edge(e.target, tuple(a for a, p in zip(e.args, k.blocks[e.target].params) if p.id in needed)) for e in i.edges)
    if all(len(a.args) == len(b.args) for a, b in zip(edges, i.edges)):
        return i
    return Instr(i.op, i.args, i.attrs, i.results, i.guard, i.passthrough, edges, i.regions, i.loc)
