"""What tile and kernel programs are made of: values, instructions, regions, blocks, edges.  All frozen.

A `Value` is an id, a type and a name hint.  Definitions and uses are not kept in it: they are side tables that an analysis
builds for a frozen function, so replacing an instruction never rebuilds its users.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .loc import Loc
from .op import Attrs, Op
from .types import Type


class Value:
    """One SSA value: unique id within its function, type, and the user's name for it (or '')."""

    __slots__ = ("id", "type", "name")

    def __init__(self, id: int, type: Type, name: str = "") -> None:
        self.id, self.type, self.name = id, type, name

    def __repr__(self) -> str:
        return f"%{self.name or self.id}:{self.type}"


class Edge:
    """A jump: target block (its index in the function) and the arguments of that block's parameters."""

    __slots__ = ("target", "args")

    def __init__(self, target: int, args: tuple[Value, ...] = ()) -> None:
        self.target, self.args = target, args


class Region:
    """Structured body (tile level): parameters, instructions, and the values that it yields."""

    __slots__ = ("params", "instrs", "yields")

    def __init__(self, params: tuple[Value, ...], instrs: tuple[Instr, ...], yields: tuple[Value, ...]) -> None:
        self.params, self.instrs, self.yields = params, instrs, yields


class Instr:
    """One instruction.  `guard` (i1) makes an op with an effect conditional per lane, `passthrough` are then its results
    where the guard is false.  `edges` belong to terminators, `regions` to structured ops."""

    __slots__ = ("op", "args", "attrs", "results", "guard", "passthrough", "edges", "regions", "loc")

    def __init__(self, op: Op, args: tuple[Value, ...], attrs: Attrs = (), results: tuple[Value, ...] = (),
                 guard: Value | None = None, passthrough: tuple[Value, ...] = (), edges: tuple[Edge, ...] = (),
                 regions: tuple[Region, ...] = (), loc: Loc | None = None) -> None:  # fmt: skip
        self.op, self.args, self.attrs, self.results = op, args, attrs, results
        self.guard, self.passthrough, self.edges, self.regions, self.loc = guard, passthrough, edges, regions, loc

    def attr(self, name: str, default: Any = None) -> Any:
        for k, v in self.attrs:
            if k == name:
                return v
        return default

    @property
    def result(self) -> Value:
        return self.results[0]

    def operands(self) -> Iterator[Value]:
        """Every value read: arguments, guard, passthrough, edge arguments (not what regions read)."""
        yield from self.args
        if self.guard is not None:
            yield self.guard
        yield from self.passthrough
        for e in self.edges:
            yield from e.args

    def replace(self, **changes: Any) -> Instr:
        """A copy with some fields changed; itself if nothing differs."""
        fields = {name: changes.get(name, getattr(self, name)) for name in self.__slots__}
        if all(fields[n] is getattr(self, n) for n in changes):
            return self
        return Instr(**fields)

    def __repr__(self) -> str:
        left = ", ".join(map(repr, self.results))
        return f"{left}{' = ' if left else ''}{self.op} {', '.join(map(repr, self.args))}"


class Block:
    """Kernel level: a name, parameters, and instructions of which the last is a terminator."""

    __slots__ = ("name", "params", "instrs")

    def __init__(self, name: str, params: tuple[Value, ...], instrs: tuple[Instr, ...]) -> None:
        self.name, self.params, self.instrs = name, params, instrs

    @property
    def terminator(self) -> Instr:
        return self.instrs[-1]


class Param:
    """A parameter of a tile program or kernel and what is promised about it.

    role     'pointer' (address of `elem`s), 'extent' (a size that is only known at run time) or 'scalar'
    access   'r', 'w' or 'rw' for pointers
    align    bytes by which a pointer is aligned (assumption, part of the key)
    noalias  no other parameter of this launch reaches the same bytes
    """

    __slots__ = ("value", "role", "elem", "access", "align", "noalias")

    def __init__(self, value: Value, role: str = "scalar", elem: Any = None, access: str = "rw", align: int = 1,
                 noalias: bool = False) -> None:  # fmt: skip
        self.value, self.role, self.elem = value, role, elem
        self.access, self.align, self.noalias = access, align, noalias
