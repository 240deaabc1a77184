"""What one point of a kernel's domain computes: array nodes resolved to scalar expressions over loads.

`Resolver.resolve(node, coords)` pulls a node's element at `coords` down through every op that can be inlined: elementwise ops
become lane expressions, shape ops only change the coordinates, and what lies in memory becomes a load.  Expressions are
interned, so common work is done once.  Nothing recurses: the walk is a trampoline of generators.
"""
from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from ..errors import BugError
from ..extent import Dim, Extent, below, key_of, same
from ..graph import Node, literal_value
from ..loc import Loc
from ..op import Attrs, Op, op
from ..program import Flat
from ..types import I1, I32, I64, Scalar
from . import index as ix
from .index import Atom, Ix


class Expr:
    """One value per domain point.

    kind 'lane'    op, attrs, args                     'const'  value
         'load'    buffer, coords (Ix per buffer dim), fill or None: with a fill, coordinates outside give it
         'index'   coords[0] as a number               'inside' i1: lo ≤ coords[0] < hi
         'held'    the value that a schedule holds for `node` (a row's reduction, an accumulator)
    """

    __slots__ = ("kind", "elem", "op", "attrs", "args", "dims", "coords", "buffer", "value", "node", "loc", "name", "cost")

    def __init__(self, kind: str, elem: Scalar, dims: int, *, op: Op | None = None, attrs: Attrs = (), args: tuple[Expr, ...] = (),
                 coords: tuple[Ix, ...] = (), buffer: Any = None, value: Any = None, node: Node | None = None,
                 loc: Loc | None = None, name: str = "") -> None:  # fmt: skip
        self.kind, self.elem, self.dims, self.op, self.attrs, self.args = kind, elem, dims, op, attrs, args
        self.coords, self.buffer, self.value, self.node, self.loc, self.name = coords, buffer, value, node, loc, name
        self.cost = 12 if op is not None and op.kind == "math" else 1

    def __repr__(self) -> str:
        return f"<{self.kind} {self.op or self.buffer or self.node or ''}>"


class Materialise(Exception):
    """Resolving asks that `node` be put in memory first."""

    def __init__(self, node: Node) -> None:
        self.node = node
        super().__init__(repr(node))


Coords = tuple[Ix, ...]
Step = Generator[tuple[Node, Coords], Expr, Expr]

VIEWS = frozenset("broadcast reshape permute slice".split())
INLINE = VIEWS | frozenset("literal extent iota concat pad take take_elements check".split())


def is_elementwise(n: Node) -> bool:
    return n.op.kind in ("lane", "math")


