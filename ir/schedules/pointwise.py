"""Elementwise work over one domain: strips of the merged dimensions.

Rows that are shorter than a vector are walked by fewer lanes; where they are much shorter, the whole domain is one line.

CPU: a program walks up to `STRIP` elements in tiles of a few vectors.  The last tile of a row is moved back so that it ends at the
end: it writes some elements a second time, with the same values, and no access needs a mask.
GPU: one tile per program; neighbouring elements per lane where all addresses allow wide accesses; masks at the end.
Where the length of a row is only known at run time, whole tiles come first and a masked one after them, and how many rows or what piece
of a row a program takes is arithmetic on its extents: one kernel serves every length.
"""
from __future__ import annotations

import math
from typing import Any

from ..device import DeviceFacts
from ..extent import Dim, Extent, cdiv, divides, larger, same
from ..instr import Value
from ..lower import index as ix
from ..lower.emit import Group, Place, linear, merge, plain
from ..lower.expr import Expr, walk
from ..lower.fuse import Cluster
from ..program import Launch
from .common import WARPS, Job, cost, lanes_for

STRIP = 1 << 14


def pointwise(name: str, c: Cluster, facts: DeviceFacts) -> Launch:
    exprs = [r.expr for r in c.roots]
    lanes = lanes_for(facts, exprs)
    sizes, groups = c.sizes, merge(exprs, c.sizes)
    if groups and not isinstance(groups[-1].size, Dim) and groups[-1].size < lanes and len(groups) > 1:
        inner = groups[-1].size
        if facts.kind == "cpu" and inner >= 4:  # shorter rows than a vector: fewer lanes, and accesses stay contiguous
            return _launch(name, c, facts, exprs, sizes, groups, 1 << (inner.bit_length() - 1))
        flat = _flattened(c)
        return _launch(name, c, facts, flat, [c.size], [Group((0,), c.size)], lanes)
    return _launch(name, c, facts, exprs, sizes, groups, lanes)


def _flattened(c: Cluster) -> list[Expr]:
    """The roots resolved over the flat domain: coordinates become quotients and remainders."""
    shape = list(c.sizes)
    r = c.resolver
    again = type(c)(c.kind, c.number, [c.size], 1, c.fuser)
    out = []
    for root in c.roots:
        coords = iter(ix.unflatten(ix.dim(0), shape, [c.size]))
        again.current = root.node.id
        again.resolver.source = _follow(c, again)
        out.append(again.resolver.resolve(root.node, tuple(ix.ZERO if n == 1 else next(coords) for n in root.node.shape)))
    assert r is c.resolver
    return out


def _follow(c: Cluster, again: Cluster):  # type: ignore[no-untyped-def]
    """Reads memory as `c` does; roots of the cluster itself are computed again."""

    def source(n, coords):  # type: ignore[no-untyped-def]
        if c.fuser.made.get(n.id) is c or n.id not in c.fuser.made:
            return None
        return again.resolver.load(c.fuser.buffer(n), n.elem.signless, coords, n)

    return source


