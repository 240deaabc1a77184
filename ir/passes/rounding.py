"""Directed rounding for devices that only round to nearest: the nearest result, its exact error, and a step to the neighbour where that is needed.

f32 is computed in f64 rounded to odd, so that narrowing in the direction is the only rounding.  f64 keeps its result and takes the sign of the
error: of a sum by TwoSum (Knuth), of a product, quotient or root by one fma, of an fma by ErrFma (Boldo, Muller 2011); operands are scaled by
a power of two where the error would leave the range.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..op import Attrs, LaneOps, Op
from ..types import F32, F64, I32, I64

OPS = frozenset("fadd fsub fmul fdiv ffma fsqrt stof utof".split())
DIRECTED = ("rz", "rm", "rp")
BIG, SMALL = 2.0**600, 2.0**-600


def wants(op: Op, types: Sequence[Any], attrs: Attrs) -> bool:
    """Whether an op of these operand types is one of ours."""
    a = dict(attrs)
    if a.get("rnd") not in DIRECTED or op.name not in OPS:
        return False
    if op.name in ("stof", "utof"):
        return a["to"] in (F32, F64) and types[0].elem.bits <= 64
    return types[0].elem in (F32, F64)


def expand(b: Any, op: Op, args: Sequence[Any], attrs: Attrs) -> Any:
    """The op, of operands for which `wants` holds, by ops that round to nearest."""
    a = dict(attrs)
    rnd, name = a["rnd"], op.name
    if name in ("stof", "utof"):
        r = _from_integer(b, args[0], name == "stof", a["to"], rnd)
    else:
        x = [_flushed(b, v) for v in args] if a.get("ftz") else list(args)
        r = _narrow(b, name, x, rnd) if b.type_of(x[0]).elem is F32 else _wide(b, name, x, rnd)
    if a.get("ftz"):
        r = _flushed(b, r)
    if a.get("sat"):
        r = b.fminnum(b.fmaxnum(r, b.like(r, 0.0)), b.like(r, 1.0))
        r = b.select(b.fcmp(r, b.like(r, 0.0), pred="oeq"), b.like(r, 0.0), r)
    return r


def _flushed(b: LaneOps, x: Any) -> Any:
    bits = b.bitcast(x, to=I32)
    both = getattr(b, "and")
    tiny = b.icmp(both(bits, b.like(bits, 0x7F800000)), b.like(bits, 0), pred="eq")
    return b.bitcast(b.select(tiny, both(bits, b.like(bits, -(1 << 31))), bits), to=F32)


def two_sum(b: LaneOps, x: Any, y: Any) -> tuple[Any, Any]:
    s = b.fadd(x, y, rnd="rn")
    v = b.fsub(s, x, rnd="rn")
    return s, b.fadd(b.fsub(x, b.fsub(s, v, rnd="rn"), rnd="rn"), b.fsub(y, v, rnd="rn"), rnd="rn")


def _odd(b: LaneOps, s: Any, err: Any) -> Any:
    """s, or where the error is not zero the one of its two neighbours on that side (or itself) that is odd."""
    bits, zero = b.bitcast(s, to=I64), b.like(s, 0, I64)
    one = b.like(s, 1, I64)
    even = b.icmp(getattr(b, "and")(bits, one), zero, pred="eq")
    inexact = b.fcmp(err, b.like(err, 0.0), pred="one")
    away = b.icmp(b.icmp(b.bitcast(err, to=I64), zero, pred="slt"), b.icmp(bits, zero, pred="slt"), pred="eq")
    moved = b.select(away, b.iadd(bits, one), b.isub(bits, one))
    return b.bitcast(b.select(getattr(b, "and")(even, inexact), moved, bits), to=F64)


def _stepped(b: LaneOps, near: Any, up: Any, down: Any, rnd: str) -> Any:
    """`near`, or its neighbour: `up` and `down` say that the true value lies above or below it."""
    elem = b.type_of(near).elem
    word = I32 if elem is F32 else I64
    bits = b.bitcast(near, to=word)
    one, zero = b.like(bits, 1), b.like(bits, 0)
    negative = b.icmp(bits, zero, pred="slt")
    if rnd == "rz":
        far, step = b.select(negative, up, down), b.like(bits, -1)
    else:
        far = down if rnd == "rm" else up
        step = b.select(negative, one, b.ineg(one)) if rnd == "rm" else b.select(negative, b.ineg(one), one)
    return b.bitcast(b.iadd(bits, b.select(far, step, zero)), to=elem)


def _down_to_f32(b: LaneOps, x: Any, rnd: str) -> Any:
    near = b.fcvt(x, to=F32)
    back = b.fcvt(near, to=F64)
    return _stepped(b, near, b.fcmp(back, x, pred="olt"), b.fcmp(back, x, pred="ogt"), rnd)


def _falls_to_zero(b: LaneOps, s: Any, x: Any, y: Any) -> Any:
    """Whether a sum in f64 is the zero that rounding down makes negative: all but (+0) + (+0)."""
    either = b.icmp(getattr(b, "or")(b.bitcast(x, to=I64), b.bitcast(y, to=I64)), b.like(x, 0, I64), pred="slt")
    return getattr(b, "and")(b.fcmp(s, b.like(s, 0.0), pred="oeq"), either)


def _narrow(b: LaneOps, name: str, x: list[Any], rnd: str) -> Any:
    """f32 by way of f64."""
    w = [b.fcvt(v, to=F64) for v in x]
    if name == "fmul":
        return _down_to_f32(b, b.fmul(w[0], w[1], rnd="rn"), rnd)
    if name in ("fadd", "fsub", "ffma"):
        p, z = (b.fmul(w[0], w[1], rnd="rn"), w[2]) if name == "ffma" else (w[0], b.fneg(w[1]) if name == "fsub" else w[1])
        s, err = two_sum(b, p, z)
        r = _down_to_f32(b, _odd(b, s, err), rnd)
        return b.select(_falls_to_zero(b, s, p, z), b.like(r, -0.0), r) if rnd == "rm" else r
    if name == "fdiv":
        q = b.fdiv(w[0], w[1], rnd="rn")
        r = b.ffma(b.fneg(q), w[1], w[0], rnd="rn")
        err = b.select(b.fcmp(w[1], b.like(q, 0.0), pred="olt"), b.fneg(r), r)
        return _down_to_f32(b, _odd(b, q, err), rnd)
    s = b.fsqrt(w[0], rnd="rn")
    return _down_to_f32(b, _odd(b, s, b.ffma(b.fneg(s), s, w[0], rnd="rn")), rnd)


def _from_integer(b: LaneOps, x: Any, signed: bool, to: Any, rnd: str) -> Any:
    bits = b.type_of(x).elem.bits
    convert = b.stof if signed else b.utof
    if bits <= 32:
        wide = convert(x, to=F64)
        return wide if to is F64 else _down_to_f32(b, wide, rnd)
    half = (b.shr_s if signed else b.shr_u)(x, b.like(x, 32))
    high = b.fmul(convert(half, to=F64), b.const(b.type_of(x).with_elem(F64), 2.0**32), rnd="rn")
    low = b.utof(getattr(b, "and")(x, b.like(x, 0xFFFFFFFF)), to=F64)
    s, err = two_sum(b, high, low)
    zero = b.like(s, 0.0)
    if to is F32:
        return _down_to_f32(b, _odd(b, s, err), rnd)
    return _stepped(b, s, b.fcmp(err, zero, pred="ogt"), b.fcmp(err, zero, pred="olt"), rnd)


# ---- f64 ------------------------------------------------------------------------------------------------------------


def _wide(b: LaneOps, name: str, x: list[Any], rnd: str) -> Any:
    if name in ("fadd", "fsub"):
        y = b.fneg(x[1]) if name == "fsub" else x[1]
        s, err = two_sum(b, x[0], y)
        r = _finished(b, s, err, rnd, [x[0], y])
        return b.select(_falls_to_zero(b, s, x[0], y), b.like(r, -0.0), r) if rnd == "rm" else r
    if name == "fmul":
        p = b.fmul(x[0], x[1], rnd="rn")
        err = b.select(_vanished(b, p, x), _sign(b, x), _product_error(b, x[0], x[1], p))
        return _finished(b, p, err, rnd, x)
    if name == "fdiv":
        q = b.fdiv(x[0], x[1], rnd="rn")
        r = b.fneg(_product_error(b, q, x[1], x[0]))  # a − q·b
        err = b.select(b.fcmp(x[1], b.like(q, 0.0), pred="olt"), b.fneg(r), r)
        zero = b.like(q, 0.0)
        return _finished(b, q, err, rnd, x, getattr(b, "and")(b.fcmp(x[1], zero, pred="une"), b.fcmp(x[0], zero, pred="une")))
    if name == "fsqrt":
        s = b.fsqrt(x[0], rnd="rn")
        small = b.fcmp(x[0], b.like(s, 2.0**-500), pred="olt")
        t = b.fmul(s, b.select(small, b.like(s, 2.0**300), b.like(s, 1.0)), rnd="rn")
        a = b.fmul(x[0], b.select(small, b.like(s, BIG), b.like(s, 1.0)), rnd="rn")
        return _finished(b, s, b.ffma(b.fneg(t), t, a, rnd="rn"), rnd, x)
    return _fma(b, x, rnd)


def _sign(b: LaneOps, x: list[Any]) -> Any:
    """±1, as the product of two numbers has it."""
    one = b.like(x[0], 1.0)
    return b.fmul(b.copysign(one, x[0]), b.copysign(one, x[1]), rnd="rn")


def _vanished(b: LaneOps, p: Any, x: list[Any]) -> Any:
    """Whether a product is zero of numbers that are not."""
    zero, both = b.like(p, 0.0), getattr(b, "and")
    return both(b.fcmp(p, zero, pred="oeq"), both(b.fcmp(x[0], zero, pred="one"), b.fcmp(x[1], zero, pred="one")))


def _product_error(b: LaneOps, x: Any, y: Any, p: Any) -> Any:
    """The sign of x·y − p is this value's, where p is near the product."""
    small = b.fcmp(b.fabs(p), b.like(p, 2.0**-500), pred="olt")
    scale = b.select(small, b.like(p, BIG), b.like(p, 1.0))
    less = b.fcmp(b.fabs(x), b.fabs(y), pred="olt")
    low, high = b.select(less, x, y), b.select(less, y, x)
    return b.ffma(b.fmul(low, scale, rnd="rn"), high, b.fneg(b.fmul(p, scale, rnd="rn")), rnd="rn")


