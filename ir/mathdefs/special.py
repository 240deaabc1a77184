"""Roots and the error function."""
from __future__ import annotations

import math
from typing import Any

from .explog import exp_pair
from .formats import Body, F


def rsqrt(f: F, x: Any) -> Any:
    return f.b.fdiv(f.c(x, 1.0), f.b.fsqrt(x))


def cbrt(f: F, x: Any) -> Any:
    b, fmt = f.b, f.fmt
    a = b.fabs(x)
    tiny = f.lt(a, f.c(x, 2.0 ** (1 - fmt.bias)))
    lift = 3 * (fmt.mant // 3 + 1)
    huge = f.gt(a, f.c(x, 2.0 ** (fmt.bias - 3)))
    scale = f.where(tiny, f.c(x, 2.0**lift), f.where(huge, f.c(x, 2.0**-lift), f.c(x, 1.0)))
    y = b.fmul(a, scale)
    # a third of the exponent by arithmetic on the bits, good to about 5 bits
    magic = int((1 - 1 / 3) * (fmt.bias - 0.03306235651) * (1 << fmt.mant))
    t = f.floats(b.iadd(b.idiv_u(f.bits(y), f.i(x, 3)), f.i(x, magic)))
    for _ in range(2 if fmt.mant == 23 else 3):  # Halley: each triples the digits
        cube = b.fmul(b.fmul(t, t), t)
        t = b.fmul(t, b.fdiv(b.fadd(cube, b.fadd(y, y)), b.fadd(b.fadd(cube, cube), y)))
    square, square_low = f.two_product(t, t)  # one Newton step with the residual in twice the precision
    cube, cube_low = f.two_product(square, t)
    cube_low = f.fma(square_low, t, cube_low)
    residual = b.fsub(b.fsub(y, cube), cube_low)
    t = b.fadd(t, b.fdiv(residual, b.fmul(f.c(x, 3.0), square)))
    back = f.where(tiny, f.c(x, 2.0 ** -(lift // 3)), f.where(huge, f.c(x, 2.0 ** (lift // 3)), f.c(x, 1.0)))
    t = b.fmul(t, back)
    special = f.either(f.eq(a, f.c(x, 0.0)), getattr(b, "not")(b.fcmp(a, f.c(x, math.inf), pred="olt")))
    return b.copysign(f.where(special, a, t), x)


def hypot(f: F, x: Any, y: Any) -> Any:
    b, fmt = f.b, f.fmt
    ax, ay = b.fabs(x), b.fabs(y)
    swap = f.gt(ay, ax)
    big, small = f.where(swap, ay, ax), f.where(swap, ax, ay)
    far = fmt.bias // 2
    up, down = 2.0 ** (far - 8), 2.0 ** -(far - 8)
    huge, tiny = f.gt(big, f.c(x, up)), f.lt(big, f.c(x, down))
    k = f.where(huge, f.c(x, 2.0 ** -(far + 3)), f.where(tiny, f.c(x, 2.0 ** (far + fmt.mant)), f.c(x, 1.0)))
    back = f.where(huge, f.c(x, 2.0 ** (far + 3)), f.where(tiny, f.c(x, 2.0 ** -(far + fmt.mant)), f.c(x, 1.0)))
    p, q = b.fmul(big, k), b.fmul(small, k)
    square, low = f.two_product(p, p)
    other, other_low = f.two_product(q, q)
    s, s_low = f.fast_sum(square, other)
    s_low = b.fadd(s_low, b.fadd(low, other_low))
    h = b.fsqrt(s)
    residual = b.fadd(f.fma(b.fneg(h), h, s), s_low)
    h = f.where(f.gt(h, f.c(x, 0.0)), b.fadd(h, b.fdiv(residual, b.fadd(h, h))), h)
    r = b.fmul(h, back)
    r = f.where(f.either(f.is_nan(x), f.is_nan(y)), b.fadd(x, y), r)
    inf = f.c(x, math.inf)
    return f.where(f.either(f.eq(ax, inf), f.eq(ay, inf)), inf, r)


def _erfc_tail(f: F, a: Any) -> Any:
    """erfc(a) for a ≥ 0.9: exp(−a²)·P(t)/(1 + 2a) with t = (a − 3)/(a + 3)."""
    b = f.b
    limit = 10.5 if f.fmt.mant == 23 else 27.5
    a = f.where(f.gt(a, f.c(a, limit)), f.c(a, limit), a)
    t = b.fdiv(b.fsub(a, f.c(a, 3.0)), b.fadd(a, f.c(a, 3.0)))
    square, low = f.two_product(a, a)
    e = exp_pair(f, b.fneg(square), b.fneg(low))
    p = b.fdiv(f.poly(t, f.table("ERFC")), f.fma(f.c(a, 2.0), a, f.c(a, 1.0)))
    return b.fmul(e, p)


def erf(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    z = b.fmul(x, x)
    near = f.fma(f.poly(z, f.table("ERF")), x, x)
    far = b.copysign(b.fsub(f.c(x, 1.0), _erfc_tail(f, a)), x)
    r = f.where(f.lt(a, f.c(x, 0.95)), near, far)
    return f.where(f.is_nan(x), x, r)


def erfc(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    z = b.fmul(x, x)
    near = b.fsub(b.fsub(f.c(x, 1.0), x), b.fmul(f.poly(z, f.table("ERF")), x))
    tail = _erfc_tail(f, a)
    far = f.where(f.lt(x, f.c(x, 0.0)), b.fsub(f.c(x, 2.0), tail), tail)
    r = f.where(f.lt(a, f.c(x, 0.95)), near, far)
    return f.where(f.is_nan(x), x, r)


DEFINITIONS: dict[str, Body] = {"rsqrt": rsqrt, "cbrt": cbrt, "hypot": hypot, "erf": erf, "erfc": erfc}
