"""The promises of each level, checked.  `verify(x)` returns x or raises BugError with the place and the instruction.

    all       operands are defined before their use; the op is allowed at the level; attributes are those of its schema; result types
              are those of the op's rule; below the graph integers are signless
    graph     operands come first; inputs are `input` nodes; outputs belong to the graph; loop bodies are closed graphs
    program   launch arguments match the parameters, extents those that take one; buffers belong to the program; inputs are not written; copies keep the type;
              conditions are 0-d i1
    tile      an op has its number of regions; they end in their yields, whose types are those of the carried values; views are made
              of pointers
    kernel    every block ends in one terminator with its number of edges and has no other; edges lead to blocks and carry the types of
              their parameters; the entry has none; every use is dominated by its definition; a guard is an i1 on an op with an effect; a guarded op with results has
              as many passthrough values of their types
"""
from __future__ import annotations

from typing import Any

from .errors import BugError, PtxjitError
from .extent import Dim
from .graph import Graph
from .instr import Instr, Region
from .kernel import Kernel
from .program import Buffer, Check, Copy, Fill, Launch, Loop, Program
from .tile import TileProgram
from .types import I1, I64, array

EDGES = {"jump": 1, "branch": 2, "return": 0, "trap": 0}  # of the other terminators: one or more


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
    have = tuple([r.type for r in results]) if level != "graph" else results
    if want != have:
        raise _fail(f"{i.op} gives {', '.join(map(str, want))}, but its results are {', '.join(map(str, have))}", i)
    if level != "graph":
        for t in have:
            if t.elem.is_unsigned:
                raise _fail(f"{t} below the graph: integers are signless there", i)


def _params(params: Any, name: str) -> None:
    for p in params:
        if p.type.elem.is_unsigned:
            raise BugError(f"{p!r} of {name}: integers are signless below the graph")


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
    known = set(p.buffers)
    flag, counter = array(I1, ()), array(I64, ())

    def own(b: Buffer) -> None:
        if b not in known:
            raise BugError(f"{b!r} does not belong to program {p.name}")

    for b in (*p.inputs, *p.outputs):
        own(b)
    stack = list(p.steps)
    while stack:
        s = stack.pop()
        if isinstance(s, Loop):
            stack.extend((*s.before, *s.body))
            for used, t in ((s.cond, flag), (s.counter, counter)):
                if used is not None:
                    own(used)
                    if used.type is not t:
                        raise BugError(f"a loop of program {p.name} takes a {t}, not {used!r}")
        elif isinstance(s, Check):
            own(s.flag)
            if s.flag.type is not flag:
                raise BugError(f"a check of program {p.name} takes a {flag}, not {s.flag!r}")
        elif isinstance(s, Launch):
            verify(s.fn)
            if len(s.args) != len(s.fn.params):
                raise BugError(f"launch of {s.fn.name} with {len(s.args)} arguments for {len(s.fn.params)} parameters")
            for a, q in zip(s.args, s.fn.params):
                if isinstance(a, Buffer):
                    own(a)
                    if q.elem is not a.type.elem.signless:
                        raise BugError(f"{s.fn.name} takes {q.elem}s where {a!r} is passed")
                    if a.kind in ("input", "const") and q.access != "r":
                        raise BugError(f"{s.fn.name} writes the {a.kind} {a!r}")
                elif isinstance(a, Dim) != (q.role == "extent"):
                    raise BugError(f"{s.fn.name} takes {'an extent' if q.role == 'extent' else 'a number'} where {a!r} is passed")
                elif q.role == "pointer":
                    raise BugError(f"{s.fn.name} takes a buffer where {a!r} is passed")
        elif isinstance(s, (Copy, Fill)):
            own(s.dst)
            if s.dst.kind in ("input", "const"):
                raise BugError(f"program {p.name} writes the {s.dst.kind} {s.dst!r}")
            if isinstance(s, Copy):
                own(s.src)
                if s.src.type is not s.dst.type:
                    raise BugError(f"a copy of program {p.name} from {s.src!r} to {s.dst!r}")


# ---- tile -----------------------------------------------------------------------------------------------------------


def _tile(t: TileProgram) -> None:
    _params([p.value for p in t.params], t.name)
    _region(t.body, {p.value.id for p in t.params})


def _region(r: Region, outer: set[int]) -> None:
    known = set(outer)
    known.update(p.id for p in r.params)
    for i in r.instrs:
        for a in i.operands():
            if a.id not in known:
                raise _fail(f"{a!r} is not defined here", i)
        _types(i, i.args, i.results, "tile")
        if len(i.regions) != i.op.regions:
            raise _fail(f"{i.op} has {i.op.regions} regions, not {len(i.regions)}", i)
        for inner in i.regions:
            _region(inner, known)
        if i.op.regions:
            _structure(i)
        known.update(v.id for v in i.results)
    for y in r.yields:
        if y.id not in known:
            raise BugError(f"a region yields {y!r}, which is not defined in it")


def _structure(i: Instr) -> None:
    """What the regions of a structured op take and yield: the types of its results, which are those of its operands."""
    carried = [v.type for v in i.results]
    if i.op.name == "for":
        _yields(i, i.regions[0], [i.args[0].type, *carried], carried)
    elif i.op.name == "while":
        _yields(i, i.regions[0], carried, [I1, *carried])
        _yields(i, i.regions[1], carried, carried)
    else:
        for r in i.regions:
            _yields(i, r, [], carried)


def _yields(i: Instr, r: Region, takes: list[Any], gives: list[Any]) -> None:
    if [p.type for p in r.params] != takes:
        raise _fail("a region takes other types than are carried", i)
    if [y.type for y in r.yields] != gives:
        raise _fail("a region yields other types than are carried", i)


# ---- kernel ---------------------------------------------------------------------------------------------------------


def _kernel(k: Kernel) -> None:
    from .passes.cleanup import dominators, reverse_post_order

    if not k.blocks:
        raise BugError(f"{k.name} has no blocks")
    _params([p.value for p in k.params], k.name)
    if k.blocks[0].params:
        raise BugError(f"the entry block of {k.name} has parameters")
    home: dict[int, tuple[int, int]] = {p.value.id: (-1, -1) for p in k.params}
    for n, b in enumerate(k.blocks):
        if not b.instrs or not b.instrs[-1].op.terminator:
            raise BugError(f"block {b.name} of {k.name} has no terminator")
        _edges(k, b.instrs[-1])
        _params(b.params, k.name)
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


def _edges(k: Kernel, t: Instr) -> None:
    want = EDGES.get(t.op.name)
    if len(t.edges) != want and (want is not None or not t.edges):
        raise _fail(f"{t.op} with {len(t.edges)} edges", t)
    for e in t.edges:
        if not 0 <= e.target < len(k.blocks):
            raise _fail(f"an edge to block {e.target}, which does not exist", t)


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
        if not i.op.terminator:
            raise _fail("an edge of what is no terminator", i)
        if [a.type for a in e.args] != [p.type for p in k.blocks[e.target].params]:
            raise _fail(f"an edge to {k.blocks[e.target].name} with other types than its parameters", i)
