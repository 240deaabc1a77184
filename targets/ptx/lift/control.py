"""Control flow, calls, miscellaneous (PTX ISA 9.7.12, 9.7.19)."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ....ir.errors import ReadError
from ....ir.instr import Value
from ....ir.types import I1, I8, I32, I64
from ..syntax import Function, Prototype, Reg, Sym, Variable, Vec
from .core import X, _Frame, _Slot, call_parts, lifts, reg_type


@lifts("bra")
def bra(x: X) -> None:
    b = x.b
    x.flag("uni")
    o = x.operand(0)
    if not isinstance(o, Sym):
        raise x.bad("a label is expected")
    b.end("jump", (), (b.label(o.name),))


@lifts("brx")
def brx(x: X) -> None:
    """brx.idx index, table: an index beyond the table is undefined; here it takes the last entry."""
    b = x.b
    x.flag("idx")
    x.flag("uni")
    table = x.operand(1)
    if not isinstance(table, Sym):
        raise x.bad("the name of a .branchtargets is expected")
    labels = b.frame.tables.get(table.name)
    if not labels:
        raise ReadError(f"there is no .branchtargets {table.name}", place=b.loc)
    b.end("switch", (x.src(0, "u32"),), [b.label(n) for n in labels])


@lifts("ret", "exit")
def ret(x: X) -> None:
    b = x.b
    x.flag("uni")
    if x.name == "ret" and b.frame.after >= 0:
        b.end("jump", (), (b.frame.after,))
    elif x.name == "exit" and b.frame.parent is None and b.name.startswith("fn_"):
        raise x.bad("exit inside of a function that is called by address or calls itself")
    else:
        b.end("return")


@lifts("trap")
def trap(x: X) -> None:
    x.b.end("trap")


@lifts("brkpt")
def brkpt(x: X) -> None:
    """Without a debugger nothing happens."""


@lifts("pmevent", "setmaxnreg", "griddepcontrol")
def nothing(x: X) -> None:
    """Counters, register budgets and dependent grids: nothing that a kernel can see here."""
    x.words.clear()


@lifts("nanosleep")
def nanosleep(x: X) -> None:
    x.type()
    x.b.make("pause")


# ---- calls ----------------------------------------------------------------------------------------------------------


@lifts("call")
def call(x: X) -> None:
    b = x.b
    x.flag("uni")
    callee, results, args = call_parts(x.i)
    if isinstance(callee, Sym) and callee.decl is None:
        name = b.program.resolve(callee.name)
        f = b.module.functions.get(name)
        if f is None:
            raise ReadError(f"the function {name} is not declared", place=b.loc)
        if not f.defined:
            _external(x, f, results, args)
        elif b.program.recursive(name):
            b.program.number_of(name)
            with _passed(x, results, args, f) as addresses:
                b.make("call", *addresses, name=_outlined_name(name))
        else:
            _inline(x, f, results, args)
        return
    target = b.resize(b.source(callee, "u64"), I64)
    for name in _candidates(x):
        b.program.number_of(name)
    with _passed(x, results, args, b.frame.protos.get(getattr(x.i.operands[-1], "name", ""))) as addresses:
        b.make("call_indirect", target, *addresses)


def _outlined_name(name: str) -> str:
    from .core import _safe

    return "fn_" + _safe(name)


def _candidates(x: X) -> list[str]:
    """Functions that an indirect call may reach: those whose address the module takes (initialisers; `mov` adds its own)."""
    module = x.b.module
    out: list[str] = []
    for v in module.variables.values():
        stack = [v.init]
        while stack:
            e = stack.pop()
            if isinstance(e, tuple):
                stack.extend(e)
            elif isinstance(e, Sym) and x.b.program.resolve(e.name) in module.functions:
                out.append(x.b.program.resolve(e.name))
    proto = x.b.frame.protos.get(getattr(x.i.operands[-1], "name", ""))
    if proto is None:
        return out
    return [n for n in out if len(module.functions[n].params) == len(proto.params)]


@contextmanager
def _passed(x: X, results: tuple[Any, ...], args: tuple[Any, ...], declared: Function | Prototype | None) -> Iterator[list[Value]]:
    """Addresses of results and arguments of a function that calls itself or is called by address.  Registers and constants go through memory of the
    lane, as the types say that the function or prototype declares."""
    b = x.b
    out: list[Value] = []
    back: list[tuple[Any, Variable, Value]] = []
    types = (*declared.results, *declared.params) if declared is not None else ()
    if declared is not None and (len(results), len(args)) != (len(declared.results), len(declared.params)):
        raise x.bad(f"{declared.name} takes {len(declared.params)} parameters and gives {len(declared.results)} results")
    for n, o in enumerate((*results, *args)):
        if not isinstance(o, Sym) or o.decl is None or o.decl.space != "param":
            if n >= len(types) or types[n].shape or types[n].vector > 1:
                raise x.bad("what is passed to a function that calls itself or is called by address must be declared with its type")
            place = b.const(I32, b.local_place((id(x.i), id(b.frame), n), 16, 16))
            if n >= len(results):
                v = b.bits(b.source(o, types[n].type))
                b.make("st", place, b.resize(v, I8) if v.type is I1 else v, to=I8 if v.type is I1 else v.type, space="local")
            else:
                back.append((o, types[n], place))
            out.append(b.make("to_generic", place, space="local"))
            continue
        slot = b.slot(o.decl)
        if slot.pieces is not None or slot.address is None:
            raise x.bad(f"the parameter {o.name} is held in registers")
        assert slot.address is not None
        out.append(slot.address if slot.space == "generic" else b.make("to_generic", slot.address, space=slot.space))
    yield out
    for o, d, place in back:
        b.store_result(o, b.loaded(d, place, "local"))


def _inline(x: X, f: Function, results: tuple[Any, ...], args: tuple[Any, ...]) -> None:
    b = x.b
    if len(results) != len(f.results) or len(args) != len(f.params):
        raise x.bad(f"{f.name} takes {len(f.params)} parameters and gives {len(f.results)} results")
    after = b.block(f"after_{f.name}"[:40])
    frame = _Frame(f, after, {}, b.frame, b.loc.position if b.loc is not None else None)
    outer_loc, outer_scope = b.loc, b.scope
    registers: list[tuple[Any, Variable]] = []
    values: list[tuple[Reg, Value]] = []
    for d, o in zip((*f.results, *f.params), (*results, *args)):
        if d.space == "param" and isinstance(o, Sym) and o.decl is not None and o.decl.space == "param":
            frame.params[id(d)] = b.slot(o.decl)
        elif d.space == "param":  # a register or a constant for a parameter variable: one piece
            slot = frame.params[id(d)] = _Slot(("inline", id(frame), id(d)), {0: b.size_of(d)})
            if d in f.params:
                v = b.source(o, d.type)
                b.write((slot.key, 0), v if v.type is I1 else b.bits(v))
            else:
                registers.append((o, d))
        elif d in f.params:
            values += [(r, b.source(p, d.type)) for r, p in _parts(x, d, o)]
        else:
            registers.append((o, d))
    outer = b.frame
    b.frame = frame
    for r, v in values:
        assert r.decl is not None
        have = reg_type(r.decl.type)
        b.write(b.reg_key(r), b.cast(v, have) if v.type.elem.bits == have.bits else v)
    b.frame = outer
    b.scope = [0]
    b.run(frame)
    b.scope = outer_scope
    b.start(after)
    b.loc = outer_loc
    for o, d in registers:
        if d.space == "param":
            word = reg_type(f"b{8 * b.size_of(d)}")
            b.store_result(o, b.read((frame.params[id(d)].key, 0), word))
        else:
            for r, p in _parts(x, d, o):
                b.frame = frame
                v = b.read(b.reg_key(r), reg_type(d.type))
                b.frame = outer
                b.store_result(p, v)


def _parts(x: X, d: Variable, o: Any) -> list[tuple[Reg, Any]]:
    """A register of a function's head and what is passed for it, by the parts of vectors."""
    if d.vector == 1:
        return [(Reg(d.name, d), o)]
    if not isinstance(o, Vec) or len(o.items) != d.vector:
        raise x.bad(f"{d.name} is a vector of {d.vector}")
    return [(Reg(d.name, d, part), item) for part, item in zip("xyzw", o.items)]


