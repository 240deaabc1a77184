"""Floating point of all widths, packed pairs and mixed precision (PTX ISA 9.7.3, 9.7.4, 9.7.5).

f32 and f64 keep rounding, flushing and saturation on the op.  For f16 flushing is explicit, since targets compute it in f32.
`.approx` ops become ours, whose bounds are tighter than the manual's.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....ir.instr import Value
from ....ir.types import F32, F64, I64, INT_OF_BITS, Scalar
from .alu import PACKED, on
from .core import Body, X, ir_type, lifts

RND = ("rn", "rz", "rm", "rp")


def flushed(b: Body, v: Value) -> Value:
    """Subnormals become zeros of their sign."""
    ty = v.type.elem
    bits = b.bits(v)
    word = bits.type.elem
    exponent = ((1 << ty.ebits) - 1) << ty.mant
    tiny = b.make("icmp", b.both(bits, b.const(word, exponent)), b.const(word, 0), pred="eq")
    zero = b.both(bits, b.const(word, 1 << (word.bits - 1)))
    return b.cast(b.make("select", tiny, zero, bits), ty)


def clamped(b: Body, v: Value) -> Value:
    """.sat: to [0, 1], NaN → +0."""
    ty = v.type
    r = b.make("fmaxnum", v, b.const(ty, 0.0))
    return b.make("fminnum", r, b.const(ty, 1.0))  # type: ignore[no-any-return]


def relu(b: Body, v: Value) -> Value:
    """Negative → +0, NaN stays (canonical)."""
    return b.make("fmax", v, b.const(v.type, 0.0))  # type: ignore[no-any-return]


def canonical(b: Body, v: Value, widest: int = 16) -> Value:
    """NaN becomes the canonical one, 0x7FFF or 0x7FFFFFFF.  Results of 16 bits always are; of f32 the manual says it of some instructions (`widest` 32)."""
    elem = v.type.elem
    if elem.bits > widest:
        return v
    word = INT_OF_BITS[elem.bits]
    nan = b.make("fcmp", v, v, pred="uno")
    return b.cast(b.make("select", nan, b.const(word, (1 << (elem.bits - 1)) - 1), b.bits(v)), elem)


def op_attrs(ty: Scalar, rnd: str, ftz: bool, sat: bool) -> dict[str, Any]:
    attrs: dict[str, Any] = {"rnd": rnd or None}
    if ty.bits != 16:
        attrs.update(ftz=ftz or None, sat=sat or None)
    return attrs


def arithmetic(b: Body, name: str, ty: Scalar, args: tuple[Value, ...], rnd: str, ftz: bool, sat: bool) -> Value:
    """One op of the table with PTX's modifiers."""
    if ty.bits == 16:
        if ftz:
            args = tuple(flushed(b, a) for a in args)
        r = b.make(name, *args)
        if ftz:
            r = flushed(b, r)
        return clamped(b, r) if sat else canonical(b, r)
    return b.make(name, *args, **op_attrs(ty, rnd, ftz, sat))  # type: ignore[no-any-return]


def float_binary(x: X, name: str) -> None:
    """add, sub, mul of floats; `add.f32.f16 d, a, c` widens its first operand."""
    b = x.b
    rnd, ftz, sat = x.pick(*RND), x.flag("ftz"), x.flag("sat")
    ts = x.types()
    t = ts[0]
    if len(ts) == 2:  # mixed: .f32.{f16,bf16}: a is narrow, c is f32
        a = b.make("fcvt", x.src(1, ts[1]), to=F32)
        x.dst(0, arithmetic(b, name, F32, (a, x.src(2, t)), rnd, ftz, sat))
        return
    ty = ir_type(PACKED.get(t, t))
    x.dst(0, on(x, t, [x.src(1, t), x.src(2, t)], lambda p, q: arithmetic(b, name, ty, (p, q), rnd, ftz, sat)))


def float_fma(x: X) -> None:
    b = x.b
    rnd, ftz, sat, rel, oob = x.pick(*RND), x.flag("ftz"), x.flag("sat"), x.flag("relu"), x.flag("oob")
    ts = x.types()
    t = ts[0]
    if len(ts) == 2:
        a, c = (b.make("fcvt", x.src(n, ts[1]), to=F32) for n in (1, 2))
        x.dst(0, arithmetic(b, "ffma", F32, (a, c, x.src(3, t)), rnd, ftz, sat))
        return
    ty = ir_type(PACKED.get(t, t))

    def one(p: Value, q: Value, r: Value) -> Value:
        v = arithmetic(b, "ffma", ty, (p, q, r), rnd, ftz, sat)
        if rel:
            v = canonical(b, relu(b, v))
        if oob:  # an operand that is the out-of-bounds NaN gives 0
            bad = None
            for w in (p, q):
                hit = b.make("icmp", b.bits(w), b.const(INT_OF_BITS[16], 0x7FFF), pred="eq")
                bad = hit if bad is None else b.either(bad, hit)
            assert bad is not None
            v = b.make("select", bad, b.const(ty, 0.0), v)
        return v

    x.dst(0, on(x, t, [x.src(n, t) for n in (1, 2, 3)], one))


@lifts("fma")
def fma(x: X) -> None:
    float_fma(x)


