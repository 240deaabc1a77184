"""Scalar and SIMD video instructions (PTX ISA 9.7.17).

Intermediate results have 33 to 34 bits; they are computed in 64 and cut at the end.
"""
from __future__ import annotations

from ....ir.instr import Value
from ....ir.types import I32, I64, I128
from ..syntax import Neg, Reg
from .alu import SIGNED, field
from .core import Body, X, lifts

SELECT = {"b0": (0, 8), "b1": (8, 8), "b2": (16, 8), "b3": (24, 8), "h0": (0, 16), "h1": (16, 16)}


class _Part:
    """A register operand and its selector: `%r1.b2`, `%r1.h1`, `%r1.b7654`."""

    def __init__(self, x: X, n: int) -> None:
        o = x.operand(n)
        if isinstance(o, Neg):
            o = o.item
        self.o, self.select = o, ""
        if isinstance(o, Reg) and o.part:
            self.o, self.select = Reg(o.name, o.decl, ""), o.part


def taken(x: X, n: int, t: str) -> Value:
    """Operand n as 64 bits."""
    b, p = x.b, _Part(x, n)
    v = b.source(p.o, "b32")
    signed = t[0] == "s"
    if p.select:
        at, width = SELECT[p.select]
        v = field(b, v, at, width, signed)
    return b.resize(v, I64, signed)


def saturated(b: Body, v: Value, t: str, bits: int = 32) -> Value:
    lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if t[0] == "s" else (0, (1 << bits) - 1)
    return b.make("imin_s", b.make("imax_s", v, b.const(I64, lo)), b.const(I64, hi))  # type: ignore[no-any-return]


def _first(b: Body, name: str, a: Value, c: Value) -> Value:
    if name == "vabsdiff":
        return b.make("iabs", b.make("isub", a, c))  # type: ignore[no-any-return]
    return b.make({"vadd": "iadd", "vsub": "isub", "vmin": "imin_s", "vmax": "imax_s"}[name], a, c)  # type: ignore[no-any-return]


def _finish(x: X, r: Value, t: str, sat: bool) -> None:
    """Saturation, then merging into or combining with operand 3."""
    b = x.b
    second = x.pick("add", "min", "max")
    d = _Part(x, 0)
    if sat:
        r = saturated(b, r, t, SELECT[d.select][1] if d.select else 32)
    if d.select:
        at, width = SELECT[d.select]
        where = ((1 << width) - 1) << at
        moved = b.both(b.make("shl", b.resize(r, I32), b.const(I32, at)), b.const(I32, where))
        x.put(d.o, b.either(moved, b.both(x.src(3, "b32"), b.const(I32, ~where))))
        return
    if second:
        c = b.resize(x.src(3, "b32"), I64, t[0] == "s")
        r = b.make({"add": "iadd", "min": "imin_s", "max": "imax_s"}[second], r, c)
    x.put(d.o, b.resize(r, I32))


@lifts("vadd", "vsub", "vabsdiff", "vmin", "vmax")
def video(x: X) -> None:
    b, sat = x.b, x.flag("sat")
    td, ta, tc = x.types()
    a, c = taken(x, 1, ta), taken(x, 2, tc)
    _finish(x, _first(b, x.name, a, c), td, sat)


@lifts("vshl", "vshr")
def video_shift(x: X) -> None:
    b, sat, wrap = x.b, x.flag("sat"), x.need("wrap", "clamp") == "wrap"
    td, ta, _ = x.types()
    a, c = taken(x, 1, ta), taken(x, 2, "u32")
    c = b.both(c, b.const(I64, 31)) if wrap else b.make("imin_u", c, b.const(I64, 32))
    if x.name == "vshl":
        r = b.make("shl", a, c)
        if ta[0] == "u":  # from 2^63 on, only by 32 bits: any large multiple of 2^32 stands for it
            r = b.make("select", b.make("icmp", r, b.const(I64, 0), pred="slt"), b.const(I64, 1 << 62), r)
    else:
        r = b.make("shr_s" if ta[0] == "s" else "shr_u", a, c)
    _finish(x, r, td, sat)