def _finished(b: LaneOps, near: Any, err: Any, rnd: str, x: list[Any], regular: Any = None) -> Any:
    """The neighbour on the side of the error; what overflowed from finite operands is the largest number where the direction says so."""
    zero, inf = b.like(near, 0.0), b.like(near, float("inf"))
    both = getattr(b, "and")
    finite = b.fcmp(b.fabs(near), inf, pred="olt")
    over = b.fcmp(b.fabs(near), inf, pred="oeq")
    for v in x:
        over = both(over, b.fcmp(b.fabs(v), inf, pred="olt"))
    if regular is not None:
        over = both(over, regular)
    positive = b.fcmp(near, zero, pred="ogt")
    up, down = both(finite, b.fcmp(err, zero, pred="ogt")), both(finite, b.fcmp(err, zero, pred="olt"))
    up = getattr(b, "or")(up, both(over, b.xor(positive, b.like(positive, True))))
    down = getattr(b, "or")(down, both(over, positive))
    return _stepped(b, near, up, down, rnd)


def _fma(b: LaneOps, x: list[Any], rnd: str) -> Any:
    """r1 = x·y + z to nearest; the rest of x·y + z exactly as two numbers."""
    r1 = b.ffma(*x, rnd="rn")
    both = getattr(b, "and")
    p0 = b.fabs(b.fmul(x[0], x[1], rnd="rn"))
    small = both(b.fcmp(p0, b.like(r1, 2.0**-300), pred="olt"), b.fcmp(b.fabs(x[2]), b.like(r1, 2.0**-300), pred="olt"))
    large = getattr(b, "or")(b.fcmp(p0, b.like(r1, 2.0**600), pred="ogt"), b.fcmp(b.fabs(x[2]), b.like(r1, 2.0**600), pred="ogt"))
    scale = b.select(small, b.like(r1, BIG), b.select(large, b.like(r1, SMALL), b.like(r1, 1.0)))
    less = b.fcmp(b.fabs(x[0]), b.fabs(x[1]), pred="olt")
    low, high = b.select(less, x[0], x[1]), b.select(less, x[1], x[0])
    low = b.select(large, low, b.fmul(low, scale, rnd="rn"))
    high = b.select(large, b.fmul(high, scale, rnd="rn"), high)
    z = b.fmul(x[2], scale, rnd="rn")
    lost = both(b.fcmp(z, b.like(z, 0.0), pred="oeq"), b.fcmp(x[2], b.like(z, 0.0), pred="one"))
    z = b.select(lost, b.copysign(b.like(z, 5e-324), x[2]), z)
    first = b.select(b.fcmp(b.fabs(r1), b.like(r1, float("inf")), pred="oeq"), b.ffma(low, high, z, rnd="rn"), b.fmul(r1, scale, rnd="rn"))
    u1 = b.fmul(low, high, rnd="rn")
    u2 = b.ffma(low, high, b.fneg(u1), rnd="rn")
    gone = _vanished(b, u1, x)  # then its sign is all that matters
    u1 = b.select(gone, b.copysign(b.like(u1, 5e-324), _sign(b, x)), u1)
    u2 = b.select(gone, b.like(u2, 0.0), u2)
    a1, rest = two_sum(b, z, u2)
    b1, b2 = two_sum(b, u1, a1)
    g = b.fadd(b.fsub(b1, first, rnd="rn"), b2, rnd="rn")
    e1, e2 = two_sum(b, g, rest)
    err = b.select(b.fcmp(e1, b.like(e1, 0.0), pred="oeq"), e2, e1)
    r = _finished(b, r1, err, rnd, x)
    if rnd != "rm":
        return r
    zero = b.like(r, 0.0)
    either = b.icmp(getattr(b, "or")(b.bitcast(_sign(b, x), to=I64), b.bitcast(x[2], to=I64)), b.like(r, 0, I64), pred="slt")
    exact = both(b.fcmp(r1, zero, pred="oeq"), b.fcmp(err, zero, pred="oeq"))
    return b.select(both(exact, either), b.like(r, -0.0), r)
