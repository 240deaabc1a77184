"""Reductions: rows (over the last axes) and columns (over one leading axis).  Both follow the canonical orders exactly.

**Rows.**  A row is walked in tiles of 64 elements, which are the 64 accumulators: element j of a chunk of 4096 goes to
accumulator j mod 64.  Absent elements are the identity.  Everything that the cluster does over one row happens in loops over
that row: loop p computes what needs the reductions of loops before p (softmax: max; sum of exp; the quotient).  An expensive value
that a later loop needs again is kept in shared memory (on the CPU: the first-level cache).  CPU: one row per program.  GPU: one
row per warp.

**Columns.**  The lanes go along the last kept dimension, one ascending chain over the reduced one (at most 256 long).
"""
from __future__ import annotations

import math
from collections.abc import Sequence

from ..device import DeviceFacts
from ..extent import Dim, Extent, cdiv, divides, hint_of
from ..instr import Value
from ..lower import index as ix
from ..lower.emit import Place, operands
from ..lower.expr import Expr, walk
from ..lower.fuse import Cluster, Root
from ..lower.prepare import CHUNK
from ..op import Op, op
from ..program import Launch
from ..types import I32, Scalar
from . import short_rows
from .common import WARPS, Job, cost, lanes_for

ACCUMULATORS = 64