def _launch(name: str, c: Cluster, facts: DeviceFacts, exprs: list[Expr], sizes: list[int], groups: list[Group], lanes: int) -> Launch:
    stored = [c.fuser.buffer(r.node) for r in c.roots]
    if not groups:
        groups = [Group((), 1)]
    inner = groups[-1].size
    vec, warps, unroll = 1, 1, 1
    if facts.kind == "cpu":
        work = cost(exprs)
        unroll = 4 if work <= 80 else 2 if work <= 200 else 1
    else:
        warps = WARPS
        vec = _vector(exprs, sizes, groups, stored, facts)
    step = lanes * warps * vec
    known = not isinstance(inner, Dim)
    tile = min(step * unroll, -(-inner // step) * step) if known else step * unroll
    job = Job(name, facts, exprs, sizes, stored, lanes=lanes, warps=warps, groups=groups)
    b, em = job.b, job.em
    em.tile = (tile,)
    overlap = known and facts.kind == "cpu" and inner >= tile
    tail = not overlap and not divides(tile, inner)
    tiles = -(-inner // tile)
    rows = math.prod(g.size for g in groups[:-1])
    strip = max(1, STRIP // tile) if facts.kind == "cpu" else 1
    outer = list(range(len(groups) - 1))

    def one(row: list, number, tail: bool = tail) -> None:  # type: ignore[no-untyped-def,type-arg]
        """Tile `number` of a row."""
        em.push()
        at = b.imul(number, b.i64(tile))
        if overlap and inner % tile:
            at = b.imin_s(at, b.i64(inner - tile))
        for g, offset in zip(outer, row):
            em.places[g] = Place(offset)
        em.places[-1] = Place(at, 0, tail)
        for root, e, buffer in zip(c.roots, exprs, stored):
            b.loc = root.node.loc
            em.store(buffer, _address(sizes), em.full(em.value(e)), (1 << len(sizes)) - 1 if sizes else 0)
        em.pop()

    pid = job.program()
    if known and inner == 1 and rows == 1:  # a single element
        em.tile = ()
        em.places[-1] = Place(b.i64(0))
        for e, buffer in zip(exprs, stored):
            em.store(buffer, ix.ZERO, em.value(e), 0)
        return job.launch(1, schedule="pointwise")
    if facts.kind != "cpu":
        count = b.i64(tiles)
        row = job.split(b.idiv_u(pid, count), outer) if outer else []
        one(row, b.irem_u(pid, count) if outer else pid)
        return job.launch(rows * tiles, schedule="pointwise", vec=vec if vec > 1 else None)
    if not known:
        return _any_length(job, one, inner, rows, outer, tile, strip)
    if tiles >= strip:  # long rows: a program is a piece of one row
        pieces = -(-tiles // strip)
        piece = b.irem_u(pid, b.i64(pieces)) if outer else pid
        row = job.split(b.idiv_u(pid, b.i64(pieces)), outer) if outer else []
        lo = b.imul(piece, b.i64(strip))
        hi = b.imin_s(b.iadd(lo, b.i64(strip)), b.i64(tiles))
        b.loop(lo, hi, b.i64(1), (), lambda i: one(row, i) or ())  # type: ignore[func-returns-value]
        return job.launch(rows * pieces, schedule="pointwise")
    per = max(1, strip // tiles)  # short rows: a program is several of them
    programs = -(-rows // per)
    first = b.imul(pid, b.i64(per))
    last = b.imin_s(b.iadd(first, b.i64(per)), b.i64(rows))

    def a_row(r):  # type: ignore[no-untyped-def]
        row = job.split(r, outer)
        if tiles == 1:
            one(row, b.i64(0))
        else:
            b.loop(b.i64(0), b.i64(tiles), b.i64(1), (), lambda i: one(row, i) or ())  # type: ignore[func-returns-value]
        return ()

    b.loop(first, last, b.i64(1), (), a_row)
    return job.launch(programs, schedule="pointwise")


def _any_length(job: Job, one: Any, inner: Extent, rows: Extent, outer: list[int], tile: int, strip: int) -> Launch:
    """CPU, rows of a length that is known at run time.  A program is a piece of one row, or several whole ones."""
    b = job.b
    tiles, whole = cdiv(inner, tile), inner // tile
    pieces = cdiv(tiles, strip)
    per: Extent = larger(strip // tiles, 1) if outer else 1
    pid = job.program()
    piece = b.irem_u(pid, b.i64(pieces)) if outer else pid
    lo = b.imul(piece, b.i64(strip))
    hi = b.imin_s(b.iadd(lo, b.i64(strip)), b.i64(tiles))

    def a_row(r: Value) -> tuple[()]:
        row = job.split(r, outer) if outer else []
        b.loop(lo, b.imin_s(hi, b.i64(whole)), b.i64(1), (), lambda i: one(row, i, False) or ())
        if not divides(tile, inner):
            b.when(b.icmp(b.i64(whole), hi, pred="slt"), lambda: one(row, b.i64(whole), True) or ())
        return ()

    if not outer:
        a_row(pid)
        return job.launch(pieces, schedule="pointwise")
    first = b.imul(b.idiv_u(pid, b.i64(pieces)), b.i64(per))
    b.loop(first, b.imin_s(b.iadd(first, b.i64(per)), b.i64(rows)), b.i64(1), (), a_row)
    return job.launch(cdiv(rows, per) * pieces, schedule="pointwise")


def _address(sizes: list[int]) -> ix.Ix:
    return ix.flatten([ix.dim(d) for d in range(len(sizes))], sizes)


def _vector(exprs: list[Expr], sizes: list[int], groups: list[Group], stored: list, facts: DeviceFacts) -> int:  # type: ignore[type-arg]
    """Neighbours per lane: as many as 16 bytes hold, if every access has stride 0 or 1 and starts at a multiple."""
    widest = max([s.type.elem.bytes for s in stored] + [e.elem.bytes for e in walk(exprs) if e.kind == "load"])
    vec = max(1, facts.vector_bits // 8 // widest)
    vec = min(vec, 4)
    inner = groups[-1]
    if not inner.dims:
        return 1
    for e in walk(exprs):
        if e.kind != "load":
            continue
        if not plain(e, sizes):
            return 1
        address = linear(e)
        stride = address.coefficient(inner.dims[-1])
        others = [address.const] + [address.coefficient(g.dims[-1]) for g in groups[:-1]]
        if not same(stride, 0) and (not same(stride, 1) or not all(divides(vec, k) for k in others)):
            return 1
    return vec if divides(vec, inner.size) else 1
