"""exp, log, pow and what is made of them."""
from __future__ import annotations

import math
from typing import Any

from .formats import Body, F


def _reduced(f: F, x: Any) -> tuple[Any, Any, Any]:
    """x = n·ln 2 + r: n as float and integer, and r."""
    n, k = f.near(f.b.fmul(x, f.c(x, 1.0 / math.log(2.0))))
    r = f.fma(n, f.c(x, -f.fmt.ln2[0]), x)
    return n, k, f.fma(n, f.c(x, -f.fmt.ln2[1]), r)


def _clamped(f: F, x: Any) -> Any:
    """x limited to where exp is neither 0 nor inf; NaN stays."""
    x = f.where(f.gt(x, f.c(x, f.fmt.exp_max)), f.c(x, f.fmt.exp_max), x)
    return f.where(f.lt(x, f.c(x, f.fmt.exp_min)), f.c(x, f.fmt.exp_min), x)


def _em1(f: F, r: Any) -> Any:
    """exp(r) − 1 for |r| ≤ ln 2 / 2."""
    q = f.b.fmul(f.poly(r, f.table("EXP")), r)
    return f.fma(q, r, r)


def exp(f: F, x: Any) -> Any:
    x = _clamped(f, x)
    _, k, r = _reduced(f, x)
    return f.scale(f.b.fadd(_em1(f, r), f.c(x, 1.0)), k)


def exp_pair(f: F, hi: Any, lo: Any) -> Any:
    """exp(hi + lo), lo tiny against hi."""
    hi = _clamped(f, hi)
    _, k, r = _reduced(f, hi)
    r = f.b.fadd(r, lo)
    return f.scale(f.b.fadd(_em1(f, r), f.c(hi, 1.0)), k)


def exp2(f: F, x: Any) -> Any:
    top = float(f.fmt.bias + 2)
    x = f.where(f.gt(x, f.c(x, top)), f.c(x, top), x)
    low = -float(f.fmt.bias + f.fmt.mant + 2)
    x = f.where(f.lt(x, f.c(x, low)), f.c(x, low), x)
    n, k = f.near(x)
    r = f.b.fsub(x, n)
    return f.scale(f.fma(f.poly(r, f.table("EXP2")), r, f.c(x, 1.0)), k)


def expm1(f: F, x: Any) -> Any:
    b = f.b
    c = _clamped(f, x)
    _, k, r = _reduced(f, c)
    q = _em1(f, r)
    # 2^k·q + (2^k − 1), with half the power where 2^k itself overflows; below −60 the result is −1 anyway
    low = f.i(x, -60)
    k = b.imax_s(k, low)
    half = b.isub(k, f.i(x, 1))
    s = f.power2(half)
    big = f.fma(q, s, b.fsub(s, f.c(x, 0.5)))
    result = b.fadd(big, big)
    return f.where(b.icmp(k, f.i(x, 0), pred="eq"), f.where(f.eq(x, f.c(x, 0.0)), x, q), result)


def _split(f: F, x: Any) -> tuple[Any, Any]:
    """x = m · 2^e with m in [√½, √2): (m − 1, e as float).  For positive finite x."""
    b, fmt = f.b, f.fmt
    tiny = 2.0 ** (1 - fmt.bias)
    small = f.lt(x, f.c(x, tiny))
    up = float(1 << (fmt.mant + 1))
    y = f.where(small, b.fmul(x, f.c(x, up)), x)
    bits = f.bits(y)
    one_sqrt = f.i(x, _bits_of(fmt, math.sqrt(0.5)))
    e = b.shr_s(b.isub(bits, one_sqrt), f.i(x, fmt.mant))
    m = f.floats(b.isub(bits, b.shl(e, f.i(x, fmt.mant))))
    ef = b.stof(e, to=fmt.elem)
    ef = f.where(small, b.fsub(ef, f.c(x, float(fmt.mant + 1))), ef)
    return b.fsub(m, f.c(x, 1.0)), ef


def _bits_of(fmt: Any, value: float) -> int:
    import struct

    kind = ("<f", "<I") if fmt.mant == 23 else ("<d", "<Q")
    return int(struct.unpack(kind[1], struct.pack(kind[0], value))[0])