def _external(x: X, f: Function, results: tuple[Any, ...], args: tuple[Any, ...]) -> None:
    """The device runtime's functions that every module may declare."""
    b = x.b
    if f.name == "vprintf":
        fmt, data = (_argument(x, o) for o in args)
        v = b.make("printf", fmt, data)
        _give(x, results, v)
    elif f.name in ("__assertfail", "__assert_fail"):
        b.make("report", b.const(I1, True), code=2)
        b.end("trap")
    elif f.name in ("malloc", "free"):
        raise b.fail(f"the device heap ({f.name}) is not there yet")
    else:
        raise b.fail(f"{f.name} is only declared in this module", "link the module that defines it, or define it")


def _argument(x: X, o: Any) -> Value:
    b = x.b
    if isinstance(o, Sym) and o.decl is not None and o.decl.space == "param":
        slot = b.slot(o.decl)
        if slot.pieces is not None:
            return b.read((slot.key, 0), I64)
        assert slot.address is not None
        return b.make("ld", slot.address, to=I64, space=slot.space)  # type: ignore[no-any-return]
    return b.source(o, "b64")


def _give(x: X, results: tuple[Any, ...], v: Value) -> None:
    b = x.b
    for o in results:
        if isinstance(o, Sym) and o.decl is not None:
            slot = b.slot(o.decl)
            if slot.pieces is not None:
                b.write((slot.key, 0), v)
            else:
                assert slot.address is not None
                b.make("st", slot.address, v, to=I32, space=slot.space)
        else:
            b.store_result(o, v)