class Resolver:
    """Resolves nodes over one domain.

    sizes         of the domain's dimensions
    source        called first with (node, coords): the Expr of what lies in memory or is held, or None to inline the node
    const_buffer  the buffer of a literal array
    """

    def __init__(self, sizes: Sequence[int], source: Callable[[Node, Coords], Expr | None], const_buffer: Callable[[Node], Any]) -> None:
        self.sizes, self.source, self.const_buffer = list(sizes), source, const_buffer
        self._memo: dict[Any, Expr] = {}
        self._interned: dict[Any, Expr] = {}

    # ---- making expressions

    def intern(self, kind: str, elem: Scalar, key: Any, make: Callable[[], Expr]) -> Expr:
        found = self._interned.get((kind, elem, key))
        if found is None:
            found = self._interned[(kind, elem, key)] = make()
        return found

    def lane(self, o: Op, attrs: Attrs, args: tuple[Expr, ...], loc: Loc | None = None, name: str = "") -> Expr:
        elem = o.infer(tuple(a.elem for a in args), attrs)[0].elem
        dims = 0
        for a in args:
            dims |= a.dims
        key = (o, attrs, tuple(id(a) for a in args))
        return self.intern("lane", elem, key, lambda: Expr("lane", elem, dims, op=o, attrs=attrs, args=args, loc=loc, name=name))

    def const(self, elem: Scalar, value: Any) -> Expr:
        value = float(value) if elem.is_float else bool(value) if elem is I1 else int(value)
        key = value.hex() if isinstance(value, float) else value
        return self.intern("const", elem, key, lambda: Expr("const", elem, 0, value=value))

    def load(self, buffer: Any, elem: Scalar, coords: Coords, node: Node | None = None) -> Expr:
        if not all(c.affine for c in coords):  # a reshape of what was computed: in memory it is one line, where quotients and remainders cancel
            line = ix.joined(ix.flatten(coords, buffer.type.shape))
            ends = [ix.bounds(c, self.sizes) for c in coords]
            if line.affine and all(below(-1, lo) and below(hi, n) for (lo, hi), n in zip(ends, buffer.type.shape)):
                buffer, coords = Flat(buffer), (line,)
        dims = 0
        for c in coords:
            dims |= c.dims
        name = node.name if node is not None else ""
        return self.intern("load", elem, (buffer.name, coords), lambda: Expr("load", elem, dims, buffer=buffer, coords=coords, name=name, node=node))

    def index(self, i: Ix, elem: Scalar) -> Expr:
        return self.intern("index", elem, i, lambda: Expr("index", elem, i.dims, coords=(i,)))

    def inside(self, i: Ix, n: Extent) -> Expr | None:
        """i1 that 0 ≤ i < n, or None where that is certain."""
        lo, hi = ix.bounds(i, self.sizes)
        if below(-1, lo) and below(hi, n):
            return None
        return self.intern("inside", I1, (i, key_of(n)), lambda: Expr("inside", I1, i.dims, coords=(i,), value=(0, n)))

    # ---- the walk

    def resolve(self, node: Node, coords: Coords) -> Expr:
        key = (node.id, coords)
        found = self._memo.get(key)
        if found is not None:
            return found
        stack: list[tuple[Any, Step]] = [(key, self._step(node, coords))]
        reply: Expr | None = None
        while stack:
            key, walk = stack[-1]
            try:
                want = walk.send(reply)  # type: ignore[arg-type]
            except StopIteration as done:
                reply = self._memo[key] = done.value
                stack.pop()
                continue
            key = (want[0].id, want[1])
            reply = self._memo.get(key)
            if reply is None:
                stack.append((key, self._step(*want)))
        assert reply is not None
        return reply

    def _step(self, n: Node, coords: Coords) -> Step:
        found = self.source(n, coords)
        if found is not None:
            return found
        if is_elementwise(n):
            args = []
            for a in n.args:
                args.append((yield a, coords))
            attrs = tuple((k, v.signless if isinstance(v, Scalar) else v) for k, v in n.attrs)
            return self.lane(n.op, attrs, tuple(args), n.loc, n.name)
        rule = getattr(self, "_" + n.op.name, None)
        if rule is None or n.op.name not in INLINE:
            raise BugError(f"{n} was not scheduled before its use", place=n.loc)
        return (yield from rule(n, coords))  # type: ignore[no-any-return]

    def _literal(self, n: Node, coords: Coords) -> Step:
        value = literal_value(n)
        if value.ndim == 0:
            return self.const(n.elem.signless, value.item() if not n.elem.is_float else float(value))
        return self.load(self.const_buffer(n), n.elem.signless, coords, n)
        yield  # pragma: no cover - makes this a generator

    def _extent(self, n: Node, coords: Coords) -> Step:
        return self.index(Ix(n.attr("value")), I64)
        yield  # pragma: no cover

    def _iota(self, n: Node, coords: Coords) -> Step:
        i = coords[n.attr("axis")]
        elem = n.elem.signless
        if elem.is_float:
            wide = I32 if ix.bounds(i, self.sizes)[1] < 1 << 31 else I64
            return self.lane(op("stof"), (("to", elem),), (self.index(i, wide),), n.loc)
        return self.index(i, elem)
        yield  # pragma: no cover

    def _broadcast(self, n: Node, coords: Coords) -> Step:
        inner = n.args[0].shape
        skip = len(n.shape) - len(inner)
        return (yield n.args[0], tuple(ix.ZERO if s == 1 else c for s, c in zip(inner, coords[skip:])))

    def _reshape(self, n: Node, coords: Coords) -> Step:
        try:
            inner = ix.reshape(coords, n.shape, n.args[0].shape, self.sizes)
        except ix.NegativeIndex:
            raise Materialise(n) from None
        if not all(c.affine for c in inner) and all(c.affine for c in coords):
            found = self.source(n.args[0], inner)
            if found is not None and found.kind == "load":  # in memory it is one line already: quotients and remainders cancel
                return self.load(Flat(found.buffer), found.elem, (ix.flatten(coords, n.shape),), n.args[0])
        return (yield n.args[0], inner)

    def _permute(self, n: Node, coords: Coords) -> Step:
        inner: list[Ix] = [ix.ZERO] * len(coords)
        for c, a in zip(coords, n.attr("axes")):
            inner[a] = c
        return (yield n.args[0], tuple(inner))

    def _slice(self, n: Node, coords: Coords) -> Step:
        return (yield n.args[0], tuple(ix.shift(ix.scale(c, k), s) for c, s, k in zip(coords, n.attr("start"), n.attr("step"))))

    def _check(self, n: Node, coords: Coords) -> Step:
        return (yield n.args[1], coords)

    def _concat(self, n: Node, coords: Coords) -> Step:
        axis, at = n.attr("axis"), 0
        result: Expr | None = None
        for a in n.args:
            if same(a.shape[axis], 0):
                continue
            c = ix.shift(coords[axis], -at)
            inside = self.inside(c, a.shape[axis])
            part = yield a, (*coords[:axis], c, *coords[axis + 1 :])
            if result is None or inside is None:
                result = part
            else:
                result = self.lane(op("select"), (), (inside, part, result), n.loc)
            at += a.shape[axis]
        assert result is not None
        return result

    def _pad(self, n: Node, coords: Coords) -> Step:
        inner = tuple(ix.shift(c, -lo) for c, lo in zip(coords, n.attr("low")))
        fill = yield n.args[1], ()
        masks = [m for m in (self.inside(c, s) for c, s in zip(inner, n.args[0].shape)) if m is not None]
        if 0 in n.args[0].shape:
            return fill
        result = yield n.args[0], inner
        if masks:
            both = masks[0]
            for m in masks[1:]:
                both = self.lane(op("and"), (), (both, m), n.loc)
            result = self.lane(op("select"), (), (both, result, fill), n.loc)
        return result

    def _clamped(self, i: Expr, n: Extent) -> Ix:
        wide = i if i.elem is I64 else self.lane(op("sext"), (("to", I64),), (i,))
        low = self.lane(op("imax_s"), (), (wide, self.const(I64, 0)))
        high = self.lane(op("imin_s"), (), (low, self.index(Ix(n - 1), I64) if isinstance(n, Dim) else self.const(I64, n - 1)))
        return Ix(0, ((Atom("value", n, expr=high), 1),))

    def _take(self, n: Node, coords: Coords) -> Step:
        x, index, axis = n.args[0], n.args[1], n.attr("axis")
        rank = len(index.shape)
        i = yield index, coords[axis : axis + rank]
        return (yield x, (*coords[:axis], self._clamped(i, x.shape[axis]), *coords[axis + rank :]))

    def _take_elements(self, n: Node, coords: Coords) -> Step:
        x, index, axis = n.args[0], n.args[1], n.attr("axis")
        i = yield index, coords
        return (yield x, (*coords[:axis], self._clamped(i, x.shape[axis]), *coords[axis + 1 :]))


def walk(roots: Sequence[Expr]) -> list[Expr]:
    """Every expression under the roots, operands first; iterative."""
    done: set[int] = set()
    order: list[Expr] = []
    stack = [(r, False) for r in reversed(roots)]
    while stack:
        e, ready = stack.pop()
        if ready:
            order.append(e)
            continue
        if id(e) in done:
            continue
        done.add(id(e))
        stack.append((e, True))
        for c in reversed(e.coords):
            stack.extend((a, False) for a in values_in(c))
        stack.extend((a, False) for a in reversed(e.args))
    return order


def values_in(i: Ix) -> list[Expr]:
    out: list[Expr] = []
    pending = [i]
    while pending:
        for t, _ in pending.pop().terms:
            if isinstance(t, Atom):
                if t.kind == "value":
                    out.append(t.expr)
                elif t.ix is not None:
                    pending.append(t.ix)
    return out