def _log1p_small(f: F, m: Any) -> tuple[Any, Any]:
    """log(1 + m) = m + t for 1 + m in [√½, √2): returns (m, t)."""
    b = f.b
    if f.fmt.mant == 23:
        m2 = b.fmul(m, m)
        t = b.fmul(b.fmul(f.poly(m, f.table("LOG")), m2), m)
        return m, f.fma(f.c(m, -0.5), m2, t)
    half = b.fmul(f.c(m, 0.5), b.fmul(m, m))
    s = b.fdiv(m, b.fadd(m, f.c(m, 2.0)))
    z = b.fmul(s, s)
    r = b.fmul(z, f.poly(z, f.table("LOGS")))
    return m, b.fsub(b.fmul(s, b.fadd(half, r)), half)


def _log_ends(f: F, x: Any, y: Any) -> Any:
    """log's values at 0, inf, negative and NaN."""
    y = f.where(f.eq(x, f.c(x, 0.0)), f.c(x, -math.inf), y)
    y = f.where(f.eq(x, f.c(x, math.inf)), x, y)
    return f.where(f.b.fcmp(x, f.c(x, 0.0), pred="ult"), f.c(x, math.nan), y)


def log(f: F, x: Any) -> Any:
    m, e = _split(f, x)
    m, t = _log1p_small(f, m)
    t = f.fma(e, f.c(x, f.fmt.ln2[1]), t)
    return _log_ends(f, x, f.fma(e, f.c(x, f.fmt.ln2[0]), f.b.fadd(m, t)))


def _log_scaled(f: F, x: Any, factor: float, unit: float) -> Any:
    """log(x) · factor, where 2 counts `unit`: log2 and log10."""
    b = f.b
    m, e = _split(f, x)
    m, t = _log1p_small(f, m)
    hi, lo = f.fast_sum(m, t)
    high = _head(f, factor)
    p, q = f.two_product(hi, f.c(x, high))
    q = b.fadd(q, f.fma(hi, f.c(x, factor - high), b.fmul(lo, f.c(x, factor))))
    unit_high = _head(f, unit, 12)
    s, r = f.two_sum(b.fmul(e, f.c(x, unit_high)), p)
    rest = b.fadd(r, q)
    if unit != unit_high:
        rest = f.fma(e, f.c(x, unit - unit_high), rest)
    return _log_ends(f, x, b.fadd(s, rest))


def _head(f: F, value: float, drop: int = 0) -> float:
    """value rounded to the format, with `drop` low bits cleared."""
    import struct

    kind = ("<f", "<I") if f.fmt.mant == 23 else ("<d", "<Q")
    (bits,) = struct.unpack(kind[1], struct.pack(kind[0], value))
    return float(struct.unpack(kind[0], struct.pack(kind[1], bits >> drop << drop))[0])


def log2(f: F, x: Any) -> Any:
    return _log_scaled(f, x, 1.0 / math.log(2.0), 1.0)


def log10(f: F, x: Any) -> Any:
    return _log_scaled(f, x, 1.0 / math.log(10.0), math.log10(2.0))


def log1p(f: F, x: Any) -> Any:
    b = f.b
    u, low = f.two_sum(f.c(x, 1.0), x)
    m, e = _split(f, u)
    m, t = _log1p_small(f, m)
    # log(u + low) = log u + low / u
    fix = b.fdiv(low, u)
    fix = f.where(f.lt(b.fabs(x), f.c(x, 2.0 ** (f.fmt.mant + 2))), fix, f.c(x, 0.0))
    t = b.fadd(f.fma(e, f.c(x, f.fmt.ln2[1]), t), fix)
    y = f.fma(e, f.c(x, f.fmt.ln2[0]), b.fadd(m, t))
    y = f.where(f.lt(b.fabs(x), f.c(x, 2.0 ** -(f.fmt.mant + 1))), x, y)
    y = f.where(f.eq(x, f.c(x, -1.0)), f.c(x, -math.inf), y)
    y = f.where(f.eq(x, f.c(x, math.inf)), x, y)
    return f.where(b.fcmp(x, f.c(x, -1.0), pred="ult"), f.c(x, math.nan), y)


