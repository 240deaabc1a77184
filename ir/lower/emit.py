"""Writes expressions into a tile program, for a schedule.

A schedule cuts the domain of a group: neighbouring dimensions that every access walks as one are merged (`merge`), and each
merged dimension gets a `Place`: an offset (scalar value), and the tile axis along which it advances.  `Emitter.value(expr)`
then makes the tile (or scalar) of that expression.  An expression that does not vary along an axis is emitted with size 1
there, and expanded only where it meets one that does.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import BugError
from ..extent import Dim, Extent, below, same
from ..instr import Value
from ..op import op
from ..tile import TileBuilder
from ..types import I1, I32, I64, Scalar
from . import index as ix
from .expr import Expr, values_in, walk
from .index import Atom, Ix


class Group:
    """Merged dimensions of a domain, outermost first.  `dims` are the original ones, `size` their product."""

    __slots__ = ("dims", "size")

    def __init__(self, dims: tuple[int, ...], size: Extent) -> None:
        self.dims, self.size = dims, size

    def __repr__(self) -> str:
        return f"<{self.dims}: {self.size}>"


class Place:
    """Where a merged dimension stands: element `offset + tile coordinate along axis` (or just `offset`).

    `tail` says that the tile may reach beyond the end, so accesses have to test.
    """

    __slots__ = ("offset", "axis", "tail")

    def __init__(self, offset: Value, axis: int | None = None, tail: bool = False) -> None:
        self.offset, self.axis, self.tail = offset, axis, tail


def c_strides(shape: Sequence[Extent]) -> list[Extent]:
    out: list[Extent] = []
    stride: Extent = 1
    for n in reversed(shape):
        out.append(stride)
        stride = stride * n
    return out[::-1]


def plain(e: Expr, sizes: Sequence[Extent]) -> bool:
    """A load whose coordinates are affine and certainly inside: only its linear address matters."""
    return e.kind == "load" and all(
        c.affine and below(-1, ix.bounds(c, sizes)[0]) and below(ix.bounds(c, sizes)[1], n) for c, n in zip(e.coords, e.buffer.type.shape)
    )


def linear(e: Expr) -> Ix:
    return ix.flatten(e.coords, e.buffer.type.shape)


def merge(exprs: Sequence[Expr], sizes: Sequence[Extent], keep: Sequence[int] = ()) -> list[Group]:
    """Merges neighbouring dimensions that every expression walks as one.  `keep`: first dimensions of groups that must stay."""
    fused: list[bool] = [True] * max(len(sizes) - 1, 0)  # between d and d + 1
    for d in keep:
        if d:
            fused[d - 1] = False
    for e in walk(exprs):
        if plain(e, sizes):
            address = linear(e)
            for d in range(len(fused)):
                if not same(address.coefficient(d), address.coefficient(d + 1) * sizes[d + 1]):
                    fused[d] = False
        elif e.kind in ("load", "index", "inside"):
            for d in range(len(fused)):
                if e.dims >> d & 3:
                    fused[d] = False
    groups: list[Group] = []
    for d, n in enumerate(sizes):
        if groups and fused[d - 1]:
            last = groups[-1]
            groups[-1] = Group((*last.dims, d), last.size * n)
        else:
            groups.append(Group((d,), n))
    return groups


class Emitter:
    """Expressions to values of one `TileBuilder`.  `tile` is the shape of the program's tiles."""

    def __init__(self, b: TileBuilder, groups: Sequence[Group], sizes: Sequence[Extent], pointers: dict[str, Value]) -> None:
        self.b, self.groups, self.sizes, self.pointers = b, list(groups), list(sizes), pointers
        self.group_of = {d: g for g, group in enumerate(groups) for d in group.dims}
        self.places: list[Place | None] = [None] * len(groups)
        self.tile: tuple[int, ...] = ()
        self._memo: list[dict[int, Value]] = [{}]

    # ---- scopes: values made inside a loop are forgotten after it

    def push(self) -> None:
        self._memo.append({})

    def pop(self) -> None:
        self._memo.pop()

    def resume(self, scope: dict[int, Value]) -> None:
        """Opens a scope that was open before, with what it knows."""
        self._memo.append(scope)

    def bind(self, e: Expr, v: Value) -> None:
        """Says what a held expression is."""
        self._memo[-1][id(e)] = v

    def known(self, e: Expr) -> Value | None:
        for scope in reversed(self._memo):
            if id(e) in scope:
                return scope[id(e)]
        return None

    def hoist(self, exprs: Sequence[Expr], varying: int) -> None:
        """Emits here every load that does not depend on the dimensions `varying`, so that a following loop finds it."""
        for e in walk(exprs):
            if e.kind == "load" and not e.dims & varying and self.known(e) is None and all(
                c.affine and self.placed(c) for c in e.coords
            ):  # fmt: skip
                self.value(e)

    def placed(self, c: Ix) -> bool:
        return all(isinstance(t, int) and self.places[self.group_of[t]] is not None for t, _ in c.terms)

    # ---- values

    def value(self, root: Expr) -> Value:
        found = self.known(root)
        if found is not None:
            return found
        memo = self._memo[-1]
        for e in self._missing(root):
            self.b.loc = e.loc or self.b.loc
            memo[id(e)] = getattr(self, "_" + e.kind)(e)
        return memo[id(root)]

    def _missing(self, root: Expr) -> list[Expr]:
        """What has to be emitted for root, operands first; stops at known values."""
        order: list[Expr] = []
        seen: set[int] = set()
        stack = [(root, False)]
        while stack:
            e, ready = stack.pop()
            if ready:
                order.append(e)
            elif id(e) not in seen:
                seen.add(id(e))
                if self.known(e) is not None:
                    continue
                stack.append((e, True))
                for a in operands(e):
                    stack.append((a, False))
        return order

    def shape_of(self, dims: int) -> tuple[int, ...]:
        """Tile shape of something that varies along those dimensions; () if along no tile axis."""
        axes = {p.axis for g, p in enumerate(self.places) if p is not None and any(dims >> d & 1 for d in self.groups[g].dims)}
        axes.discard(None)
        return tuple(n if a in axes else 1 for a, n in enumerate(self.tile)) if axes else ()

    def fit(self, values: Sequence[Value]) -> list[Value]:
        """Values expanded to their common shape."""
        shapes = [v.type.shape for v in values if v.type.shape]
        if not shapes:
            return list(values)
        common = tuple(max(s[a] for s in shapes) for a in range(len(shapes[0])))
        return [self.b.fit(v, common) for v in values]

    def full(self, v: Value) -> Value:
        """v at the whole tile shape."""
        return self.b.fit(v, self.tile)

    def _lane(self, e: Expr) -> Value:
        assert e.op is not None
        args = self.fit([self.value(a) for a in e.args])
        return self.b.emit(e.op, args, e.attrs, name=e.name)  # type: ignore[no-any-return]

    def _const(self, e: Expr) -> Value:
        return self.b.const(e.elem, e.value)

    def _held(self, e: Expr) -> Value:
        raise BugError(f"{e.node} is needed before the schedule has computed it", place=e.node.loc if e.node else None)

    # ---- indices

    def offset(self, i: Ix) -> Value:
        """The uniform part of an affine index, i64."""
        b = self.b
        total: Value | None = None
        for t, c in i.terms:
            assert isinstance(t, int)
            place = self.places[self.group_of[t]]
            assert place is not None
            term = place.offset if same(c, 1) else b.imul(place.offset, b.i64(c))
            total = term if total is None else b.iadd(total, term)
        if total is None:
            return b.i64(i.const)
        return total if same(i.const, 0) else b.iadd(total, b.i64(i.const))

    def row(self, i: Ix) -> tuple[Any, ...]:
        """The coefficients of an affine index along the tile axes."""
        out: list[Extent] = [0] * len(self.tile)
        for t, c in i.terms:
            assert isinstance(t, int)
            place = self.places[self.group_of[t]]
            assert place is not None
            if place.axis is not None:
                out[place.axis] = out[place.axis] + c
        return tuple(out)

    def number(self, like: Any, k: Extent) -> Value:
        """An extent as a constant of a type, or at run time as a value of its shape."""
        if not isinstance(k, Dim):
            return self.b.const(like, k)
        v = self.b.i64(k)
        return self.b.fit(v if like.elem is I64 else self.b.itrunc(v, to=like.elem), like.shape)

    def _small(self, i: Ix) -> bool:
        """Whether an index fits 32 bits, also a tile beyond its ends."""
        lo, hi = ix.bounds(i, self.sizes)
        far = (1 << 31) - sum(self.tile) * 8
        return -far < lo and hi < far

    def coordinate(self, i: Ix, elem: Scalar) -> Value:
        """An index as a number: a tile, or a scalar."""
        b, total = self.b, None
        affine = Ix(i.const, tuple((t, c) for t, c in i.terms if isinstance(t, int)))
        wide = I32 if elem is not I64 and self._small(i) else I64
        total = self.offset(affine)
        if wide is I32:
            total = b.itrunc(total, to=I32)
        for axis, c in enumerate(self.row(affine)):
            if not same(c, 0):
                shape = tuple(n if a == axis else 1 for a, n in enumerate(self.tile))
                steps = b.arange(to=wide, shape=shape, axis=axis)
                if not same(c, 1):
                    steps = b.imul(steps, self.number(steps.type, c))
                x, y = self.fit([total, steps])
                total = b.iadd(x, y)
        for t, c in i.terms:
            if isinstance(t, Atom):
                part = self._atom(t, wide)
                if not same(c, 1):
                    part = b.imul(part, self.number(part.type, c))
                x, y = self.fit([total, part])
                total = b.iadd(x, y)
        if elem is wide:
            return total
        return b.sext(total, to=elem) if elem.bits > wide.bits else b.itrunc(total, to=elem)  # type: ignore[no-any-return]

    def _atom(self, t: Atom, wide: Scalar) -> Value:
        b = self.b
        if t.kind == "value":
            v = self.value(t.expr)
            return v if wide is I64 else b.itrunc(v, to=wide)
        assert t.ix is not None
        inner = self.coordinate(t.ix, wide)
        k = self.number(inner.type, t.k)
        return b.idiv_u(inner, k) if t.kind == "div" else b.irem_u(inner, k)  # type: ignore[no-any-return]

    def _index(self, e: Expr) -> Value:
        return self.coordinate(e.coords[0], e.elem)

    def _inside(self, e: Expr) -> Value:
        lo, hi = e.value
        i = e.coords[0]
        wide = I32 if self._small(i) and hi < 1 << 31 else I64
        c = self.coordinate(i, wide)
        return self.b.icmp(c, self.number(c.type, hi), pred="ult")  # type: ignore[no-any-return] # unsigned: below 0 is far above

    def in_domain(self, dims: int) -> Value | None:
        """i1 that the tile's points lie inside the domain, along those dimensions; None where that is certain."""
        total: Value | None = None
        for g, p in enumerate(self.places):
            if p is None or not p.tail or p.axis is None or not any(dims >> d & 1 for d in self.groups[g].dims):
                continue
            shape = tuple(n if a == p.axis else 1 for a, n in enumerate(self.tile))
            b = self.b
            rest = b.isub(b.i64(self.groups[g].size), p.offset)
            rest = b.itrunc(b.imin_s(rest, b.i64(1 << 30)), to=I32)
            mask = b.icmp(b.arange(to=I32, shape=shape, axis=p.axis), b.fit(rest, shape), pred="slt")
            if total is not None:
                x, y = self.fit([total, mask])
                mask = getattr(b, "and")(x, y)
            total = mask
        return total

    # ---- memory

    def _load(self, e: Expr) -> Value:
        if plain(e, self.sizes) and self._strided(linear(e)):
            return self._plain_load(e)
        rows = [(self.row(c), s) for c, s in zip(e.coords, c_strides(e.buffer.type.shape)) if c.affine]
        if len(rows) < len(e.coords) or any(isinstance(k, Dim) or isinstance(s, Dim) and k for row, s in rows for k in row):
            return self._gather(e)
        return self._checked_load(e)

    def _strided(self, address: Ix) -> bool:
        """Whether the steps of an address along the tile are known now: else addresses are computed lane by lane."""
        moving = [g.dims[-1] for g, p in zip(self.groups, self.places) if g.dims and p is not None and p.axis is not None]
        return not any(isinstance(address.coefficient(d), Dim) for d in moving)

    def pointer(self, buffer: Any) -> Value:
        return self.pointers[buffer.name]

    def fill(self, elem: Scalar) -> Value:
        return self.b.const(elem, 0)

    def _over_groups(self, address: Ix) -> tuple[list[int], list[Value], list[Value], list[Value], list[tuple[int, ...]], list[int]]:
        """A linear address as a view over the merged dimensions that it depends on."""
        b = self.b
        used = [g for g, group in enumerate(self.groups) if group.dims and not same(address.coefficient(group.dims[-1]), 0)]
        extents = [b.i64(self.groups[g].size) for g in used]
        strides = [b.i64(address.coefficient(self.groups[g].dims[-1])) for g in used]
        offsets, matrix, check = [], [], []
        for k, g in enumerate(used):
            place = self.places[g]
            assert place is not None
            offsets.append(place.offset)
            matrix.append(tuple(int(a == place.axis) for a in range(len(self.tile))))
            if place.tail:
                check.append(k)
        if isinstance(address.const, Dim):  # where the view starts is only known at run time: one more dimension, of which one place is used
            extents.append(b.i64(address.const + 1))
            strides.append(b.i64(1))
            offsets.append(b.i64(address.const))
            matrix.append((0,) * len(self.tile))
        return used, extents, strides, offsets, matrix, check

    def _plain_load(self, e: Expr) -> Value:
        address = linear(e)
        _, extents, strides, offsets, matrix, check = self._over_groups(address)
        return self._read(e, extents, strides, offsets, matrix, check, (), 0 if isinstance(address.const, Dim) else address.const)

    def _checked_load(self, e: Expr) -> Value:
        b, shape = self.b, e.buffer.type.shape
        extents, strides = [b.i64(n) for n in shape], [b.i64(s) for s in c_strides(shape)]
        offsets, matrix = [self.offset(c) for c in e.coords], [self.row(c) for c in e.coords]
        check, low = [], []
        for d, (c, n) in enumerate(zip(e.coords, shape)):
            lo, hi = ix.bounds(c, self.sizes)
            tails = any(isinstance(t, int) and self._tail(t) for t, _ in c.terms)
            negative = not below(-1, lo)
            if negative or not below(hi, n) or tails:
                check.append(d)
                if negative or any(k < 0 for _, k in c.terms):
                    low.append(d)
        return self._read(e, extents, strides, offsets, matrix, check, low, 0)

    def _tail(self, d: int) -> bool:
        place = self.places[self.group_of[d]]
        return place is not None and place.tail

    def _read(self, e: Expr, extents: list[Value], strides: list[Value], offsets: list[Value], matrix: list[tuple[int, ...]],
              check: Sequence[int], low: Sequence[int], base: int) -> Value:  # fmt: skip
        b = self.b
        view = b.view(self.pointer(e.buffer), *extents, *strides, **({"offset": base} if base else {}))
        shape = tuple(n if any(row[a] for row in matrix) else 1 for a, n in enumerate(self.tile))
        if all(n == 1 for n in shape) and not any(any(row) for row in matrix):
            shape, matrix = (), [() for _ in matrix]
        attrs: dict[str, Any] = {"index": tuple(matrix), "shape": shape}
        if check:
            attrs["check"] = tuple(check)
        if low:
            attrs["low"] = tuple(low)
        return b.emit(op("load"), (view, *offsets, self.fill(e.elem)), tuple(sorted(attrs.items())), name=e.name)  # type: ignore[no-any-return]

    def _gather(self, e: Expr) -> Value:
        b = self.b
        index = self.coordinate(linear(e), I64)
        masks = [self.in_domain(e.dims)]
        for c, n in zip(e.coords, e.buffer.type.shape):
            lo, hi = ix.bounds(c, self.sizes)
            if not below(-1, lo) or not below(hi, n):
                at = self.coordinate(c, I64)
                masks.append(b.icmp(at, self.number(at.type, n), pred="ult"))
        mask: Value | None = None
        for m in masks:
            if m is not None:
                if mask is not None:
                    x, y = self.fit([mask, m])
                    m = getattr(b, "and")(x, y)
                mask = m
        if mask is None:
            mask = b.const(index.type.with_elem(I1), True)
        i, m = self.fit([index, mask])
        return b.gather(self.pointer(e.buffer), i, m, self.fill(e.elem))  # type: ignore[no-any-return]

    def store(self, buffer: Any, address: Ix, v: Value, dims: int) -> None:
        """Writes v at a linear address; tiles at the shape of what varies along `dims`."""
        b = self.b
        shape = self.shape_of(dims)
        if shape and not self._strided(address):
            index = b.fit(self.coordinate(address, I64), shape)
            mask = self.in_domain(dims)
            b.scatter_to(self.pointer(buffer), index, b.const(index.type.with_elem(I1), True) if mask is None else b.fit(mask, shape), b.fit(v, shape))
            return
        _, extents, strides, offsets, matrix, check = self._over_groups(address)
        if shape:
            v = b.fit(v, shape)
        else:
            matrix = [() for _ in matrix]
        base = 0 if isinstance(address.const, Dim) else address.const
        view = b.view(self.pointer(buffer), *extents, *strides, **({"offset": base} if base else {}))
        attrs: dict[str, Any] = {"index": tuple(matrix)}
        if check:
            attrs["check"] = tuple(check)
        b.emit(op("store"), (view, *offsets, v), tuple(sorted(attrs.items())))


def operands(e: Expr) -> list[Expr]:
    """What an expression reads: its arguments, and the values inside its coordinates."""
    out = list(e.args)
    for c in e.coords:
        out.extend(values_in(c))
    return out
