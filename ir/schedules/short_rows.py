"""Rows of at most 64 elements: the lanes go across the rows, and each row's reduction is an unrolled tree in one lane.

The canonical order of such a row is halving alone (element j is accumulator j, absent ones change nothing), so the tree is written
out.  Used where rows are very short, or where neighbouring rows and not neighbouring elements lie side by side in memory.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

from ..device import DeviceFacts
from ..extent import Dim, divides, same
from ..instr import Value
from ..lower import index as ix
from ..lower.emit import Place, linear, merge, plain
from ..lower.expr import Expr, walk
from ..lower.fuse import Cluster
from ..op import Op, op
from ..program import Launch
from .common import WARPS, Job, cost, lanes_for

ACCUMULATORS = 64
SHORT = 16
UNROLLED_COST = 1500


def fits(c: Cluster, facts: DeviceFacts) -> bool:
    """Whether this schedule is the better one for a cluster of rows."""
    n = math.prod(c.sizes[c.split :])
    if isinstance(n, Dim):
        return False
    exprs = [e for _, e in c.reductions.values()] + [r.expr for r in c.roots]
    groups = merge(exprs, c.sizes, [c.split])
    rows = [g for g in groups if g.dims[0] < c.split]
    if n > ACCUMULATORS or not rows or not isinstance(rows[-1].size, Dim) and rows[-1].size < lanes_for(facts, exprs) or n * max(cost(exprs), 1) > UNROLLED_COST:
        return False
    loads = [e for e in walk(exprs) if e.kind == "load" and plain(e, c.sizes)]
    across = all(same(k, 0) or same(k, 1) for k in (linear(e).coefficient(rows[-1].dims[-1]) for e in loads))
    return n <= SHORT or across


def short_rows(name: str, c: Cluster, facts: DeviceFacts) -> Launch:
    return _ShortRows(name, c, facts).run()


class _ShortRows:
    def __init__(self, name: str, c: Cluster, facts: DeviceFacts) -> None:
        self.c, self.n = c, math.prod(c.sizes[c.split :])
        self.stored = [n for n, _ in c.reductions.values() if c.fuser.stored(n)]
        exprs = [e for _, e in c.reductions.values()] + [r.expr for r in c.roots]
        lanes = lanes_for(facts, exprs)
        warps = 1 if facts.kind == "cpu" else WARPS
        buffers = [c.fuser.buffer(n) for n in self.stored] + [c.fuser.buffer(r.node) for r in c.roots]
        self.job = Job(name, facts, exprs, c.sizes, buffers, lanes=lanes, warps=warps, keep=[c.split])
        self.rows = [g for g, group in enumerate(self.job.groups) if group.dims[0] < c.split]
        self.wide = [r for r in c.roots if r.dims == len(c.sizes) and len(c.sizes) > c.split]
        inner = self.job.groups[self.rows[-1]].size
        step = lanes * warps
        self.job.em.tile = (step,)
        self.overlap = facts.kind == "cpu" and not isinstance(inner, Dim)
        self.tiles, self.step, self.inner = -(-inner // step), step, inner
        self.element: list[dict[int, Value]] = [{} for _ in range(self.n)]

    def run(self) -> Launch:
        job, c = self.job, self.c
        b, em = job.b, job.em
        pid = job.program()
        at = b.imul(b.irem_u(pid, b.i64(self.tiles)), b.i64(self.step))
        tail = not divides(self.step, self.inner)
        if tail and self.overlap:
            at, tail = b.imin_s(at, b.i64(self.inner - self.step)), False
        outer = self.rows[:-1]
        for g, offset in zip(outer, job.split(b.idiv_u(pid, b.i64(self.tiles)), outer) if outer else []):
            em.places[g] = Place(offset)
        em.places[self.rows[-1]] = Place(at, 0, tail)
        for i, (n, e) in c.reductions.items():
            b.loc = n.loc
            em.bind(c.held[i], self.tree(op(n.attr("fn")), e))
        for r in self.wide:
            b.loc = r.node.loc
            address = ix.flatten([ix.dim(d) for d in range(len(c.sizes))], c.sizes)
            for j in range(self.n):
                self.at(j)
                em.store(c.fuser.buffer(r.node), address, em.full(em.value(r.expr)), (1 << len(c.sizes)) - 1)
                em.pop()
        address = ix.flatten([ix.dim(d) for d in range(c.split)], c.sizes[: c.split])
        results = [(n, c.held[n.id]) for n in self.stored] + [(r.node, r.expr) for r in c.roots if r not in self.wide]
        for node, e in results:
            b.loc = node.loc
            em.store(c.fuser.buffer(node), address, em.full(em.value(e)), (1 << c.split) - 1)
        return job.launch(self.tiles * math.prod(job.groups[g].size for g in outer), schedule="short rows")

    def at(self, j: int) -> None:
        """Continues with element j of the row; what was computed for it before is still known."""
        em = self.job.em
        em.resume(self.element[j])
        em.places[len(self.rows)] = Place(self.job.b.i64(j))

    def tree(self, fn: Op, e: Expr) -> Value:
        em = self.job.em
        values: list[Value | None] = []
        for j in range(self.n):
            self.at(j)
            values.append(em.full(em.value(e)))
            em.pop()
        return self.halve(fn, values + [None] * (ACCUMULATORS - self.n))

    def halve(self, fn: Op, values: Sequence[Value | None]) -> Value:
        while len(values) > 1:
            half = len(values) // 2
            low, high = values[:half], values[half:]
            values = [a if a is None or b is None else self.job.b.emit(fn, (a, b)) for a, b in zip(low, high)]
        assert values[0] is not None
        return values[0]