def log_pair(f: F, x: Any) -> tuple[Any, Any]:
    """log of a positive finite x as high + low, good to about twice the format's precision less 10 bits."""
    b = f.b
    m, e = _split(f, x)
    # s = m / (2 + m) as a pair
    d, d_low = f.two_sum(f.c(x, 2.0), m)
    s = b.fdiv(m, d)
    rest = f.fma(b.fneg(s), d, m)
    rest = f.fma(b.fneg(s), d_low, rest)
    s_low = b.fdiv(rest, d)
    # log(1 + m) = 2s + s·z·(2/3 + z·P(z)), the cubic term as a pair too
    z, z_low = f.two_product(s, s)
    z_low = f.fma(b.fadd(s, s), s_low, z_low)
    coefficients = _LOGP_32 if f.fmt.mant == 23 else _LOGP_64
    p = b.fmul(z, f.poly(z, coefficients))
    third = 2.0 / 3.0
    third_high = _head(f, third)
    third_low = third - third_high if f.fmt.mant == 23 else 3.700743415417188e-17
    c, c_low = f.fast_sum(f.c(x, third_high), p)
    c_low = b.fadd(c_low, f.c(x, third_low))
    sz, sz_low = f.two_product(s, z)
    sz_low = b.fadd(sz_low, f.fma(s, z_low, b.fmul(s_low, z)))
    t, t_low = f.two_product(sz, c)
    t_low = b.fadd(t_low, f.fma(sz, c_low, b.fmul(sz_low, c)))
    two_s = b.fadd(s, s)
    h, low = f.fast_sum(two_s, t)
    low = b.fadd(low, b.fadd(t_low, b.fadd(s_low, s_low)))
    # + e·ln 2
    eh = b.fmul(e, f.c(x, f.fmt.ln2[0]))
    g, g_low = f.two_sum(eh, h)
    low = b.fadd(b.fadd(g_low, low), b.fmul(e, f.c(x, f.fmt.ln2[1])))
    low = f.fma(e, f.c(x, _LN2_REST[f.fmt.mant]), low)
    return f.fast_sum(g, low)


# log((1+s)/(1−s)) = 2s + s·z·(2/3 + z·P(z)), z = s² ≤ 0.02945
_LOGP_32 = (0.4, 0.28571427, 0.22222222, 0.18229)
_LOGP_64 = (0.4, 0.2857142857142857, 0.2222222222222222, 0.18181818181818182, 0.15384615384615385, 0.13333333333333333,
            0.11764705882352941, 0.10526315789473684, 0.09523809523809523)  # fmt: skip
_LN2_REST = {23: math.log(2.0) - 0.693145751953125 - 1.428606765330187e-06, 52: 1.1612227229362532e-30}


def pow_(f: F, x: Any, y: Any) -> Any:
    """x to the y, with C99's special cases."""
    b = f.b
    zero, one, inf = f.c(x, 0.0), f.c(x, 1.0), f.c(x, math.inf)
    ax, ay = b.fabs(x), b.fabs(y)
    hi, lo = log_pair(f, ax)
    p, q = f.two_product(hi, y)
    q = f.fma(lo, y, q)
    huge = b.fcmp(b.fabs(p), f.c(x, f.fmt.exp_max * 4), pred="ogt")
    q = f.where(huge, zero, q)
    result = exp_pair(f, p, q)
    result = f.where(f.eq(ax, zero), f.where(f.gt(y, zero), zero, inf), result)
    result = f.where(f.eq(ax, inf), f.where(f.gt(y, zero), inf, zero), result)
    # |y| = inf
    grows = b.fcmp(ax, one, pred="ogt")
    up = b.fcmp(y, zero, pred="ogt")
    at_inf = f.where(f.eq(ax, one), one, f.where(b.icmp(grows, up, pred="eq"), inf, zero))
    result = f.where(f.eq(ay, inf), at_inf, result)
    # the sign: odd integers keep it, a negative base with a fraction has no value
    whole = f.eq(b.ftrunc(y), y)
    half = b.fmul(y, f.c(x, 0.5))
    odd = f.both(whole, b.fcmp(b.ftrunc(half), half, pred="une"))
    negative = b.icmp(f.bits(x), f.i(x, 0), pred="slt")
    result = f.where(f.both(odd, negative), b.fneg(result), result)
    below = f.both(f.lt(x, zero), f.both(getattr(b, "not")(whole), b.fcmp(ax, inf, pred="olt")))
    result = f.where(below, f.c(x, math.nan), result)
    result = f.where(f.either(f.is_nan(x), f.is_nan(y)), b.fadd(x, y), result)
    return f.where(f.either(f.eq(y, zero), f.eq(x, one)), one, result)


