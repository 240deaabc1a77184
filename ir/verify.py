"""The promises of each level, checked.  `verify(x)` returns x or raises BugError with the place and the instruction.

    all       operands are defined before their use; the op is allowed at the level; result types are those of the op's rule
    graph     operands come first; inputs are `input` nodes; outputs belong to the graph; loop bodies are closed graphs
    program   launch arguments match the parameters; buffers belong to the program; inputs are not written
    tile      regions end in their yields, whose types are those of the carried values; views are made of pointers
    kernel    every block ends in one terminator and has no other; edges carry the types of the target's parameters; the entry has
              none; every use is dominated by its definition; a guard is an i1 on an op with an effect; a guarded op with results has
              as many passthrough values of their types
"""
from __future__ import annotations

from typing import Any

from .errors import BugError, PtxjitError
from .graph import Graph
from .instr import Instr, Region, Value
from .kernel import Kernel
from .program import Buffer, Copy, Fill, Launch, Loop, Program
from .tile import TileProgram
from .types import I1


def verify(x: Any) -> Any:
    """Checks a program of any level."""
    if isinstance(x, Graph):
        _graph(x)
    elif isinstance(x, Kernel):
        _kernel(x)
    elif isinstance(x, TileProgram):
        _tile(x)
    elif isinstance(x, Program):
        _program(x)
    else:
        raise BugError(f"{type(x).__name__} is not a program")
    return x


def _fail(message: str, i: Any) -> BugError:
    return BugError(f"{message}: {i!r}", place=i.loc)


def _types(i: Any, args: Any, results: Any, level: str) -> None:
    if level not in i.op.levels:
        raise _fail(f"{i.op} does not belong to the {level} level", i)
    try:
        want = i.op.infer(tuple([a.type for a in args]), i.attrs)
    except PtxjitError as e:
        raise _fail(f"{i.op} does not take these operands ({e.message})", i) from None
    have = tuple(r.type if isinstance(r, Value) else r for r in results)
    if want != have:
        raise _fail(f"{i.op} gives {', '.join(map(str, want))}, but its results are {', '.join(map(str, have))}", i)


# ---- graph ----------------------------------------------------------------------------------------------------------


def _graph(g: Graph) -> None:
    seen: set[int] = set()
    for n in g.nodes:
        for a in n.args:
            if a.id not in seen:
                raise _fail("an operand comes after its use", n)
        _types(n, n.args, n.types, "graph")
        for _, v in n.attrs:
            if isinstance(v, Graph):
                _graph(v)
        seen.add(n.id)
    for i in g.inputs:
        if i.op.name != "input":
            raise _fail("an input of the graph is not an input node", i)
    known = {n.id for n in g.inputs}
    for n in g.nodes:
        if n.op.name == "input" and n.id not in known:
            raise _fail("an input node is not among the graph's inputs", n)


# ---- program --------------------------------------------------------------------------------------------------------


def _program(p: Program) -> None:
    known = {b.name for b in p.buffers}
    stack = list(p.steps)
    while stack:
        s = stack.pop()
        if isinstance(s, Loop):
            stack.extend((*s.before, *s.body))
        elif isinstance(s, Launch):
            verify(s.fn)
            if len(s.args) != len(s.fn.params):
                raise BugError(f"launch of {s.fn.name} with {len(s.args)} arguments for {len(s.fn.params)} parameters")
            for a, q in zip(s.args, s.fn.params):
                if isinstance(a, Buffer):
                    if a.name not in known:
                        raise BugError(f"{a!r} does not belong to program {p.name}")
                    if q.elem is not a.type.elem.signless:
                        raise BugError(f"{s.fn.name} takes {q.elem}s where {a!r} is passed")
                    if a.kind in ("input", "const") and q.access != "r":
                        raise BugError(f"{s.fn.name} writes the {a.kind} {a!r}")
        elif isinstance(s, (Copy, Fill)) and s.dst.kind in ("input", "const"):
            raise BugError(f"program {p.name} writes the {s.dst.kind} {s.dst!r}")


# ---- tile -----------------------------------------------------------------------------------------------------------


def _tile(t: TileProgram) -> None:
    _region(t.body, {p.value.id for p in t.params})


def _region(r: Region, outer: set[int]) -> None:
    known = set(outer)
    known.update(p.id for p in r.params)
    for i in r.instrs:
        for a in i.operands():
            if a.id not in known:
                raise _fail(f"{a!r} is not defined here", i)
        _types(i, i.args, i.results, "tile")
        for inner in i.regions:
            _region(inner, known)
        if i.op.name == "for":
            _yields(i, i.regions[0], [p.type for p in i.regions[0].params[1:]])
        if i.op.name == "if":
            for inner in i.regions:
                _yields(i, inner, [v.type for v in i.results])
        known.update(v.id for v in i.results)
    for y in r.yields:
        if y.id not in known:
            raise BugError(f"a region yields {y!r}, which is not defined in it")


def _yields(i: Instr, r: Region, want: list[Any]) -> None:
    if [y.type for y in r.yields] != want:
        raise _fail("a region yields other types than are carried", i)


# ---- kernel ---------------------------------------------------------------------------------------------------------


def _kernel(k: Kernel) -> None:
    from .passes.cleanup import dominators, reverse_post_order

    if k.blocks[0].params:
        raise BugError(f"the entry block of {k.name} has parameters")
    home: dict[int, tuple[int, int]] = {p.value.id: (-1, -1) for p in k.params}
    for n, b in enumerate(k.blocks):
        if not b.instrs or not b.instrs[-1].op.terminator:
            raise BugError(f"block {b.name} of {k.name} has no terminator")
        for p in b.params:
            if p.id in home:
                raise BugError(f"{p!r} is defined twice in {k.name}")
            home[p.id] = (n, -1)
        for at, i in enumerate(b.instrs):
            if i.op.terminator and at != len(b.instrs) - 1:
                raise _fail("a terminator in the middle of a block", i)
            for r in i.results:
                if r.id in home:
                    raise _fail(f"{r!r} is defined twice", i)
                home[r.id] = (n, at)
    idom = dominators(k)
    above: dict[int, frozenset[int]] = {}
    for n in reverse_post_order(k):
        above[n] = frozenset([n]) if n == 0 else above[idom[n]] | {n}
        for at, i in enumerate(k.blocks[n].instrs):
            for a in i.operands():
                where = home.get(a.id)
                if where is None:
                    raise _fail(f"{a!r} is not defined", i)
                if where[0] >= 0 and (where[0] not in above[n] or where[0] == n and where[1] >= at):
                    raise _fail(f"{a!r} does not reach this use", i)
            _instr(k, i)


def _instr(k: Kernel, i: Instr) -> None:
    _types(i, i.args, i.results, "kernel")
    if i.guard is not None:
        if i.guard.type is not I1:
            raise _fail("a guard is not an i1", i)
        if i.op.effect is None:
            raise _fail("a guard on an op without an effect", i)
        if i.results and [p.type for p in i.passthrough] != [r.type for r in i.results]:
            raise _fail("a guarded op needs one passthrough value per result", i)
    elif i.passthrough:
        raise _fail("passthrough values without a guard", i)
    for e in i.edges:
        if not 0 <= e.target < len(k.blocks):
            raise _fail(f"an edge to block {e.target}, which does not exist", i)
        if [a.type for a in e.args] != [p.type for p in k.blocks[e.target].params]:
            raise _fail(f"an edge to {k.blocks[e.target].name} with other types than its parameters", i)
