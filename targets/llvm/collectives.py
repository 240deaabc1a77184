"""What the lanes of a warp do together, written over their frames.

`collective(f, lane, instr)` is called with %frames (lane 0's frame), %members (the lanes that take part), and writes each member's results.
Operand n of lane j lies at frame j + ops + 16·n, result n at frame j + results + 16·n.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...ir.errors import UnsupportedError
from ...ir.instr import Instr
from ...ir.types import I1, Scalar
from .asm import Fn
from .emit import NAMES, SUFFIX

OPS = 64


class _Lanes:
    """Access to the frames of a warp."""

    def __init__(self, f: Fn, lane: Any, i: Instr) -> None:
        self.f, self.lane, self.i = f, lane, i

    def frame(self, j: str) -> str:
        return self.f.at("%frames", self.f.op("mul", "i64", self.f.widen(j), self.lane.frame))

    def ty(self, elem: Scalar) -> str:
        return "i32" if elem is I1 else NAMES[elem.name]

    def arg(self, j: str, n: int) -> str:
        return self.f.load(self.ty(self.i.args[n].type.elem), self.frame(j), OPS + 16 * n)

    def give(self, j: str, n: int, value: str, ty: str = "") -> None:
        self.f.store(ty or self.ty(self.i.results[n].type.elem), value, self.frame(j), self.lane.results_at + 16 * n)

    @contextmanager
    def each(self) -> Iterator[str]:
        """Over the members, in ascending order."""
        f = self.f
        with f.count("32") as j:
            bit = f.op("and", "i32", f.op("lshr", "i32", "%members", j), 1)
            with f.when(f.cmp("ne", "i32", bit, 0)):
                yield j

    def first(self) -> str:
        return self.f.call("i32", "llvm.cttz.i32", [("i32", "%members"), ("i1", "false")], declare=True)


def collective(f: Fn, lane: Any, i: Instr) -> None:
    rule = globals().get("_" + i.op.name)
    if rule is None:
        raise UnsupportedError(f"{i.op.name} on the CPU", place=i.loc)
    rule(f, _Lanes(f, lane, i), i)


def _warp_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    f.line("fence acq_rel")


def _activemask(f: Fn, w: _Lanes, i: Instr) -> None:
    with w.each() as j:
        w.give(j, 0, "%members")


def _shfl_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    """PTX ISA 9.7.9.6."""
    mode = i.attr("mode")
    with w.each() as j:
        b = f.op("and", "i32", w.arg(j, 2), 31)
        c = w.arg(j, 3)
        clamp, segment = f.op("and", "i32", c, 31), f.op("and", "i32", f.op("lshr", "i32", c, 8), 31)
        other = f.op("xor", "i32", segment, 31)
        low = f.op("and", "i32", j, segment)
        top = f.op("or", "i32", low, f.op("and", "i32", clamp, other))
        if mode == "up":
            src = f.op("sub", "i32", j, b)
            ok = f.cmp("sge", "i32", src, top)
        else:
            src = f.op("add", "i32", j, b) if mode == "down" else f.op("xor", "i32", j, b) if mode == "bfly" else f.op("or", "i32", low, f.op("and", "i32", b, other))
            ok = f.cmp("sle", "i32", src, top)
        src = f.select(ok, "i32", src, j)
        w.give(j, 0, w.arg(src, 1))
        w.give(j, 1, f.put(f"zext i1 {ok} to i32"))


def _shfl(f: Fn, w: _Lanes, i: Instr) -> None:
    """The shuffle of the tile compiler: a lane out of range, or not taking part, gives one's own value."""
    mode = i.attr("mode")
    with w.each() as j:
        b = w.arg(j, 1)
        src = {"up": lambda: f.op("sub", "i32", j, b), "down": lambda: f.op("add", "i32", j, b), "bfly": lambda: f.op("xor", "i32", j, b), "idx": lambda: b}[mode]()
        ok = f.cmp("ult", "i32", src, 32)
        src = f.select(ok, "i32", src, j)
        there = f.op("and", "i32", f.op("lshr", "i32", "%members", src), 1)
        src = f.select(f.cmp("ne", "i32", there, 0), "i32", src, j)
        w.give(j, 0, w.arg(src, 0))


def _ballot(f: Fn, w: _Lanes, n: int) -> str:
    out = f.var("i32", "0")
    with w.each() as j:
        out.set(f.op("or", "i32", out.get(), f.op("shl", "i32", w.arg(j, n), j)))
    return out.get()


def _ballot_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    bits = _ballot(f, w, 1)
    with w.each() as j:
        w.give(j, 0, bits)


def _vote(f: Fn, w: _Lanes, mode: str, n: int) -> None:
    bits = _ballot(f, w, n)
    some, full = f.cmp("ne", "i32", bits, 0), f.cmp("eq", "i32", bits, "%members")
    r = {"any": some, "all": full, "uni": f.op("or", "i1", full, f.op("xor", "i1", some, "true"))}[mode]
    out = f.put(f"zext i1 {r} to i32")
    with w.each() as j:
        w.give(j, 0, out)


def _vote_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    _vote(f, w, i.attr("mode", "any"), 1)


def _vote_any(f: Fn, w: _Lanes, i: Instr) -> None:
    _vote(f, w, "any", 0)


def _vote_all(f: Fn, w: _Lanes, i: Instr) -> None:
    _vote(f, w, "all", 0)


def _match_any_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    t = w.ty(i.args[1].type.elem)
    with w.each() as j:
        mine = w.arg(j, 1)
        out = f.var("i32")
        out.set("0")
        with w.each() as m:
            same = f.cmp("eq", t, w.arg(m, 1), mine)
            out.set(f.op("or", "i32", out.get(), f.op("shl", "i32", f.put(f"zext i1 {same} to i32"), m)))
        w.give(j, 0, out.get())


def _match_all_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    t = w.ty(i.args[1].type.elem)
    head = w.arg(w.first(), 1)
    same = f.var("i1", "true")
    with w.each() as j:
        same.set(f.op("and", "i1", same.get(), f.cmp("eq", t, w.arg(j, 1), head)))
    bits, flag = f.select(same.get(), "i32", "%members", "0"), f.put(f"zext i1 {same.get()} to i32")
    with w.each() as j:
        w.give(j, 0, bits)
        w.give(j, 1, flag)


REDUX = {"iadd": "add", "and": "and", "or": "or", "xor": "xor"}
REDUX_CALL = {"imin_s": "smin", "imax_s": "smax", "imin_u": "umin", "imax_u": "umax", "fmin": "minimum", "fmax": "maximum",
              "fminnum": "minimumnum", "fmaxnum": "maximumnum"}  # fmt: skip


def _redux_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    elem, fn = i.args[1].type.elem, i.attr("fn")
    t = NAMES[elem.name]
    acc, first = f.var(t), w.first()
    acc.set(w.arg(first, 1))
    with w.each() as j:
        with f.when(f.cmp("ne", "i32", j, first)):
            v = w.arg(j, 1)
            if fn in REDUX:
                acc.set(f.op(REDUX[fn], t, acc.get(), v))
            else:
                acc.set(f.call(t, f"llvm.{REDUX_CALL[fn]}.{SUFFIX[elem.name]}", [(t, acc.get()), (t, v)], declare=True))
    out = acc.get()
    with w.each() as j:
        w.give(j, 0, out)


def _elect_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    first = w.first()
    with w.each() as j:
        w.give(j, 0, first)
        w.give(j, 1, f.put(f"zext i1 {f.cmp('eq', 'i32', j, first)} to i32"))