@lifts("vmad")
def vmad(x: X) -> None:
    """(a·b) + c in 128 bits; a negation is a complement and a one that is added at the end."""
    b, sat, po = x.b, x.flag("sat"), x.flag("po")
    scale = x.pick("shr7", "shr15")
    td, ta, tc = x.types()
    minus = isinstance(x.operand(1), Neg) != isinstance(x.operand(2), Neg)
    less = isinstance(x.operand(3), Neg)
    signed = "s" in (ta[0], tc[0]) or minus or less
    p = b.make("imul", b.resize(taken(x, 1, ta), I128, True), b.resize(taken(x, 2, tc), I128, True))
    o = x.operand(3)
    c = b.resize(b.source(o.item if isinstance(o, Neg) else o, "b32"), I128, signed)
    if minus:
        p = b.make("ineg", p)
    if less:
        c = b.make("ineg", c)
    r = b.make("iadd", p, c)
    if po:
        r = b.make("iadd", r, b.const(I128, 1))
    if scale:
        r = b.make("shr_s", r, b.const(I128, int(scale[3:])))
    if sat:
        lo, hi = (-(1 << 31), (1 << 31) - 1) if signed else (0, (1 << 32) - 1)
        r = b.make("imin_s", b.make("imax_s", r, b.const(I128, lo)), b.const(I128, hi))
    _ = td
    x.dst(0, b.resize(r, I32))


@lifts("vset")
def vset(x: X) -> None:
    b = x.b
    cmp = x.need("eq", "ne", "lt", "le", "gt", "ge")
    ta, tc = x.types()
    p = b.make("icmp", taken(x, 1, ta), taken(x, 2, tc), pred=SIGNED[cmp])
    _finish(x, b.make("zext", p, to=I64), "u32", False)


# ---- SIMD -----------------------------------------------------------------------------------------------------------


def _pairs(x: X, ta: str, tc: str, count: int) -> tuple[list[Value], list[Value]]:
    """Elements of a and b; selectors of `vadd2` count through both operands: 0 1 of a, 2 3 of b."""
    b = x.b
    width = 32 // count
    words = [_Part(x, n) for n in (1, 2)]
    va, vc = (b.source(p.o, "b32") for p in words)
    out = []
    for p, own, t in zip(words, (0, 1), (ta, tc)):
        order = [int(c) for c in reversed(p.select[1:])] if p.select else [own * count + k for k in range(count)]
        out.append([b.resize(field(b, va if k < count else vc, (k % count) * width, width, t[0] == "s"), I64, t[0] == "s") for k in order])
    return out[0], out[1]


def _simd(x: X, name: str, count: int) -> None:
    b, sat, add = x.b, x.flag("sat"), x.flag("add")
    cmp = x.need("eq", "ne", "lt", "le", "gt", "ge") if name == "vset" else ""
    ts = x.types()
    td, ta, tc = ts if len(ts) == 3 else ("u32", *ts)
    width = 32 // count
    a, c = _pairs(x, ta, tc, count)
    d = _Part(x, 0)
    chosen = [k for k in range(count) if str(k) in d.select[1:]] if d.select else list(range(count))
    old = x.src(3, "b32")
    results = []
    for p, q in zip(a, c):
        if name == "vset":
            r = b.make("zext", b.make("icmp", p, q, pred=SIGNED[cmp]), to=I64)
        elif name == "vavrg":
            s = b.make("iadd", p, q)
            up = b.make("zext", b.make("icmp", s, b.const(I64, 0), pred="sge"), to=I64)
            r = b.make("shr_s", b.make("iadd", s, up), b.const(I64, 1))
        else:
            r = _first(b, name, p, q)
        results.append(saturated(b, r, td, width) if sat else r)
    if add:
        total = old
        for k in chosen:
            low = b.resize(results[k], I32)
            total = b.make("iadd", total, low)
        x.put(d.o, total)
        return
    word, keep = b.const(I32, 0), 0xFFFFFFFF
    for k in chosen:
        where = ((1 << width) - 1) << (k * width)
        keep &= ~where
        word = b.either(word, b.both(b.make("shl", b.resize(results[k], I32), b.const(I32, k * width)), b.const(I32, where)))
    x.put(d.o, b.either(word, b.both(old, b.const(I32, keep))) if keep else word)


def _register(name: str, count: int) -> None:
    lifts(f"{name}{count}")(lambda x: _simd(x, name, count))


for _name in ("vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax", "vset"):
    for _count in (2, 4):
        _register(_name, _count)
