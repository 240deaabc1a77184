"""Graph → graph, just before scheduling: reductions, scans and contractions brought into the few forms that schedules know.

    argreduce    the extreme, then the lowest index that has it: two reductions over one row
    reduce       row form: the reduced axes are the last ones; or column form: one reduced axis of at most 256, not the last
    long rows    few rows of many elements become chunks of 4096 and a reduction of their partials, which is the canonical order itself
    scan         along the last axis
    contract     [batch, m, k] · [batch, k, n], each group of axes flattened
    empty        anything over zero elements is a literal

Every rewrite gives the same bits: the canonical orders are defined on the logical shape, and these are their definitions.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..extent import Dim, Extent, same
from ..graph import Graph, GraphBuilder, Node
from ..op import op
from ..types import I1, I32, I64, Scalar, array

CHUNK = 4096  # elements of a row that one accumulator set takes
COLUMN_CHUNK = 256
LONG = 1 << 16  # a row from which on it is worth to share it among cores


def prepare(graph: Graph, parallel: int) -> Graph:
    """`parallel`: rows from which on the rows alone keep the device busy."""
    p = _Prepare(parallel)
    inputs = [p.visit(n) for n in graph.inputs]
    for n in graph.nodes:
        p.visit(n)
    return Graph(graph.name, inputs, [p.map[o.id] for o in graph.outputs])


def identity_literal(b: GraphBuilder, fn: str, elem: Scalar, shape: Sequence[Any]) -> Node:
    """What a reduction over nothing gives: the identity, with +0 for sums."""
    identity = op(fn).identity
    assert identity is not None
    value = 0.0 if fn == "fadd" else identity(elem.signless)
    if not elem.is_float and elem.is_unsigned:
        value = int(value) % (1 << elem.bits)
    return b.literal(np.array(value).astype(elem.np), elem, tuple(shape))


class _Prepare:
    def __init__(self, parallel: int) -> None:
        self.b, self.parallel = GraphBuilder(), parallel
        self.map: dict[int, Node] = {}

    def visit(self, n: Node) -> Node:
        found = self.map.get(n.id)
        if found is None:
            self.b.loc = n.loc
            args = [self.map[a.id] for a in n.args]
            rule: Callable[[Node, list[Node]], Node] | None = getattr(self, "_" + n.op.name, None)
            if rule is None or n.op.kind != "form":
                found = self.b.emit(n.op, args, n.attrs, name=n.name)
            else:
                found = rule(n, args)
            self.map[n.id] = found
        return found

    # ---- shape helpers

    def permute(self, x: Node, axes: Sequence[int]) -> Node:
        if list(axes) == list(range(len(axes))):
            return x
        return self.b.permute(x, axes=tuple(axes))  # type: ignore[no-any-return]

    def reshape(self, x: Node, shape: Sequence[Extent]) -> Node:
        return x if x.shape == tuple(shape) else self.b.reshape(x, shape=tuple(shape))

    def part(self, x: Node, axis: int, lo: int, hi: int) -> Node:
        rank = len(x.shape)
        start = tuple(lo if a == axis else 0 for a in range(rank))
        shape = tuple(hi - lo if a == axis else s for a, s in enumerate(x.shape))
        return self.b.slice(x, start=start, step=(1,) * rank, shape=shape)  # type: ignore[no-any-return]

    def whole(self, count: Extent, chunk: int) -> Any:
        """Elements in the chunks that come first; the rest is one more.  Where the count is only known at run time, the rest is never empty."""
        return (count - 1) // chunk * chunk if isinstance(count, Dim) else count // chunk * chunk

    # ---- reductions

    def _reduce(self, n: Node, args: list[Node]) -> Node:
        return self.reduce(args[0], n.attr("fn"), n.attr("axes"))

    def reduce(self, x: Node, fn: str, axes: Sequence[int]) -> Node:
        rank = len(x.shape)
        kept = [a for a in range(rank) if a not in axes]
        out_shape = [x.shape[a] for a in kept]
        axes = sorted(axes)
        if not axes:
            return x
        if 0 in x.shape:
            return identity_literal(self.b, fn, x.elem, out_shape)
        row = rank - 1 in axes
        x = self.permute(x, [*kept, *axes])
        count = math.prod(x.shape[len(kept) :])
        if count == 1:
            return self.reshape(x, out_shape)
        if row:
            return self.rows(x, fn, len(kept), count)
        return self.columns(x, fn, out_shape, count)

    def rows(self, x: Node, fn: str, kept: int, count: Any) -> Node:
        rows = math.prod(x.shape[:kept])
        if count >= LONG and rows < self.parallel or count > CHUNK * CHUNK:
            flat = self.reshape(x, [*x.shape[:kept], count])
            whole = self.whole(count, CHUNK)
            head = self.part(flat, kept, 0, whole) if not same(whole, count) else flat
            partials = self.last(self.reshape(head, [*x.shape[:kept], whole // CHUNK, CHUNK]), fn, 1)
            if not same(whole, count):
                tail = self.last(self.part(flat, kept, whole, count), fn, 1)
                partials = self.b.concat(partials, self.reshape(tail, [*x.shape[:kept], 1]), axis=kept)
            return self.rows(partials, fn, kept, partials.shape[-1])
        return self.last(x, fn, len(x.shape) - kept)

    def last(self, x: Node, fn: str, many: int) -> Node:
        rank = len(x.shape)
        if math.prod(x.shape[rank - many :]) == 1:
            return self.reshape(x, x.shape[: rank - many])
        return self.b.reduce(x, fn=fn, axes=tuple(range(rank - many, rank)))  # type: ignore[no-any-return]

    def columns(self, x: Node, fn: str, out_shape: list[Any], count: Any) -> Node:
        """x is kept axes, then reduced axes.  One chain per chunk of 256, the partials as a row."""
        kept = len(out_shape)
        flat = self.reshape(x, [*out_shape, count])
        if count <= COLUMN_CHUNK:
            return self.b.reduce(self.permute(flat, [kept, *range(kept)]), fn=fn, axes=(0,))  # type: ignore[no-any-return]
        whole = self.whole(count, COLUMN_CHUNK)
        head = self.part(flat, kept, 0, whole) if not same(whole, count) else flat
        chunks = self.reshape(head, [*out_shape, whole // COLUMN_CHUNK, COLUMN_CHUNK])
        # chain over axis kept + 1, which goes first; chunks stay outside the columns
        turned = self.permute(chunks, [kept + 1, kept, *range(kept)])
        partials = self.b.reduce(turned, fn=fn, axes=(0,))
        if not same(whole, count):
            rest = self.permute(self.part(flat, kept, whole, count), [kept, *range(kept)])
            last = self.b.reduce(rest, fn=fn, axes=(0,)) if isinstance(count, Dim) or count - whole > 1 else self.reshape(rest, out_shape)
            partials = self.b.concat(partials, self.reshape(last, [1, *out_shape]), axis=0)
        turned_back = self.permute(partials, [*range(1, kept + 1), 0])
        return self.rows(turned_back, fn, kept, turned_back.shape[-1])

    def _argreduce(self, n: Node, args: list[Node]) -> Node:
        b, x, axis = self.b, args[0], n.attr("axis")
        elem = x.elem
        if x.shape[axis] == 1:
            shape = [s for i, s in enumerate(x.shape) if i != axis]
            return b.literal(0, I64, tuple(shape))
        if elem is I1:
            x = b.zext(x, to=I32)
            elem = I32
        best = n.attr("fn")
        fn = f"f{best}" if elem.is_float else f"i{best}_{'u' if elem.is_unsigned else 's'}"
        extreme = self.spread(self.reduce(x, fn, (axis,)), x.shape, axis)
        if elem.is_float:
            nan = b.fcmp(extreme, extreme, pred="uno")
            hit = b.select(nan, b.fcmp(x, x, pred="uno"), b.fcmp(x, extreme, pred="oeq"))
        else:
            hit = b.icmp(x, extreme, pred="eq")
        count = x.shape[axis]
        wide = I32 if count < 1 << 31 else I64
        number = b.emit(op("iota"), (), (("axis", axis), ("type", array(wide, x.shape))))
        index = self.reduce(b.select(hit, number, b.const(array(wide, x.shape), count)), "imin_s", (axis,))
        return index if wide is I64 else b.sext(index, to=I64)

    def spread(self, r: Node, shape: Sequence[int], axis: int) -> Node:
        """A reduction's result repeated along the axis again."""
        keep = [1 if i == axis else s for i, s in enumerate(shape)]
        return self.b.broadcast(self.reshape(r, keep), shape=tuple(shape))  # type: ignore[no-any-return]

    # ---- scans and contractions

    def _scan(self, n: Node, args: list[Node]) -> Node:
        x, axis = args[0], n.attr("axis")
        if 0 in x.shape or x.shape[axis] == 1:
            return x
        rank = len(x.shape)
        order = [a for a in range(rank) if a != axis] + [axis]
        moved = self.permute(x, order)
        flat = self.reshape(moved, [math.prod(moved.shape[:-1]), moved.shape[-1]])
        done = self.reshape(self.b.scan(flat, fn=n.attr("fn"), axis=1), moved.shape)
        return self.permute(done, [order.index(a) for a in range(rank)])

    def _contract(self, n: Node, args: list[Node]) -> Node:
        b = self.b
        x, y = args
        (bx, by), lx, ly, acc = n.attr("batch"), n.attr("lhs"), n.attr("rhs"), n.attr("acc")
        free_x = [a for a in range(len(x.shape)) if a not in bx and a not in lx]
        free_y = [a for a in range(len(y.shape)) if a not in by and a not in ly]

        def size(v: Node, axes: Sequence[int]) -> list[int]:
            return [v.shape[a] for a in axes]

        out = size(x, bx) + size(x, free_x) + size(y, free_y)
        if 0 in x.shape or 0 in y.shape or not lx and math.prod(out) == 0:
            return b.literal(np.zeros((), acc.np), acc, tuple(out))
        prod = math.prod
        left = self.reshape(self.permute(x, [*bx, *free_x, *lx]), [prod(size(x, bx)), prod(size(x, free_x)), prod(size(x, lx))])
        right = self.reshape(self.permute(y, [*by, *ly, *free_y]), [prod(size(y, by)), prod(size(y, ly)), prod(size(y, free_y))])
        if right.shape[2] == 1 and left.shape[1] > 1:  # the lanes go along the last dimension: let it be the long one
            left, right = self.permute(right, (0, 2, 1)), self.permute(left, (0, 2, 1))
        done = b.contract(left, right, batch=((0,), (0,)), lhs=(2,), rhs=(1,), acc=acc)
        return self.reshape(done, out)
