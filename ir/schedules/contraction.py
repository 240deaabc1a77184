"""Matrix products: one register tile of the result per program, k ascending, panels of 256 (the canonical order).

The lanes go along n; each step loads one row of the right tile (contiguous vectors) and one column of the left tile (uniform
scalars) and makes their outer product with fma.  Elementwise work on the result is done while it is in registers, elementwise
work on the operands while they are loaded.
"""
from __future__ import annotations

import math

from ..device import DeviceFacts
from ..extent import Dim, Extent, divides, same
from ..instr import Value
from ..lower import index as ix
from ..lower.emit import Place
from ..lower.fuse import Cluster
from ..program import Launch
from ..types import I1
from .common import WARPS, Job, lanes_for

PANEL = 256


def _tile(facts: DeviceFacts, lanes: int, m: Extent, n: Extent) -> tuple[int, int]:
    """Rows and columns of the register tile."""
    rows, vectors = ((8, 3) if facts.registers >= 32 else (6, 2)) if facts.kind == "cpu" else (8 * WARPS, 2)
    if facts.kind == "cpu" and not isinstance(m, Dim):
        rows = min(rows, m)
    return rows, (vectors if isinstance(n, Dim) else min(vectors, -(-n // lanes))) * lanes


def contraction(name: str, c: Cluster, facts: DeviceFacts) -> Launch:
    assert c.node is not None
    node = c.node
    batch, m, k = node.args[0].shape
    n = node.args[1].shape[2]
    exprs = [*c.operands, *(r.expr for r in c.roots)]
    stored = [node] if c.fuser.stored(node) else []
    stored += [r.node for r in c.roots]
    lanes = lanes_for(facts, exprs)
    rows, cols = _tile(facts, lanes, m, n)
    if same(m, 1) and facts.kind != "cpu":
        rows = 1
    warps = 1 if facts.kind == "cpu" or same(m, 1) else WARPS
    job = Job(name, facts, exprs, c.sizes, [c.fuser.buffer(s) for s in stored], lanes=lanes, warps=warps, keep=range(len(c.sizes)))
    b, em = job.b, job.em
    em.tile = (rows, cols) if not same(m, 1) else (cols,) if not same(n, 1) else ()
    acc = node.attr("acc").signless
    overlap = facts.kind == "cpu"
    tiles_m, tiles_n = -(-m // rows), -(-n // cols)
    pid = job.program()
    at_m, rest = b.irem_u(pid, b.i64(tiles_m)), b.idiv_u(pid, b.i64(tiles_m))
    at_n, at_b = b.irem_u(rest, b.i64(tiles_n)), b.idiv_u(rest, b.i64(tiles_n))
    g = 0
    if not same(batch, 1):
        em.places[g] = Place(at_b)
        g += 1
    for size, tile, at, axis in ((m, rows, at_m, 0), (n, cols, at_n, len(em.tile) - 1)):
        if not same(size, 1):
            offset, tail = b.imul(at, b.i64(tile)), not divides(tile, size)
            if tail and overlap and size >= tile:
                offset, tail = b.imin_s(offset, b.i64(size - tile)), False
            em.places[g] = Place(offset, axis, tail)
            g += 1
    chain = g

    def constant(value: float) -> Value:
        return b.fit(b.const(acc, value), em.tile)

    def step(i: Value, total: Value) -> list[Value]:
        em.push()
        em.places[chain] = Place(i)
        x, y = em.full(em.value(c.operands[0])), em.full(em.value(c.operands[1]))
        em.pop()
        b.loc = node.loc
        if acc.is_float:
            return [b.ffma(x, y, total)]
        if acc is I1:
            return [getattr(b, "or")(total, getattr(b, "and")(x, y))]
        return [b.iadd(total, b.imul(x, y))]

    def panel(lo: Value, hi: Value) -> Value:
        return b.loop(lo, hi, b.i64(1), (constant(0),), step, name="k")[0]

    if not isinstance(k, Dim) and k <= PANEL:
        result = panel(b.i64(0), b.i64(k))
    else:
        def panels(i: Value, total: Value) -> list[Value]:
            lo = b.imul(i, b.i64(PANEL))
            part = panel(lo, b.imin_s(b.iadd(lo, b.i64(PANEL)), b.i64(k)))
            return [b.fadd(total, part) if acc.is_float else b.iadd(total, part) if acc is not I1 else getattr(b, "or")(total, part)]

        # −0 is the identity of the sum: the first panel is taken as it is
        result = b.loop(b.i64(0), b.i64(-(-k // PANEL)), b.i64(1), (constant(-0.0 if acc.is_float else 0),), panels, name="panel")[0]
    em.bind(c.held[node.id], result)
    sizes = c.sizes[: c.split]
    address = ix.flatten([ix.dim(d) for d in range(c.split)], sizes)
    for s in stored:
        b.loc = s.loc
        expr = c.held[node.id] if s is node else next(r.expr for r in c.roots if r.node is s)
        em.store(c.fuser.buffer(s), address, em.full(em.value(expr)), (1 << c.split) - 1)
    meta = {"schedule": "contraction", "warp_axis": "first" if warps > 1 else None}
    return job.launch(math.prod([batch, tiles_m, tiles_n]), **meta)