def sinh(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    t = expm1(f, a)
    small = b.fmul(f.c(x, 0.5), b.fadd(t, b.fdiv(t, b.fadd(t, f.c(x, 1.0)))))
    h = exp(f, b.fmul(f.c(x, 0.5), a))
    big = b.fmul(b.fmul(f.c(x, 0.5), h), h)
    r = f.where(f.lt(a, f.c(x, f.fmt.exp_max * 0.5)), small, big)
    r = f.where(f.lt(a, f.c(x, 2.0 ** -(f.fmt.mant // 2 + 1))), a, r)
    return b.copysign(r, x)


def cosh(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    e = exp(f, a)
    small = f.fma(f.c(x, 0.5), e, b.fdiv(f.c(x, 0.5), e))
    h = exp(f, b.fmul(f.c(x, 0.5), a))
    big = b.fmul(b.fmul(f.c(x, 0.5), h), h)
    return f.where(f.lt(a, f.c(x, f.fmt.exp_max * 0.5)), small, big)


def tanh(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    limit = 10.0 if f.fmt.mant == 23 else 22.0
    c = f.where(f.gt(a, f.c(x, limit)), f.c(x, limit), a)
    t = expm1(f, b.fadd(c, c))
    r = b.fdiv(t, b.fadd(t, f.c(x, 2.0)))
    return b.copysign(f.where(f.is_nan(x), a, r), x)


def asinh(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    big = f.gt(a, f.c(x, 2.0 ** (f.fmt.mant + 4)))
    c = f.where(big, f.c(x, 1.0), a)
    square = b.fmul(c, c)
    small = log1p(f, b.fadd(c, b.fdiv(square, b.fadd(f.c(x, 1.0), b.fsqrt(b.fadd(square, f.c(x, 1.0)))))))
    large = b.fadd(log(f, a), f.c(x, math.log(2.0)))
    return b.copysign(f.where(big, large, small), x)


def acosh(f: F, x: Any) -> Any:
    b = f.b
    big = f.gt(x, f.c(x, 2.0 ** (f.fmt.mant + 4)))
    t = b.fsub(f.where(big, f.c(x, 2.0), x), f.c(x, 1.0))
    small = log1p(f, b.fadd(t, b.fsqrt(f.fma(t, t, b.fadd(t, t)))))
    large = b.fadd(log(f, x), f.c(x, math.log(2.0)))
    return f.where(f.lt(x, f.c(x, 1.0)), f.c(x, math.nan), f.where(big, large, small))


def atanh(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    t = b.fdiv(b.fadd(a, a), b.fsub(f.c(x, 1.0), a))
    r = b.fmul(f.c(x, 0.5), log1p(f, t))
    r = f.where(f.gt(a, f.c(x, 1.0)), f.c(x, math.nan), r)
    r = f.where(f.lt(a, f.c(x, 2.0 ** -(f.fmt.mant // 2 + 2))), a, r)
    return b.copysign(r, x)


DEFINITIONS: dict[str, Body] = {"exp": exp, "exp2": exp2, "expm1": expm1, "log": log, "log2": log2, "log10": log10, "log1p": log1p, "pow": pow_,
                                "sinh": sinh, "cosh": cosh, "tanh": tanh, "asinh": asinh, "acosh": acosh, "atanh": atanh}  # fmt: skip