class _Rows:
    def __init__(self, name: str, c: Cluster, facts: DeviceFacts) -> None:
        self.c, self.facts = c, facts
        self.stored = [(n, e) for n, e in c.reductions.values() if c.fuser.stored(n)]
        self.order = {id(c.held[i]): k for k, i in enumerate(c.reductions)}
        self.loop_of: dict[int, int] = {}
        exprs = [e for _, e in c.reductions.values()] + [r.expr for r in c.roots]
        buffers = [c.fuser.buffer(n) for n, _ in self.stored] + [c.fuser.buffer(r.node) for r in c.roots]
        self.number_loops(exprs)
        gpu = facts.kind != "cpu"
        self.job = Job(name, facts, exprs, c.sizes, buffers, lanes=lanes_for(facts, exprs), warps=1, keep=[c.split])
        self.row_groups = [g for g, group in enumerate(self.job.groups) if group.dims[0] < c.split]
        self.col = len(self.row_groups)
        self.n = math.prod(c.sizes[c.split :])
        self.rows = math.prod(c.sizes[: c.split])
        self.per = WARPS if gpu and len(self.row_groups) == 1 and not isinstance(self.n, Dim) and (isinstance(self.rows, Dim) or self.rows >= WARPS) else 1
        self.bound: int | None = None  # of a row that is kept, where its length is only known at run time
        self.job.b.warps = self.per
        self.tile = (self.per, ACCUMULATORS) if self.per > 1 else (ACCUMULATORS,)
        self.axis = len(self.tile) - 1
        self.scratch: dict[int, Value] = {}
        self.kept: dict[int, Expr] = {}

    # ---- which loop computes what

    def number_loops(self, roots: Sequence[Expr]) -> None:
        """Loop of an expression: one after the loops of the reductions that it reads; 0 if it reads none."""
        reductions = {id(self.c.held[i]): e for i, (_, e) in self.c.reductions.items()}
        for e in walk(roots):
            level = 0
            for a in operands(e):
                level = max(level, self.loop_of.get(id(a), 0))
            if e.kind == "held":  # operands of reductions come first in `roots`, so their loops are known
                level = self.loop_of[id(reductions[id(e)])] + 1
            self.loop_of[id(e)] = level

    def run(self) -> Launch:
        job, c = self.job, self.c
        b, em = job.b, job.em
        em.tile = self.tile
        pid = job.program()
        if self.per > 1:
            em.places[0] = Place(b.imul(pid, b.i64(self.per)), 0, not divides(self.per, self.rows))
        else:
            for g, offset in zip(self.row_groups, job.split(pid, self.row_groups)):
                em.places[g] = Place(offset)
        reductions = list(c.reductions.values())
        wide = [r for r in c.roots if r.dims == len(c.sizes) and len(c.sizes) > c.split]
        loops = 1 + max([self.loop_of[id(e)] for _, e in reductions] + [self.loop_of[id(r.expr)] for r in wide])
        for p in range(loops):
            here = [(n.id, op(n.attr("fn")), e) for n, e in reductions if self.loop_of[id(e)] == p]
            roots = [r for r in wide if self.loop_of[id(r.expr)] == p]
            keep = self.worth_keeping(p, [e for _, _, e in here] + [r.expr for r in roots], reductions, wide)
            b.loc = c.reductions[here[0][0]][0].loc if here else roots[0].node.loc if roots else b.loc
            em.hoist([e for _, _, e in here] + [r.expr for r in roots], self.col_dims())
            results = self.walk_row([(f, e) for _, f, e in here], roots, keep)
            for (i, _, _), v in zip(here, results):
                em.bind(c.held[i], v)
        for n, _ in self.stored:
            self.store_row(n, c.held[n.id])
        for r in c.roots:
            if r not in wide:
                self.store_row(r.node, r.expr)
        meta = {"schedule": "rows", "warp_axis": "first" if self.per > 1 else None}
        return job.launch(-(-self.rows // self.per), **meta)

    def col_dims(self) -> int:
        return ((1 << len(self.c.sizes)) - 1) & ~((1 << self.c.split) - 1)

    def store_row(self, node: object, e: Expr) -> None:
        c, em = self.c, self.job.em
        rows = c.sizes[: c.split]
        address = ix.flatten([ix.dim(d) for d in range(c.split)], rows)
        dims = (1 << c.split) - 1
        v = em.value(e)
        if self.per > 1:
            v = self.job.b.fit(v, (self.per, 1))
        em.store(c.fuser.buffer(node), address, v, dims)  # type: ignore[arg-type]

    def worth_keeping(self, p: int, now: list[Expr], reductions: list, wide: list[Root]) -> list[Expr]:  # type: ignore[type-arg]
        """Expensive values of this loop that later loops need again, if a row of them fits into shared memory."""
        later = [e for _, e in reductions if self.loop_of[id(e)] > p] + [r.expr for r in wide if self.loop_of[id(r.expr)] > p]
        mine = {id(e) for e in walk(now)}
        found: list[Expr] = []
        seen: set[int] = set()
        stack = list(later)
        while stack:
            e = stack.pop()
            if id(e) in seen or id(e) in self.scratch:
                continue
            seen.add(id(e))
            if id(e) in mine and e.kind == "lane" and e.dims & self.col_dims() and cost([e]) >= 12:
                found.append(e)
                continue
            stack.extend(operands(e))
        room = self.facts.l2_bytes // 2 if self.facts.kind == "cpu" else self.facts.shared_bytes
        each = sum(e.elem.bytes for e in found)
        if isinstance(self.n, Dim) and found:
            self.bound = self.bound or self.longest(room // each)
            return found if self.n <= self.bound and self.bound * each <= room else []
        return found if each * self.padded() * self.per <= room else []

    def longest(self, room: int) -> int:
        """Elements of the longest row that this version keeps: what fits, but on a GPU, where memory is occupancy, a power of two near this call's."""
        if self.facts.kind == "cpu":
            return room // ACCUMULATORS * ACCUMULATORS
        bound = CHUNK // 4
        while bound < hint_of(self.n) and bound * 4 <= room:
            bound *= 2
        return bound

    def padded(self) -> int:
        return self.bound if self.bound is not None else -(-self.n // ACCUMULATORS) * ACCUMULATORS

    # ---- one loop over the row

    def walk_row(self, reductions: list[tuple[Op, Expr]], roots: list[Root], keep: list[Expr]) -> list[Value]:
        b, n = self.job.b, self.n
        if isinstance(n, Dim):
            return self.walk_any(n, reductions, roots, keep)
        full, tail = divmod(n, ACCUMULATORS)
        for e in keep:
            self.scratch[id(e)] = b.shared(e.elem, self.padded() * self.per)
        fresh = {id(e) for e in keep}

        def start() -> list[Value]:
            return [self.identity(f, e.elem) for f, e in reductions]

        def tile(i: Value, accs: Sequence[Value], masked: bool) -> list[Value]:
            return self.one_tile(b.imul(i, b.i64(ACCUMULATORS)), masked, accs, reductions, roots, keep, fresh)

        if not reductions and n >= ACCUMULATORS and self.facts.kind == "cpu":  # nothing to combine: the last tile moves back
            def moved(i: Value) -> tuple[Value, ...]:
                at = b.imin_s(b.imul(i, b.i64(ACCUMULATORS)), b.i64(n - ACCUMULATORS))
                self.one_tile(at, False, (), reductions, roots, keep, fresh)
                return ()

            b.loop(b.i64(0), b.i64(full + (tail > 0)), b.i64(1), (), moved)
            return []
        if n <= CHUNK:
            accs: Sequence[Value] = start()
            if full:
                accs = b.loop(b.i64(0), b.i64(full), b.i64(1), accs, lambda i, *a: tile(i, a, False))
            if tail:
                accs = tile(b.i64(full), accs, True)
            return [self.halve(f, a) for (f, _), a in zip(reductions, accs)]
        return self.chunks(start, tile, reductions, full, tail)

    def walk_any(self, n: Dim, reductions: list[tuple[Op, Expr]], roots: list[Root], keep: list[Expr]) -> list[Value]:
        """A row whose length is only known at run time: whole tiles, then a masked one; chunk by chunk if something is combined."""
        b = self.job.b
        full, masked = n // ACCUMULATORS, not divides(ACCUMULATORS, n)
        for e in keep:
            self.scratch[id(e)] = b.shared(e.elem, self.padded() * self.per)
        fresh = {id(e) for e in keep}

        def tile(i: Value, accs: Sequence[Value], masked: bool) -> list[Value]:
            return self.one_tile(b.imul(i, b.i64(ACCUMULATORS)), masked, accs, reductions, roots, keep, fresh)

        if reductions:
            def start() -> list[Value]:
                return [self.identity(f, e.elem) for f, e in reductions]

            return self.chunks(start, tile, reductions, full, masked)
        b.loop(b.i64(0), b.i64(full), b.i64(1), (), lambda i: tile(i, (), False))
        if masked:
            b.when(b.icmp(b.i64(full * ACCUMULATORS), b.i64(n), pred="slt"), lambda: tile(b.i64(full), (), True))
        return []

    def chunks(self, start, tile, reductions: list[tuple[Op, Expr]], full: Extent, tail: int) -> list[Value]:  # type: ignore[no-untyped-def]
        """More than one chunk of 4096: partial c goes to accumulator c mod 64 of a second set."""
        b = self.job.b
        per, count = CHUNK // ACCUMULATORS, cdiv(self.n, CHUNK)
        any_length = isinstance(self.n, Dim)
        number = b.arange(to=I32, shape=self.tile if len(self.tile) == 1 else (1, ACCUMULATORS), axis=self.axis)

        def chunk(c: Value, *totals: Value) -> list[Value]:
            """Sums of the chunks so far; behind them, where there may be only one, the last partials."""
            lo = b.imul(c, b.i64(per))
            hi = b.imin_s(b.iadd(lo, b.i64(per)), b.i64(full))
            accs = b.loop(lo, hi, b.i64(1), start(), lambda i, *a: tile(i, a, False))
            if tail:
                last = b.icmp(c, b.i64(count - 1), pred="eq")
                if any_length:
                    last = getattr(b, "and")(last, b.icmp(b.i64(full * ACCUMULATORS), b.i64(self.n), pred="slt"))
                accs = b.when(last, lambda: tile(b.i64(full), accs, True), lambda: accs)
            slot = b.itrunc(getattr(b, "and")(c, b.i64(ACCUMULATORS - 1)), to=I32)
            mine = b.fit(b.icmp(number, b.fit(slot, number.type.shape), pred="eq"), self.tile)
            out, partials = [], [self.halve(f, a) for (f, _), a in zip(reductions, accs)]
            for (f, _), p, t in zip(reductions, partials, totals):
                out.append(b.select(mine, b.emit(f, (t, b.fit(p, self.tile))), t))
            return out + partials if any_length else out

        scalars = [b.const(e.elem, 0) for _, e in reductions] if any_length else []
        made = b.loop(b.i64(0), b.i64(count), b.i64(1), [*start(), *scalars], chunk)
        many = len(reductions)
        if not any_length:
            return [self.halve(f, t) for (f, _), t in zip(reductions, made)]
        one = b.icmp(b.i64(count), b.i64(1), pred="eq")
        return list(b.when(one, lambda: made[many:], lambda: [self.halve(f, t) for (f, _), t in zip(reductions, made)]))

    def identity(self, f: Op, elem: Scalar) -> Value:
        b = self.job.b
        assert f.identity is not None
        return b.fit(b.const(elem, f.identity(elem)), self.tile)

    def halve(self, f: Op, acc: Value) -> Value:
        return self.job.b.tile_reduce(acc, fn=f.name, axis=self.axis)  # type: ignore[no-any-return]

    def one_tile(self, at: Value, masked: bool, accs: Sequence[Value], reductions: list[tuple[Op, Expr]], roots: list[Root],
                 keep: list[Expr], fresh: set[int]) -> list[Value]:  # fmt: skip
        job, c = self.job, self.c
        b, em = job.b, job.em
        em.push()
        em.places[self.col] = Place(at, self.axis, masked)
        for i, pointer in self.scratch.items():
            if i not in fresh:
                e = self.kept[i]
                em.bind(e, self.scratch_load(pointer, e.elem, at))
        out = []
        mask = em.in_domain(self.col_dims()) if masked and reductions else None
        for (f, e), acc in zip(reductions, accs):
            v = em.full(em.value(e))
            if mask is not None:
                v = b.select(em.full(mask), v, self.identity(f, e.elem))
            out.append(b.emit(f, (acc, v)))
        for r in roots:
            b.loc = r.node.loc
            address = ix.flatten([ix.dim(d) for d in range(len(c.sizes))], c.sizes)
            em.store(c.fuser.buffer(r.node), address, em.full(em.value(r.expr)), (1 << len(c.sizes)) - 1)
        for e in keep:
            self.kept[id(e)] = e
            self.scratch_store(self.scratch[id(e)], em.full(em.value(e)), at)
        em.pop()
        return out

    def scratch_view(self, pointer: Value, at: Value) -> tuple[Value, tuple[Value, ...], tuple[tuple[int, ...], ...]]:
        b = self.job.b
        if len(self.tile) == 1:
            return b.view(pointer, b.i64(self.padded()), b.i64(1)), (at,), ((1,),)
        view = b.view(pointer, b.i64(self.per), b.i64(self.padded()), b.i64(self.padded()), b.i64(1))
        return view, (b.i64(0), at), ((1, 0), (0, 1))

    def scratch_load(self, pointer: Value, elem: Scalar, at: Value) -> Value:
        view, offsets, index = self.scratch_view(pointer, at)
        return self.job.b.load(view, *offsets, self.job.b.const(elem, 0), index=index, shape=self.tile)  # type: ignore[no-any-return]

    def scratch_store(self, pointer: Value, v: Value, at: Value) -> None:
        view, offsets, index = self.scratch_view(pointer, at)
        self.job.b.store(view, *offsets, v, index=index)


def rows(name: str, c: Cluster, facts: DeviceFacts) -> Launch:
    if short_rows.fits(c, facts):
        return short_rows.short_rows(name, c, facts)
    return _Rows(name, c, facts).run()


def columns(name: str, c: Cluster, facts: DeviceFacts) -> Launch:
    """One chain per column; the cluster's other results are made from the sums while they are at hand."""
    return _Columns(name, c, facts).run()


class _Columns:
    """A program owns a strip of columns.  A narrow strip keeps its sums in registers.  On the CPU a wide one keeps them in shared
    memory (the first-level cache) and walks whole stretches of each row, so that memory is read in order."""

    def __init__(self, name: str, c: Cluster, facts: DeviceFacts) -> None:
        self.c = c
        self.reductions = list(c.reductions.values())
        exprs = [e for _, e in self.reductions] + [r.expr for r in c.roots]
        self.stored = [n for n, _ in self.reductions if c.fuser.stored(n)] + [r.node for r in c.roots]
        cpu = facts.kind == "cpu"
        lanes, warps = lanes_for(facts, exprs), 1 if cpu else WARPS
        self.job = Job(name, facts, exprs, c.sizes, [c.fuser.buffer(n) for n in self.stored], lanes=lanes, warps=warps, keep=[c.split])
        self.kept = [g for g, group in enumerate(self.job.groups) if group.dims[0] < c.split]
        self.count = math.prod(c.sizes[c.split :])
        step = lanes * warps
        self.cols = self.job.groups[self.kept[-1]].size if self.kept else 1
        unroll = max(1, 8 // len(self.reductions)) if cpu else 1
        known = not isinstance(self.cols, Dim)
        self.tile = min(step * unroll, -(-self.cols // step) * step) if known else step * unroll
        self.overlap = cpu and self.cols >= self.tile
        widest = max(e.elem.bytes for _, e in self.reductions)
        room = max(1, facts.shared_bytes // 2 // (widest * len(self.reductions) * self.tile))
        wide = cpu and self.cols > 2 * self.tile
        self.per = (min(room, -(-self.cols // self.tile)) if known else room) if wide else 1  # tiles per strip
        self.job.em.tile = (self.tile,)

    def run(self) -> Launch:
        job, b, em = self.job, self.job.b, self.job.em
        tiles = -(-self.cols // self.tile)
        strips = -(-tiles // self.per)
        pid = job.program()
        strip = b.irem_u(pid, b.i64(strips))
        outer = self.kept[:-1]
        for g, offset in zip(outer, job.split(b.idiv_u(pid, b.i64(strips)), outer) if outer else []):
            em.places[g] = Place(offset)
        if self.per == 1:
            self.place(strip)
            self.finish(b.loop(b.i64(0), b.i64(self.count), b.i64(1), self.start(), self.element, name="k"))
        else:
            self.wide(strip, tiles)
        return job.launch(strips * math.prod(job.groups[g].size for g in outer), schedule="columns")

    def place(self, number: Value) -> None:
        """Column tile `number`; the last one moves back where the strip can overlap itself."""
        if not self.kept:
            return
        b = self.job.b
        at = b.imul(number, b.i64(self.tile))
        ragged = not divides(self.tile, self.cols)
        if self.overlap and ragged:
            at = b.imin_s(at, b.i64(self.cols - self.tile))
        self.job.em.places[self.kept[-1]] = Place(at, 0, not self.overlap and ragged)

    def start(self) -> list[Value]:
        b, out = self.job.b, []
        for n, e in self.reductions:
            identity = op(n.attr("fn")).identity
            assert identity is not None
            out.append(b.fit(b.const(e.elem, identity(e.elem)), self.job.em.tile))
        return out

    def element(self, k: Value, *sums: Value) -> list[Value]:
        """Element k of the chain, combined into the sums."""
        b, em = self.job.b, self.job.em
        em.push()
        em.places[len(self.kept)] = Place(k)
        out = []
        for (n, e), a in zip(self.reductions, sums):
            b.loc = n.loc
            out.append(b.emit(op(n.attr("fn")), (a, em.full(em.value(e)))))
        em.pop()
        return out

    def finish(self, sums: Sequence[Value]) -> None:
        c, b, em = self.c, self.job.b, self.job.em
        em.push()
        for (n, _), v in zip(self.reductions, sums):
            em.bind(c.held[n.id], v)
        shape = c.sizes[: c.split]
        address = ix.flatten([ix.dim(d) for d in range(c.split)], shape)
        for node in self.stored:
            b.loc = node.loc
            expr = c.held[node.id] if node.id in c.held else next(r.expr for r in c.roots if r.node is node)
            em.store(c.fuser.buffer(node), address, em.full(em.value(expr)), (1 << c.split) - 1)
        em.pop()

    def wide(self, strip: Value, tiles: int) -> None:
        """Sums in shared memory: tile t of the strip at t · tile.  A tile that moved back shares columns, not sums."""
        b = self.job.b
        memory = [b.shared(e.elem, self.per * self.tile) for _, e in self.reductions]
        first = b.imul(strip, b.i64(self.per))
        count = b.imin_s(b.isub(b.i64(tiles), first), b.i64(self.per))

        def view(k: int) -> Value:
            return b.view(memory[k], b.i64(self.per * self.tile), b.i64(1))  # type: ignore[no-any-return]

        def load(t: Value) -> list[Value]:
            at = b.imul(t, b.i64(self.tile))
            return [b.load(view(k), at, b.const(e.elem, 0), index=((1,),), shape=(self.tile,)) for k, (_, e) in enumerate(self.reductions)]

        def store(t: Value, values: Sequence[Value]) -> tuple[()]:
            at = b.imul(t, b.i64(self.tile))
            for k, v in enumerate(values):
                b.store(view(k), at, v, index=((1,),))
            return ()

        def tile(k: Value, t: Value) -> tuple[()]:
            self.place(b.iadd(first, t))
            return store(t, self.element(k, *load(t)))

        def row(k: Value) -> tuple[()]:
            b.loop(b.i64(0), count, b.i64(1), (), lambda t: tile(k, t), name="t")
            return ()

        def done(t: Value) -> tuple[()]:
            self.place(b.iadd(first, t))
            self.finish(load(t))
            return ()

        b.loop(b.i64(0), count, b.i64(1), (), lambda t: store(t, self.start()), name="t")
        b.loop(b.i64(0), b.i64(self.count), b.i64(1), (), row, name="k")
        b.loop(b.i64(0), count, b.i64(1), (), done, name="t")
