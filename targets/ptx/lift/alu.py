"""Integers, carry chains, comparison and selection, logic and shifts (PTX ISA 9.7.1, 9.7.2, 9.7.6, 9.7.7, 9.7.8)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....ir.instr import Value
from ....ir.types import F16, I1, I8, I16, I32, I64, I128, Scalar
from ..syntax import Pair, Sym
from .core import _INT, BYTES, Body, X, ir_type, lifts

PACKED = {"u16x2": "u16", "s16x2": "s16", "f16x2": "f16", "bf16x2": "bf16", "f32x2": "f32"}
WIDER = {I16: I32, I32: I64, I64: I128}


def is_float(t: str) -> bool:
    return t in ("f16", "bf16", "f32", "f64")


def halves(b: Body, v: Value) -> tuple[Value, Value]:
    """Low and high half of an integer."""
    half = _INT[v.type.elem.bits // 16]
    return b.make("itrunc", v, to=half), b.make("itrunc", b.make("shr_u", v, b.const(v.type, half.bits)), to=half)


def joined(b: Body, low: Value, high: Value) -> Value:
    low, high = b.bits(low), b.bits(high)
    wide = _INT[low.type.elem.bits // 4]
    up = b.make("shl", b.make("zext", high, to=wide), b.const(wide, low.type.elem.bits))
    return b.either(b.make("zext", low, to=wide), up)


def packed(x: X, t: str, sources: list[Value], fn: Callable[..., Value]) -> Value:
    """fn on both halves of packed operands (given as integers)."""
    b = x.b
    elem = ir_type(PACKED[t])
    parts = [halves(b, v) for v in sources]
    return joined(b, *(b.bits(fn(*(b.cast(p[k], elem) for p in parts))) for k in (0, 1)))


def on(x: X, t: str, sources: list[Value], fn: Callable[..., Value]) -> Value:
    """fn on values of type t, by halves where t is a pair."""
    return packed(x, t, sources, fn) if t in PACKED else fn(*sources)


def clamp_add(b: Body, a: Value, c: Value, name: str) -> Value:
    """add.sat.s32, sub.sat.s32."""
    w = b.make("iadd" if name == "add" else "isub", *(b.resize(v, I64, True) for v in (a, c)))
    w = b.make("imin_s", b.make("imax_s", w, b.const(I64, -(1 << 31))), b.const(I64, (1 << 31) - 1))
    return b.resize(w, I32)


def carry(x: X) -> Value:
    """CC.CF as the hardware has it: of a subtraction it is the carry out of a + ~b + 1, so no borrow sets it (seen where additions and subtractions mix)."""
    return x.b.read("cc", I1)


def set_carry(x: X, v: Value) -> None:
    b = x.b
    b.write("cc", v if x.guard is None else b.make("select", x.guard, v, carry(x)))


def add_carry(b: Body, a: Value, c: Value, more: Value | None) -> tuple[Value, Value]:
    """a + c (+ 1) and the carry out."""
    s = b.make("iadd", a, c)
    out = b.make("icmp", s, a, pred="ult")
    if more is not None:
        one = b.make("zext", more, to=a.type)
        r = b.make("iadd", s, one)
        out = b.either(out, b.make("icmp", r, s, pred="ult"))
        s = r
    return s, out


@lifts("add", "sub")
def add_sub(x: X) -> None:
    from .floats import float_binary

    b = x.b
    if len([w for w in x.words if w in BYTES]) > 1 or is_float(x.words[-1]) or x.words[-1] in ("f16x2", "bf16x2", "f32x2"):
        float_binary(x, {"add": "fadd", "sub": "fsub"}[x.name])
        return
    sat, cc, t = x.flag("sat"), x.flag("cc"), x.type()
    a, c = x.src(1, t), x.src(2, t)
    if cc:
        if x.name == "add":
            r, out = add_carry(b, a, c, None)
        else:
            r, out = b.make("isub", a, c), b.make("icmp", a, c, pred="uge")
        set_carry(x, out)
    elif sat:
        r = clamp_add(b, a, c, x.name)
    else:
        name = {"add": "iadd", "sub": "isub"}[x.name]
        r = on(x, t, [a, c], lambda p, q: b.make(name, p, q))
    x.dst(0, r)


@lifts("addc", "subc")
def addc_subc(x: X) -> None:
    b, cc, t = x.b, x.flag("cc"), x.type()
    a, c, more = x.src(1, t), x.src(2, t), carry(x)
    if x.name == "addc":
        r, out = add_carry(b, a, c, more)
    else:
        d = b.make("isub", a, c)
        one = b.make("zext", b.invert(more), to=a.type)
        r = b.make("isub", d, one)
        out = b.both(b.make("icmp", a, c, pred="uge"), b.make("icmp", d, one, pred="uge"))
    if cc:
        set_carry(x, out)
    x.dst(0, r)


def product(x: X, t: str, part: str) -> Value:
    """mul.{lo,hi,wide} of operands 1 and 2."""
    b = x.b
    a, c = x.src(1, t), x.src(2, t)
    ty = a.type.elem
    if part == "wide":
        w = WIDER[ty]
        return b.make("imul", b.resize(a, w, t[0] == "s"), b.resize(c, w, t[0] == "s"))  # type: ignore[no-any-return]
    if part == "hi":
        return b.make("imulhi_s" if t[0] == "s" else "imulhi_u", a, c)  # type: ignore[no-any-return]
    return b.make("imul", a, c)  # type: ignore[no-any-return]


@lifts("mul", "mad", "madc")
def mul_mad(x: X) -> None:
    from .floats import float_binary, float_fma

    b = x.b
    if is_float(x.words[-1]) or x.words[-1] in PACKED:
        if x.name == "mul":
            float_binary(x, "fmul")
        else:
            float_fma(x)
        return
    part, sat, cc, t = x.need("lo", "hi", "wide"), x.flag("sat"), x.flag("cc"), x.type()
    r = product(x, t, part)
    if x.name != "mul":
        c = b.source(x.operand(3), t if part != "wide" else t[0] + str(2 * int(t[1:])))
        if cc or x.name == "madc":
            r, out = add_carry(b, r, c, carry(x) if x.name == "madc" else None)
            if cc:
                set_carry(x, out)
        else:
            r = clamp_add(b, r, c, "add") if sat else b.make("iadd", r, c)
    x.dst(0, r, t[0] == "s")


@lifts("mul24", "mad24")
def mul24(x: X) -> None:
    b, part, sat, t = x.b, x.need("lo", "hi"), x.flag("sat"), x.type()
    wide = []
    for n in (1, 2):
        v = b.resize(x.src(n, t), I64)
        v = b.make("shl", v, b.const(I64, 40))
        wide.append(b.make("shr_s" if t[0] == "s" else "shr_u", v, b.const(I64, 40)))
    p = b.make("imul", *wide)
    r = b.resize(b.make("shr_u", p, b.const(I64, 16)) if part == "hi" else p, I32)
    if x.name == "mad24":
        r = clamp_add(b, r, x.src(3, t), "add") if sat else b.make("iadd", r, x.src(3, t))
    x.dst(0, r)


@lifts("sad")
def sad(x: X) -> None:
    b, t = x.b, x.type()
    x.dst(0, b.make("iadd", distance(b, x.src(1, t), x.src(2, t), t[0] == "s"), x.src(3, t)))


def distance(b: Body, a: Value, c: Value, signed: bool) -> Value:
    s = "s" if signed else "u"
    return b.make("isub", b.make(f"imax_{s}", a, c), b.make(f"imin_{s}", a, c))  # type: ignore[no-any-return]


@lifts("div", "rem")
def div_rem(x: X) -> None:
    from .floats import float_div

    if is_float(x.words[-1]):
        float_div(x)
        return
    t = x.type()
    x.dst(0, x.b.make(f"i{x.name}_{'s' if t[0] == 's' else 'u'}", x.src(1, t), x.src(2, t)))


@lifts("neg", "abs")
def neg_abs(x: X) -> None:
    b, ftz, t = x.b, x.flag("ftz"), x.type()
    from .floats import flushed

    a = x.src(1, t)
    base = PACKED.get(t, t)
    if is_float(base):
        x.dst(0, on(x, t, [a], lambda v: b.make("f" + x.name, flushed(b, v) if ftz else v)))
    else:
        x.dst(0, on(x, t, [a], lambda v: b.make("i" + x.name, v)))


@lifts("min", "max")
def min_max(x: X) -> None:
    from .floats import float_min_max

    if x.words[-1][0] == "f" or x.words[-1].startswith("bf"):
        float_min_max(x)
        return
    b, relu, t = x.b, x.flag("relu"), x.type()
    base = PACKED.get(t, t)
    s = "s" if base[0] == "s" else "u"

    def one(p: Value, q: Value) -> Value:
        r = b.make(f"i{x.name}_{s}", p, q)
        return b.make("imax_s", r, b.const(r.type, 0)) if relu else r  # type: ignore[no-any-return]

    x.dst(0, on(x, t, [x.src(1, t), x.src(2, t)], one))


@lifts("popc", "clz")
def popc_clz(x: X) -> None:
    t = x.type()
    x.dst(0, x.b.resize(x.b.make(x.name, x.src(1, t)), I32))


@lifts("brev")
def brev(x: X) -> None:
    x.dst(0, x.b.make("brev", x.src(1, x.type())))


@lifts("bfind")
def bfind(x: X) -> None:
    b, shift, t = x.b, x.flag("shiftamt"), x.type()
    a = x.src(1, t)
    ty = a.type
    if t[0] == "s":
        a = b.make("select", b.make("icmp", a, b.const(ty, 0), pred="slt"), b.invert(a), a)
    n = b.resize(b.make("clz", a), I32)
    none = b.make("icmp", a, b.const(ty, 0), pred="eq")
    r = n if shift else b.make("isub", b.const(I32, ty.elem.bits - 1), n)
    x.dst(0, b.make("select", none, b.const(I32, -1), r))


@lifts("fns")
def fns(x: X) -> None:
    """PTX ISA 9.7.1.17: the n-th set bit from `base`, upwards or downwards, inclusive."""
    b = x.b
    x.type()
    mask, base, offset = x.src(1, "b32"), x.src(2, "b32"), x.src(3, "s32")
    zero, minus = b.const(I32, 0), b.const(I32, -1)
    down = b.make("icmp", offset, zero, pred="slt")
    count = b.make("select", down, b.make("isub", zero, offset), offset)
    r, seen = minus, zero
    for k in range(32):
        pos = b.make("select", down, b.make("isub", base, b.const(I32, k)), b.make("iadd", base, b.const(I32, k)))
        inside = b.make("icmp", pos, b.const(I32, 32), pred="ult")
        bit = b.both(b.make("icmp", b.both(b.make("shr_u", mask, pos), b.const(I32, 1)), zero, pred="ne"), inside)
        seen = b.make("iadd", seen, b.make("zext", bit, to=I32))
        hit = b.both(b.both(bit, b.make("icmp", seen, count, pred="eq")), b.make("icmp", r, minus, pred="eq"))
        r = b.make("select", hit, pos, r)
    here = b.make("icmp", b.both(b.make("shr_u", mask, base), b.const(I32, 1)), zero, pred="ne")
    x.dst(0, b.make("select", b.make("icmp", offset, zero, pred="eq"), b.make("select", here, base, minus), r))


def low_byte(b: Body, v: Value) -> Value:
    return b.both(v, b.const(I32, 255))


def mask_of(b: Body, ty: Scalar, n: Value) -> Value:
    """n ones (all from the width on)."""
    return b.make("isub", b.make("shl", b.const(ty, 1), b.resize(n, ty)), b.const(ty, 1))  # type: ignore[no-any-return]


@lifts("bfe")
def bfe(x: X) -> None:
    """PTX ISA 9.7.1.19; the sign is bit min(pos + len − 1, msb), 0 for a length of 0."""
    b, t = x.b, x.type()
    a, pos, length = x.src(1, t), low_byte(b, x.src(2, "b32")), low_byte(b, x.src(3, "b32"))
    ty = a.type.elem
    ones = mask_of(b, ty, length)
    r = b.both(b.make("shr_s" if t[0] == "s" else "shr_u", a, b.resize(pos, ty)), ones)
    if t[0] == "s":
        last = b.make("imin_u", b.make("isub", b.make("iadd", pos, length), b.const(I32, 1)), b.const(I32, ty.bits - 1))
        sign = b.both(b.make("shr_u", a, b.resize(last, ty)), b.const(ty, 1))
        some = b.both(b.make("icmp", sign, b.const(ty, 0), pred="ne"), b.make("icmp", length, b.const(I32, 0), pred="ne"))
        r = b.make("select", some, b.either(r, b.invert(ones)), r)
    x.dst(0, r)


@lifts("bfi")
def bfi(x: X) -> None:
    b, t = x.b, x.type()
    a, c = x.src(1, t), x.src(2, t)
    pos, length = low_byte(b, x.src(3, "b32")), low_byte(b, x.src(4, "b32"))
    ty = a.type.elem
    where = b.make("shl", mask_of(b, ty, length), b.resize(pos, ty))
    moved = b.make("shl", a, b.resize(pos, ty))
    x.dst(0, b.either(b.both(c, b.invert(where)), b.both(moved, where)))


@lifts("bmsk")
def bmsk(x: X) -> None:
    b, wrap = x.b, x.need("wrap", "clamp") == "wrap"
    x.type()
    a, n = x.src(1, "b32"), x.src(2, "b32")
    if wrap:
        a, n = b.both(a, b.const(I32, 31)), b.both(n, b.const(I32, 31))
    x.dst(0, b.make("shl", mask_of(b, I32, n), a))


@lifts("szext")
def szext(x: X) -> None:
    b, wrap, t = x.b, x.need("wrap", "clamp") == "wrap", x.type()
    a, n = x.src(1, t), x.src(2, "u32")
    if wrap:
        n = b.both(n, b.const(I32, 31))
    big = b.make("icmp", n, b.const(I32, 31), pred="ugt")
    zero = b.make("icmp", n, b.const(I32, 0), pred="eq")
    k = b.make("isub", b.const(I32, 32), n)
    r = b.make("shr_s" if t[0] == "s" else "shr_u", b.make("shl", a, k), k)
    x.dst(0, b.make("select", zero, b.const(I32, 0), b.make("select", big, a, r)))


@lifts("dp4a")
def dp4a(x: X) -> None:
    b = x.b
    t, u = x.types()
    a, c = x.src(1, t), x.src(2, u)
    x.dst(0, b.make("dot4", a, c, x.src(3, "b32"), signs=t[0] + u[0]))


@lifts("dp2a")
def dp2a(x: X) -> None:
    high = x.need("lo", "hi") == "hi"
    b = x.b
    t, u = x.types()
    a, c, r = x.src(1, t), x.src(2, u), x.src(3, "b32")
    for k in range(2):
        p = field(b, a, k * 16, 16, t[0] == "s")
        q = field(b, c, (k + 2 * high) * 8, 8, u[0] == "s")
        r = b.make("iadd", r, b.make("imul", p, q))
    x.dst(0, r)


def field(b: Body, v: Value, at: int, width: int, signed: bool) -> Value:
    """Bits at … at+width−1 of an i32, extended."""
    up = b.make("shl", v, b.const(I32, 32 - width - at))
    return b.make("shr_s" if signed else "shr_u", up, b.const(I32, 32 - width))  # type: ignore[no-any-return]


# ---- comparison and selection ---------------------------------------------------------------------------------------

ORDERED = {"eq": "oeq", "ne": "one", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "equ": "ueq", "neu": "une", "ltu": "ult", "leu": "ule",
           "gtu": "ugt", "geu": "uge", "num": "ord", "nan": "uno"}  # fmt: skip
SIGNED = {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "lo": "ult", "ls": "ule", "hi": "ugt", "hs": "uge"}
UNSIGNED = {"eq": "eq", "ne": "ne", "lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge", "lo": "ult", "ls": "ule", "hi": "ugt", "hs": "uge"}


def compare(b: Body, t: str, cmp: str, a: Value, c: Value, ftz: bool) -> Value:
    if is_float(t):
        from .floats import flushed

        if ftz:
            a, c = flushed(b, a), flushed(b, c)
        return b.make("fcmp", a, c, pred=ORDERED[cmp])  # type: ignore[no-any-return]
    return b.make("icmp", a, c, pred=(SIGNED if t[0] == "s" else UNSIGNED)[cmp])  # type: ignore[no-any-return]


def combine(x: X, boolop: str, p: Value, n: int) -> Value:
    return x.b.make(boolop, p, x.src(n, "pred")) if boolop else p


@lifts("setp")
def setp(x: X) -> None:
    b, ftz = x.b, x.flag("ftz")
    cmp, boolop = x.pick(*ORDERED, *SIGNED), x.pick("and", "or", "xor")
    t = x.type()
    if not cmp:
        raise x.bad("a comparison is missing")
    if t in PACKED and not isinstance(x.operand(0), Pair):
        raise x.bad("two predicates are expected")
    a, c = x.src(1, t), x.src(2, t)
    d = x.operand(0)
    if t in PACKED:
        (a0, a1), (c0, c1) = halves(b, a), halves(b, c)
        elem = ir_type(PACKED[t])
        for o, p, q in zip((d.first, d.second), (a0, a1), (c0, c1)):
            x.put(o, combine(x, boolop, compare(b, PACKED[t], cmp, b.cast(p, elem), b.cast(q, elem), ftz), 3))
        return
    p = compare(b, t, cmp, a, c, ftz)
    if isinstance(d, Pair):
        first, second = combine(x, boolop, p, 3), combine(x, boolop, b.invert(p), 3)
        x.put(d.first, first)
        x.put(d.second, second)
    else:
        x.put(d, combine(x, boolop, p, 3))


@lifts("set")
def set_(x: X) -> None:
    b, ftz = x.b, x.flag("ftz")
    cmp, boolop = x.need(*ORDERED, *SIGNED), x.pick("and", "or", "xor")
    to, t = x.types()
    a, c = x.src(1, t), x.src(2, t)

    def one(p: Value, q: Value, u: str, out: str) -> Value:
        r = combine(x, boolop, compare(b, u, cmp, p, q, ftz), 3)
        if is_float(out):
            ty = ir_type(out)
            return b.make("select", r, b.const(ty, 1.0), b.const(ty, 0.0))  # type: ignore[no-any-return]
        return b.make("sext", r, to=ir_type(out))  # type: ignore[no-any-return]

    if t in PACKED:
        out = PACKED.get(to, "u16")
        elem = ir_type(PACKED[t])
        parts = [halves(b, v) for v in (a, c)]
        x.dst(0, joined(b, *(one(b.cast(parts[0][k], elem), b.cast(parts[1][k], elem), PACKED[t], out) for k in (0, 1))))
    else:
        x.dst(0, one(a, c, t, to))


@lifts("selp")
def selp(x: X) -> None:
    t = x.type()
    x.dst(0, x.b.make("select", x.src(3, "pred"), x.src(1, t), x.src(2, t)))


@lifts("slct")
def slct(x: X) -> None:
    b, ftz = x.b, x.flag("ftz")
    t, u = x.types()
    c = x.src(3, u)
    p = compare(b, u, "ge", c, b.const(c.type, 0), ftz)
    x.dst(0, b.make("select", p, x.src(1, t), x.src(2, t)))


# ---- logic and shifts -----------------------------------------------------------------------------------------------


@lifts("and", "or", "xor")
def logic(x: X) -> None:
    t = x.type()
    x.dst(0, x.b.make(x.name, x.src(1, t), x.src(2, t)))


@lifts("not")
def not_(x: X) -> None:
    t = x.type()
    x.dst(0, x.b.invert(x.src(1, t)))


@lifts("cnot")
def cnot(x: X) -> None:
    b, t = x.b, x.type()
    a = x.src(1, t)
    x.dst(0, b.make("zext", b.make("icmp", a, b.const(a.type, 0), pred="eq"), to=a.type))


@lifts("lop3")
def lop3(x: X) -> None:
    b, boolop = x.b, x.pick("and", "or")
    x.type()
    a = [x.src(n, "b32") for n in (1, 2, 3)]
    r = lookup(b, a, x.number(4) & 255)
    d = x.operand(0)
    if isinstance(d, Pair):
        some = b.make("icmp", r, b.const(I32, 0), pred="ne")
        x.put(d.first, r)
        x.put(d.second, combine(x, boolop, some, 5))
    else:
        x.put(d, r)


def lookup(b: Body, a: list[Value], table: int) -> Value:
    """Bitwise function of three values; bit 4·a + 2·b + c of the table."""
    zero, ones = b.const(I32, 0), b.const(I32, -1)

    def choose(bits: int, width: int, vs: list[Value]) -> Value:
        if bits == 0:
            return zero
        if bits == (1 << width) - 1:
            return ones
        half = width // 2
        low, high = bits & ((1 << half) - 1), bits >> half
        if low == high:
            return choose(low, half, vs[1:])
        v = vs[0]
        if half >= 1 and low == ((1 << half) - 1) ^ high:  # xor with the variable
            return b.make("xor", v, choose(low, half, vs[1:]))  # type: ignore[no-any-return]
        p, q = choose(high, half, vs[1:]), choose(low, half, vs[1:])
        if p is zero:
            return b.both(b.invert(v), q)
        if q is zero:
            return b.both(v, p)
        if p is ones:
            return b.either(v, q)
        if q is ones:
            return b.either(b.invert(v), p)
        return b.either(b.both(v, p), b.both(b.invert(v), q))

    return choose(table, 8, a)


@lifts("shl", "shr")
def shift(x: X) -> None:
    b, t = x.b, x.type()
    a, n = x.src(1, t), x.src(2, "u32")
    ty = a.type.elem
    n = b.make("imin_u", n, b.const(I32, ty.bits)) if b.constant_of(n) is None else n
    name = "shl" if x.name == "shl" else "shr_s" if t[0] == "s" else "shr_u"
    known = b.constant_of(n)
    n = b.const(ty, min(known & 0xFFFFFFFF, ty.bits)) if known is not None else b.resize(n, ty)
    x.dst(0, b.make(name, a, n), t[0] == "s")


@lifts("shf")
def shf(x: X) -> None:
    b = x.b
    left, wrap = x.need("l", "r") == "l", x.need("wrap", "clamp") == "wrap"
    x.type()
    a, c, n = x.src(1, "b32"), x.src(2, "b32"), x.src(3, "u32")
    n = b.both(n, b.const(I32, 31)) if wrap else b.make("imin_u", n, b.const(I32, 32))
    w, k = joined(b, a, c), b.resize(n, I64)
    if left:
        r = b.make("shr_u", b.make("shl", w, k), b.const(I64, 32))
    else:
        r = b.make("shr_u", w, k)
    x.dst(0, b.resize(r, I32))


_ = (Any, F16, I8, Sym)
