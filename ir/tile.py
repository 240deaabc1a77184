"""The tile level: how a computation is cut up for a device.  A structured program over scalars and tiles.

One run of a `TileProgram` is one *program* of the grid (a block on a GPU, a strip of work on the CPU).  Tile values live in
registers and must fit the device; larger ones are an `alloc` in shared memory.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .extent import Dim, Extent
from .instr import Instr, Param, Region, Value
from .loc import Loc
from .op import Attrs, LaneOps, Op, op
from .types import I1, I64, Pointer, Scalar, Tile, Type, pointer, tile


class TileProgram:
    """A frozen tile program.  `warps` and `lanes` are what the schedule chose; `meta` says why (sorted pairs)."""

    __slots__ = ("name", "params", "body", "warps", "lanes", "meta", "__weakref__")
    level = "tile"

    def __init__(self, name: str, params: tuple[Param, ...], body: Region, *, warps: int = 1, lanes: int = 32,
                 meta: tuple[tuple[str, Any], ...] = ()) -> None:  # fmt: skip
        self.name, self.params, self.body = name, params, body
        self.warps, self.lanes, self.meta = warps, lanes, meta

    def instrs(self) -> Iterator[Instr]:
        """Every instruction, regions after their owner; iterative."""
        stack = [iter(self.body.instrs)]
        while stack:
            for i in stack[-1]:
                yield i
                if i.regions:
                    stack.extend(iter(r.instrs) for r in reversed(i.regions))
                    break
            else:
                stack.pop()

    def __str__(self) -> str:
        from .text import dump

        return dump(self)

    def __repr__(self) -> str:
        return f"<tile program {self.name}: {sum(1 for _ in self.instrs())} instructions>"


class TileBuilder(LaneOps):
    """Makes a tile program.  `b.fadd(x, y)` and every other op of the table; `loop` and `when` make regions.

    Scalars and tiles mix: elementwise ops need equal shapes, `fit(value, shape)` splats or expands.
    """

    def __init__(self, name: str, *, warps: int = 1, lanes: int = 32) -> None:
        self.name, self.warps, self.lanes = name, warps, lanes
        self.params: list[Param] = []
        self.loc: Loc | None = None
        self._next = 0
        self._current: list[Instr] = []
        self._scopes: list[dict[Any, Value]] = [{}]
        self._allocs = 0
        self.extents: dict[str, Value] = {}

    def value(self, ty: Type, name: str = "") -> Value:
        v = Value(self._next, ty, name)
        self._next += 1
        return v

    def param(self, name: str, ty: Type, **facts: Any) -> Value:
        v = self.value(ty, name)
        if isinstance(ty, Pointer):
            facts = {"role": "pointer", "elem": ty.elem, **facts}
        self.params.append(Param(v, **facts))
        return v

    def pointer(self, name: str, elem: Scalar, **facts: Any) -> Value:
        return self.param(name, pointer(elem), **facts)

    def emit(self, op: Op, args: Sequence[Value], attrs: Attrs = (), *, regions: tuple[Region, ...] = (), name: str = "") -> Any:
        args = tuple(args)
        types = op.infer(tuple([a.type for a in args]), attrs)
        results = tuple([self.value(t, name) for t in types])
        self._current.append(Instr(op, args, attrs, results, None, (), (), regions, self.loc))
        return results[0] if len(results) == 1 and op.name not in ("for", "while", "if") else results

    def const(self, ty: Type, value: Any) -> Value:
        """A scalar constant, or a tile of equal elements; one per scope."""
        elem = ty.elem
        value = float(value) if elem.is_float else bool(value) if elem is I1 else int(value)
        key = (ty, value.hex() if elem.is_float else value)
        for scope in reversed(self._scopes):
            if key in scope:
                return scope[key]  # type: ignore[no-any-return]
        v: Value = self.emit(op("constant"), (), (("type", ty), ("value", value)))
        self._scopes[-1][key] = v
        return v

    def i64(self, value: Extent) -> Value:
        """An extent as an i64: a constant, or arithmetic on parameters that bring the parts of its expression at run time."""
        if not isinstance(value, Dim):
            return self.const(I64, value)
        found = next((scope[value.text] for scope in reversed(self._scopes) if value.text in scope), None)
        if found is None:
            total: Value | None = None
            for atoms, c in value.terms:
                term = self.extent(atoms[0])
                for a in atoms[1:]:
                    term = self.imul(term, self.extent(a))
                term = term if c == 1 else self.imul(term, self.const(I64, c))
                total = term if total is None else self.iadd(total, term)
            assert total is not None
            found = self._scopes[-1][value.text] = self.iadd(total, self.const(I64, value.const)) if value.const else total
        return found

    def extent(self, atom: str) -> Value:
        """The parameter that brings a symbol or another atom of an expression; `extents` are all of them, in order."""
        found = self.extents.get(atom)
        if found is None:
            hint = atom if atom.isidentifier() else "e"
            taken, name, k = {p.value.name for p in self.params}, hint, 2
            while name in taken:
                name, k = f"{hint}_{k}", k + 1
            found = self.extents[atom] = self.param(name, I64, role="extent")
        return found

    def fit(self, x: Value, shape: tuple[int, ...]) -> Value:
        """x splatted or expanded to `shape` (unchanged if it has it)."""
        if x.type.shape == shape:
            return x
        if not isinstance(x.type, Tile):
            return self.splat(x, shape=shape)  # type: ignore[no-any-return]
        return self.expand(x, shape=shape)  # type: ignore[no-any-return]

    def shared(self, elem: Scalar, size: int) -> Value:
        self._allocs += 1
        return self.emit(op("alloc"), (), (("id", self._allocs - 1), ("size", size), ("to", elem)))  # type: ignore[no-any-return]

    def region(self, params: Sequence[Value], build: Callable[[], Sequence[Value]]) -> Region:
        outer, self._current = self._current, []
        self._scopes.append({})
        yields = tuple(build())
        self._scopes.pop()
        instrs, self._current = tuple(self._current), outer
        return Region(tuple(params), instrs, yields)

    def loop(self, lo: Value, hi: Value, step: Value, carried: Sequence[Value], body: Callable[..., Sequence[Value]], *,
             name: str = "i", unroll: int | None = None) -> tuple[Value, ...]:  # fmt: skip
        """`for iv in range(lo, hi, step)`; body(iv, *carried) returns the next carried values; the results are the last."""
        params = [self.value(lo.type, name), *(self.value(c.type, c.name) for c in carried)]
        region = self.region(params, lambda: body(*params))
        attrs: Attrs = () if unroll is None else (("unroll", unroll),)
        return self.emit(op("for"), (lo, hi, step, *carried), attrs, regions=(region,))  # type: ignore[no-any-return]

    def when(self, cond: Value, then: Callable[[], Sequence[Value]], other: Callable[[], Sequence[Value]] = lambda: ()) -> tuple[Value, ...]:
        """`if cond` on a scalar; both sides return values of the same types."""
        a, b = self.region((), then), self.region((), other)
        attrs: Attrs = (("types", tuple(v.type for v in a.yields)),)
        return self.emit(op("if"), (cond,), attrs, regions=(a, b))  # type: ignore[no-any-return]

    def finish(self, meta: tuple[tuple[str, Any], ...] = ()) -> TileProgram:
        return TileProgram(self.name, tuple(self.params), Region((), tuple(self._current), ()), warps=self.warps, lanes=self.lanes, meta=meta)


def tile_of(elem: Scalar, shape: tuple[int, ...]) -> Type:
    """The tile type, or the scalar itself for an empty shape."""
    return tile(elem, shape) if shape else elem