def float_div(x: X) -> None:
    b = x.b
    kind, ftz, t = x.pick("approx", "full", *RND), x.flag("ftz"), x.type()
    rnd = kind if kind in RND else "rn"
    x.dst(0, b.make("fdiv", x.src(1, t), x.src(2, t), rnd=rnd, ftz=ftz or None))


def float_min_max(x: X) -> None:
    b = x.b
    ftz, nan, xorsign, magnitude, rel = x.flag("ftz"), x.flag("NaN"), x.flag("xorsign"), x.flag("abs"), x.flag("relu")
    t = x.type()
    name = ("fmin" if x.name == "min" else "fmax") + ("" if nan else "num")

    def one(*args: Value) -> Value:
        ty = args[0].type.elem
        if ftz:
            args = tuple(flushed(b, a) for a in args)
        sign = None
        if xorsign:
            sign = b.make("xor", b.bits(args[0]), b.bits(args[1]))
        if magnitude or xorsign:
            args = tuple(b.make("fabs", a) for a in args)
        r = args[0]
        for a in args[1:]:
            r = b.make(name, r, a)
        if sign is not None:
            r = b.make("copysign", r, b.cast(sign, ty))
        return canonical(b, relu(b, r) if rel else r, 32 if nan else 16)

    x.dst(0, on(x, t, [x.src(n, t) for n in range(1, x.count)], one))


def unary(x: X, fn: Callable[[Body, Value], Value]) -> None:
    """Approximate functions, with `.ftz`."""
    b, ftz = x.b, x.flag("ftz")
    x.flag("approx")
    x.flag("full")
    t = x.type()

    def one(v: Value) -> Value:
        r = fn(b, flushed(b, v) if ftz else v)
        return canonical(b, flushed(b, r) if ftz else r)

    x.dst(0, on(x, t, [x.src(1, t)], one))


def _math(name: str) -> Callable[[Body, Value], Value]:
    return lambda b, v: b.make(name, v)


for _opcode, _name in (("sin", "sin"), ("cos", "cos"), ("lg2", "log2"), ("ex2", "exp2"), ("tanh", "tanh")):
    lifts(_opcode)(lambda x, name=_name: unary(x, _math(name)))  # type: ignore[misc]


@lifts("rcp", "sqrt")
def rcp_sqrt(x: X) -> None:
    b = x.b
    rnd = x.pick(*RND) or "rn"
    x.flag("approx")
    ftz = x.flag("ftz")
    t = x.type()
    a = x.src(1, t)
    if t == "f64" and ftz and x.name == "rcp":  # rcp.approx.ftz.f64 uses the upper 32 bits of its operand
        a = upper(b, a)
        r = upper(b, b.make("fdiv", b.const(F64, 1.0), a, rnd="rn"))
        x.dst(0, r)
        return
    if x.name == "rcp":
        r = b.make("fdiv", b.const(a.type, 1.0), a, rnd=rnd, ftz=ftz or None)
    else:
        r = b.make("fsqrt", a, rnd=rnd, ftz=ftz or None)
    x.dst(0, r)


def upper(b: Body, v: Value) -> Value:
    """f64 with its lower 32 bits cleared, subnormals flushed; NaN becomes the canonical one of that form."""
    r = flushed(b, b.cast(b.both(b.bits(v), b.const(I64, -(1 << 32))), F64))
    return b.make("select", b.make("fcmp", v, v, pred="uno"), b.cast(b.const(I64, 0x7FFFFFFF << 32), F64), r)  # type: ignore[no-any-return]


@lifts("rsqrt")
def rsqrt(x: X) -> None:
    b = x.b
    x.flag("approx")
    ftz, t = x.flag("ftz"), x.type()
    a = x.src(1, t)
    if t == "f64" and ftz:
        x.dst(0, upper(b, b.make("rsqrt", upper(b, a))))
        return
    r = b.make("rsqrt", flushed(b, a) if ftz else a)
    x.dst(0, flushed(b, r) if ftz else r)


@lifts("testp")
def testp(x: X) -> None:
    b = x.b
    what, t = x.need("finite", "infinite", "number", "notanumber", "normal", "subnormal"), x.type()
    a = x.src(1, t)
    m = b.make("fabs", a)
    ty = a.type.elem
    inf = b.const(ty, float("inf"))
    least = b.const(ty, 2.0 ** (2 - (1 << (ty.ebits - 1))))
    if what in ("number", "notanumber"):
        r = b.make("fcmp", a, a, pred="ord" if what == "number" else "uno")
    elif what == "infinite":
        r = b.make("fcmp", m, inf, pred="oeq")
    elif what == "finite":
        r = b.make("fcmp", m, inf, pred="olt")
    elif what == "normal":
        big = b.both(b.make("fcmp", m, inf, pred="olt"), b.make("fcmp", m, least, pred="oge"))
        r = b.either(big, b.make("fcmp", m, b.const(ty, 0.0), pred="oeq"))  # zeros count as normal
    else:
        r = b.both(b.make("fcmp", m, least, pred="olt"), b.make("fcmp", m, b.const(ty, 0.0), pred="ogt"))
    x.dst(0, r)


@lifts("copysign")
def copysign(x: X) -> None:
    t = x.type()
    x.dst(0, x.b.make("copysign", x.src(2, t), x.src(1, t)))

