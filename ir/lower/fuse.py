"""Fusion: which nodes of a prepared graph share a kernel.

A **sink** is a node that a kernel has to produce: outputs, reductions, scans, contractions, what loops and scatters need, and the
cuts that keep kernels small.  Everything else is inlined into the sinks that use it.  Sinks are gathered into **clusters**, one
kernel each:

    pointwise  elementwise results of one shape
    row        reductions over trailing axes, and everything over the same rows: softmax and layernorm are one cluster
    column     reductions over one leading axis
    contract   a matrix product and the elementwise work on its result
    scan, scatter, loop, check      on their own

A sink joins a cluster if all that it reads was made by earlier clusters, or is held by this one at the very same point of the
domain.  `Cluster.why` records each decision; `ptxjit show --why` prints them.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import BugError
from ..graph import Graph, Node
from ..op import op
from ..program import Buffer
from . import index as ix
from .emit import linear, merge, plain
from .expr import VIEWS, Coords, Expr, Materialise, Resolver, is_elementwise, walk

CAP = 256  # inlined ops per sink; longer chains are cut
SHARED_COST = 24  # a node of that cost with several users is computed once
HEAVY = frozenset("reduce scan contract scatter loop".split())


class NotHere(Exception):
    """The sink being resolved cannot live in this cluster."""


class Root:
    """A node that a cluster stores: its expression and the shape in which the domain sees it."""

    __slots__ = ("node", "expr", "dims", "buffer")

    def __init__(self, node: Node, expr: Expr, dims: int) -> None:
        self.node, self.expr, self.dims = node, expr, dims
        self.buffer: Buffer | None = None


class Cluster:
    """One kernel to be: kind, domain sizes (kept dimensions first, reduced ones after `split`), roots and reductions."""

    def __init__(self, kind: str, number: int, sizes: Sequence[int], split: int, fuser: Fuser) -> None:
        self.kind, self.number, self.sizes, self.split = kind, number, list(sizes), split
        self.roots: list[Root] = []
        self.reductions: dict[int, tuple[Node, Expr]] = {}  # node id → node and operand
        self.held: dict[int, Expr] = {}
        self.operands: list[Expr] = []  # contract: left and right
        self.unit: Any = None  # contract: the matrix unit that makes it (`schedules.matrix_units.Choice`)
        self.node: Node | None = None
        self.why: list[str] = []
        self.touched = False
        self.current = -1  # the sink that is being resolved for this cluster
        self.fuser = fuser
        self.resolver = Resolver(self.sizes, self.source, fuser.const_buffer)

    def identity(self, shape: Sequence[int], first: int, last: int) -> Coords | None:
        """Coordinates under which an array of that shape lies along dimensions [first, last) of the domain; None if it does not."""
        out, d = [], first
        for n in shape:
            if n == 1:
                out.append(ix.ZERO)
            elif d < last and n == self.sizes[d]:
                out.append(ix.dim(d))
                d += 1
            else:
                return None
        return tuple(out) if d == last else None

    def source(self, n: Node, coords: Coords) -> Expr | None:
        f = self.fuser
        if n.id in self.held:
            if coords != self.identity(n.shape, 0, self.split):
                raise NotHere
            self.touched = True
            return self.held[n.id]
        if n.id not in f.made:
            if n.id in f.sinks and n.id != self.current:
                raise BugError(f"{n} is read before it is scheduled", place=n.loc)
            return None
        made = f.made[n.id]
        if made is not None:
            if made is self:
                for r in self.roots:
                    if r.node is n and coords == self.identity(n.shape, 0, r.dims):
                        self.touched = True
                        return r.expr
                raise NotHere
            if made.number >= self.number:
                raise NotHere
        return self.resolver.load(f.buffer(n), n.elem.signless, coords, n)

    @property
    def size(self) -> int:
        return math.prod(self.sizes)


class Fuser:
    """Clusters for one graph.  `memory` maps the ids of nodes that already lie in memory (inputs) to buffers.

    `new_buffer(node)` makes a temporary, `const_buffer(literal)` a constant; `unit(accumulator, operands, (batch, m, n, k))` is the matrix unit for a
    product, or None.
    """

    def __init__(self, graph: Graph, memory: dict[int, Buffer], new_buffer: Callable[[Node], Buffer],
                 const_buffer: Callable[[Node], Buffer], unit: Callable[..., Any] = lambda *_: None) -> None:  # fmt: skip
        self.graph, self.new_buffer, self.const_buffer, self.unit = graph, new_buffer, const_buffer, unit
        self.memory = memory
        self.sinks: set[int] = set()
        self.made: dict[int, Cluster | None] = {}
        self.buffers: dict[int, Buffer] = {}
        self.clusters: list[Cluster] = []

    def buffer(self, n: Node) -> Buffer:
        found = self.memory.get(n.id) or self.buffers.get(n.id)
        if found is None:
            found = self.buffers[n.id] = self.new_buffer(n)
        return found

    def run(self) -> list[Cluster]:
        self.sinks = self.find_sinks()
        while True:
            try:
                self.attempt()
                return self.clusters
            except Materialise as m:
                if m.node.id in self.sinks:
                    raise BugError(f"{m.node} cannot be put in memory", place=m.node.loc) from None
                self.sinks.add(m.node.id)

    # ---- sinks

    def find_sinks(self) -> set[int]:
        g = self.graph
        sinks = {o.id for o in g.outputs}
        users: dict[int, list[Node]] = {}
        for n in g.nodes:
            for a in n.args:
                users.setdefault(a.id, []).append(n)
        for n in g.nodes:
            if n.op.name in HEAVY or n.op.name == "item":
                sinks.add(n.id)
            if n.op.name in ("scatter", "loop"):
                sinks.update(a.id for a in n.args)
            if n.op.name == "check":
                sinks.add(n.args[0].id)
            if n.op.name in ("scan", "contract"):
                sinks.update(a.id for a in n.args if self.cost_above(a, 8))
            if n.op.name in ("take", "take_elements") and self.cost_above(n.args[0], 4):
                sinks.add(n.args[0].id)
        # shared work, and cuts: the set of inlined ops under each node
        under: dict[int, frozenset[int]] = {}
        for n in g.nodes:
            if n.id in sinks or n.op.name == "input":
                ops = self.gathered(n, under, sinks)
                under[n.id] = frozenset()
            else:
                ops = self.gathered(n, under, sinks)
                under[n.id] = ops
            if len(ops) > CAP:
                widest = max(n.args, key=lambda a: len(under[a.id]))
                sinks.add(widest.id)
                under[widest.id] = frozenset()
                under[n.id] = frozenset() if n.id in sinks else self.gathered(n, under, sinks)
        for n in g.nodes:
            if n.id not in sinks and n.op.name not in ("input", "literal", "iota") and self.repeats(n, users) and self.cost_above(n, SHARED_COST):
                sinks.add(n.id)
        return sinks

    def gathered(self, n: Node, under: dict[int, frozenset[int]], sinks: set[int]) -> frozenset[int]:
        if not n.args:
            return frozenset()
        sets = [under[a.id] for a in n.args]
        big = max(sets, key=len)
        own = {n.id} if is_elementwise(n) or n.op.name not in VIEWS else set()
        return big.union(own, *(s for s in sets if s is not big))

    def repeats(self, n: Node, users: dict[int, list[Node]]) -> bool:
        """Several users of which one reads other points than its own: a stencil, a pad, a concat."""
        mine = users.get(n.id, [])
        return len(mine) > 1 and sum(u.op.name in ("slice", "pad", "concat", "take") for u in mine) > 1

    def cost_above(self, n: Node, limit: int) -> bool:
        """Whether computing one element of n inline costs more than `limit` ops."""
        total, stack, seen = 0, [n], set()
        while stack:
            x = stack.pop()
            if x.id in seen or x.id in self.memory:
                continue
            seen.add(x.id)
            if x.op.kind == "math":
                total += 12
            elif x.op.kind == "lane":
                total += 1
            elif x.op.name in ("concat", "pad"):
                total += 3
            elif x.op.name in HEAVY:
                continue
            if total > limit:
                return True
            stack.extend(x.args)
        return False

    # ---- clusters

    def attempt(self) -> None:
        self.made = {id_: None for id_ in self.memory}
        self.clusters = []
        for n in self.graph.nodes:
            if n.op.name == "check":
                self.buffer(n.args[0])
                self.alone("check", n)
            if n.id in self.sinks and n.id not in self.memory:
                self.place(n)

    def new(self, kind: str, sizes: Sequence[int], split: int) -> Cluster:
        c = Cluster(kind, len(self.clusters), [s for s in sizes], split, self)
        self.clusters.append(c)
        return c

    def alone(self, kind: str, n: Node) -> Cluster:
        c = self.new(kind, [s for s in n.shape if s != 1], 0)
        c.node = n
        return c

    def place(self, n: Node) -> None:
        name = n.op.name
        if name == "reduce":
            self.place_reduction(n)
        elif name == "contract":
            self.place_contract(n)
        elif name == "scan":
            c = self.new("scan", n.shape, 1)
            c.node = n
            c.operands = [c.resolver.resolve(n.args[0], (ix.dim(0), ix.dim(1)))]
            self.made[n.id] = c
        elif name in ("scatter", "loop"):
            for a in n.args:  # they have to lie in memory: asked for now, before their kernels are written
                self.buffer(a)
            self.made[n.id] = self.alone(name, n)
        elif name == "item":
            self.made[n.id] = self.made[n.args[0].id]
        elif 0 in n.shape:
            self.made[n.id] = None
        else:
            self.place_pointwise(n)

    def place_reduction(self, n: Node) -> None:
        x, axes = n.args[0], n.attr("axes")
        kept = [s for a, s in enumerate(x.shape) if a not in axes and s != 1]
        reduced = [x.shape[a] for a in axes if x.shape[a] != 1]
        row = len(x.shape) - 1 in axes
        kind = "row" if row else "column"
        sizes = [*kept, *reduced]
        for c in reversed(self.clusters):
            if c.kind == kind and c.sizes == sizes and c.split == len(kept) and self.join_reduction(c, n, kind):
                return
        c = self.new(kind, sizes, len(kept))
        if not self.join_reduction(c, n, kind, first=True):
            raise BugError(f"{n} found no kernel", place=n.loc)

    def operand_coords(self, c: Cluster, n: Node) -> Coords:
        x, axes = n.args[0], n.attr("axes")
        kept, reduced = iter(range(c.split)), iter(range(c.split, len(c.sizes)))
        return tuple(ix.ZERO if s == 1 else ix.dim(next(reduced) if a in axes else next(kept)) for a, s in enumerate(x.shape))

    def join_reduction(self, c: Cluster, n: Node, kind: str, first: bool = False) -> bool:
        c.touched = False
        try:
            operand = c.resolver.resolve(n.args[0], self.operand_coords(c, n))
        except NotHere:
            return False
        if not first and not c.touched and not self.shares(c, [operand]):
            return False
        if kind == "column" and c.touched:
            return False
        if not self.one_line(c, [operand]):
            if first and n.args[0].id not in self.sinks:
                raise Materialise(n.args[0])
            return False
        c.reductions[n.id] = (n, operand)
        rows = (1 << c.split) - 1
        c.held[n.id] = Expr("held", n.elem.signless, rows, node=n, loc=n.loc, name=n.name)
        c.why.append(f"{n.name or n.op.name} of {n.attr('fn')}: " + ("opens the kernel" if first else "same rows as the kernel before it"))
        self.made[n.id] = c
        return True

    def one_line(self, c: Cluster, more: Sequence[Expr]) -> bool:
        """Whether the reduced dimensions are walked as one by everything in the cluster."""
        mine = [e for _, e in c.reductions.values()] + [r.expr for r in c.roots if r.dims == len(c.sizes)]
        return sum(g.dims[0] >= c.split for g in merge([*mine, *more], c.sizes, [c.split])) <= 1

    def shares(self, c: Cluster, exprs: Sequence[Expr]) -> bool:
        mine = [e for _, e in c.reductions.values()] + [r.expr for r in c.roots]
        have = {(e.buffer.name, e.coords) for e in walk(mine) if e.kind == "load"}
        return any((e.buffer.name, e.coords) in have for e in walk(exprs) if e.kind == "load")

    def place_contract(self, n: Node) -> None:
        """Domain: batch, m, n (those that are not 1), then k."""
        batch, m, k = n.args[0].shape
        cols = n.args[1].shape[2]
        outer = [s for s in (batch, m, cols) if s != 1]
        c = self.new("contract", [*outer, k], len(outer))
        free = iter(range(len(outer)))
        at_b, at_m, at_n = (ix.dim(next(free)) if s != 1 else ix.ZERO for s in (batch, m, cols))
        at_k = ix.dim(len(outer))
        acc = n.attr("acc").signless
        for x, coords in ((n.args[0], (at_b, at_m, at_k)), (n.args[1], (at_b, at_k, at_n))):
            e = c.resolver.resolve(x, coords)
            if e.elem is not acc:
                convert = "fcvt" if acc.is_float else "sext"
                e = c.resolver.lane(op(convert), (("to", acc),), (e,), n.loc)
            c.operands.append(e)
        right = c.operands[1]
        c.unit = self.unit(acc, c.operands, (batch, m, cols, k))
        if c.unit is not None:
            c.why.append(f"{n.name or n.op.name}: made by the matrix unit {c.unit.unit.name}")
        elif cols != 1 and n.args[1].id not in self.sinks and any(
            e.kind == "load" and (not plain(e, c.sizes) or linear(e).coefficient(len(outer) - 1) not in (0, 1)) for e in walk([right])
        ):  # fmt: skip
            raise Materialise(n.args[1])  # the lanes go along n: its rows must be contiguous
        c.node = n
        c.held[n.id] = Expr("held", n.elem.signless, (1 << len(outer)) - 1, node=n, loc=n.loc, name=n.name)
        self.made[n.id] = c

    def place_pointwise(self, n: Node) -> None:
        sizes = [s for s in n.shape if s != 1]
        for c in reversed(self.clusters):
            if c.kind in ("row", "pointwise") and c.sizes == sizes or c.kind in ("row", "contract") and c.sizes[: c.split] == sizes:
                if self.join_pointwise(c, n, sizes):
                    return
        c = self.new("pointwise", sizes, 0)
        c.split = len(sizes)
        if not self.join_pointwise(c, n, sizes, first=True):
            raise BugError(f"{n} found no kernel", place=n.loc)

    def join_pointwise(self, c: Cluster, n: Node, sizes: list[int], first: bool = False) -> bool:
        last = len(c.sizes) if c.sizes == sizes and c.kind != "contract" else c.split
        coords = c.identity(n.shape, 0, last)
        if coords is None:
            return False
        c.touched, c.current = False, n.id
        try:
            expr = c.resolver.resolve(n, coords)
        except NotHere:
            return False
        if not first and not c.touched and not (c.kind == "pointwise" and self.shares(c, [expr])):
            return False
        if c.kind == "row" and last == len(c.sizes) and not self.one_line(c, [expr]):
            return False
        c.roots.append(Root(n, expr, last))
        c.why.append(f"{n.name or n.op.name}: " + ("opens the kernel" if first else f"works on what this {c.kind} kernel holds"))
        self.made[n.id] = c
        return True

    def stored(self, n: Node) -> bool:
        """Whether a reduction or product has to go to memory (an output, or read by another kernel)."""
        return n.id in self.buffers or any(o.id == n.id for o in self.graph.outputs)
