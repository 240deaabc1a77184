"""sin, cos, tan and their inverses."""
from __future__ import annotations

import math
from typing import Any

from .formats import Body, F


def _quadrant(f: F, x: Any) -> tuple[Any, Any, Any]:
    """x = n·π/2 + r + r_low with |r| ≤ π/4: (r, r_low, n modulo 4).  Rare large angles are reduced with integers.

    The first step is exact, and leaves a multiple of the last place of π/2, hence of that of n times its second part: so the short form of
    the exact sum holds whichever of the two is larger (Boldo, Graillat and Muller 2017, on FastTwoSum)."""
    b, fmt = f.b, f.fmt
    n, k = f.near(b.fmul(x, f.c(x, 2.0 / math.pi)))
    r = f.fma(n, f.c(x, -fmt.pio2[0]), x)
    p = b.fmul(n, f.c(x, -fmt.pio2[1]), rnd="rn")
    p_low = f.fma(n, f.c(x, -fmt.pio2[1]), b.fneg(p))
    r, low = f.fast_sum(r, p)
    r_low = f.fma(n, f.c(x, -fmt.pio2[2]), b.fadd(low, p_low))
    large = b.fcmp(b.fabs(x), f.c(x, fmt.big_angle), pred="uge")
    r, r_low, k = b.cond(large, lambda: _large(f, x), [r, r_low, k])
    return r, r_low, k


def _large(f: F, x: Any) -> list[Any]:
    """Payne and Hanek: the fraction of |x|·2/π from the right window of the bits of 2/π."""
    b, fmt = f.b, f.fmt
    w = fmt.bits.bits
    bits = getattr(b, "and")(f.bits(x), f.i(x, (1 << (w - 1)) - 1))
    e = b.isub(b.shr_u(bits, f.i(x, fmt.mant)), f.i(x, fmt.bias + fmt.mant))  # x = m · 2^e, m an integer of mant + 1 bits
    m = getattr(b, "or")(getattr(b, "and")(bits, f.i(x, (1 << fmt.mant) - 1)), f.i(x, 1 << fmt.mant))
    # |x|·2/π modulo 4 needs the bits of 2/π from 2^(1 − e) on: shift the mantissa to the top so that whole words are skipped
    up = b.iadd(e, f.i(x, w - 2))  # the window starts at weight 2¹; the table has one word of zeros in front
    word = b.shr_u(up, f.i(x, w.bit_length() - 1))
    shift = getattr(b, "and")(up, f.i(x, w - 1))
    words = [f.i(x, 0), *(f.i(x, v) for v in fmt.two_over_pi)]
    window = _pick(f, words, word, 4)
    inverse = b.isub(f.i(x, w), shift)
    a = [getattr(b, "or")(b.shl(window[j], shift), b.shr_u(window[j + 1], inverse)) for j in range(3)]
    # m · a, a being 3 words; the product's words from the top: the integer part sits in the first
    p2 = b.imulhi_u(m, a[2])
    lo1, hi1 = b.imul(m, a[1]), b.imulhi_u(m, a[1])
    s1 = b.iadd(lo1, p2)
    carry = b.zext(b.icmp(s1, p2, pred="ult"), to=fmt.bits)
    lo0 = b.iadd(b.imul(m, a[0]), hi1)
    top = b.iadd(lo0, carry)
    return _fraction(f, x, top, s1)


def _pick(f: F, words: list[Any], index: Any, count: int) -> list[Any]:
    """words[index], words[index + 1] …: a barrel of selects."""
    b = f.b
    step = 1
    while step * 2 < len(words):
        step *= 2
    zero = f.i(index, 0)
    while step:
        hit = b.icmp(getattr(b, "and")(index, f.i(index, step)), zero, pred="ne")
        keep = count + step - 1
        padded = words + [zero] * (keep + step)
        words = [b.select(hit, padded[j + step], padded[j]) for j in range(keep)]
        step //= 2
    return words[:count]


def _fraction(f: F, x: Any, top: Any, rest: Any) -> list[Any]:
    """From |x|·2/π modulo 4 as fixed point, 2 bits before the point in `top`: r, its low part, the quadrant, for signed x."""
    b, fmt = f.b, f.fmt
    w = fmt.bits.bits
    quadrant = b.shr_u(top, f.i(x, w - 2))
    high = getattr(b, "or")(b.shl(top, f.i(x, 2)), b.shr_u(rest, f.i(x, w - 2)))
    low = b.shl(rest, f.i(x, 2))
    up = b.shr_u(high, f.i(x, w - 1))  # more than half: round up, the fraction becomes negative
    quadrant = b.iadd(quadrant, up)
    # as a signed fraction of one quadrant, in [−½, ½)
    unit = 2.0**-w
    pieces = w - fmt.mant - 1  # low bits that would be rounded off are taken apart
    mask = (1 << pieces) - 1
    coarse = b.stof(getattr(b, "and")(high, f.i(x, ~mask)), to=fmt.elem)
    fine = b.utof(getattr(b, "and")(high, f.i(x, mask)), to=fmt.elem)
    finest = b.fmul(b.utof(b.shr_u(low, f.i(x, 1)), to=fmt.elem), f.c(x, 2.0 ** (1 - w)))
    fine = b.fadd(fine, finest)
    h, low_part = f.fast_sum(coarse, fine)
    h, low_part = b.fmul(h, f.c(x, unit)), b.fmul(low_part, f.c(x, unit))
    p, q = f.two_product(h, f.c(x, fmt.pio2[0]))
    q = b.fadd(q, f.fma(low_part, f.c(x, fmt.pio2[0]), b.fmul(h, f.c(x, fmt.pio2[1]))))
    r, r_low = f.fast_sum(p, q)
    negative = b.icmp(f.bits(x), f.i(x, 0), pred="slt")
    bad = getattr(b, "not")(b.fcmp(b.fabs(x), f.c(x, math.inf), pred="olt"))
    r = f.where(negative, b.fneg(r), r)
    r_low = f.where(negative, b.fneg(r_low), r_low)
    quadrant = f.where(negative, b.ineg(quadrant), quadrant)
    return [f.where(bad, f.c(x, math.nan), r), r_low, quadrant]


def _sin_poly(f: F, r: Any, low: Any, z: Any) -> Any:
    """sin(r + low)."""
    b = f.b
    t = b.fmul(f.poly(z, f.table("SIN")), z)
    return b.fadd(r, f.fma(t, r, low))


def _cos_poly(f: F, r: Any, low: Any, z: Any) -> Any:
    """cos(r + low) = 1 − z/2 + z²·P − r·low, the rounding of 1 − z/2 put back."""
    b = f.b
    half = b.fmul(z, f.c(z, 0.5))
    w = b.fsub(f.c(z, 1.0), half, rnd="rn")
    lost = b.fsub(b.fsub(f.c(z, 1.0), w, rnd="rn"), half, rnd="rn")
    t = f.fma(b.fmul(z, z), f.poly(z, f.table("COS")), b.fneg(b.fmul(r, low)))
    return b.fadd(w, b.fadd(lost, t))


def _sincos(f: F, x: Any, turn: int) -> Any:
    """sin(x + turn·π/2)."""
    b = f.b
    r, low, k = _quadrant(f, x)
    z = b.fmul(r, r)
    s, c = _sin_poly(f, r, low, z), _cos_poly(f, r, low, z)
    if turn:
        k = b.iadd(k, f.i(x, turn))
    odd = b.icmp(getattr(b, "and")(k, f.i(x, 1)), f.i(x, 0), pred="ne")
    y = f.where(odd, c, s)
    sign = b.shl(getattr(b, "and")(k, f.i(x, 2)), f.i(x, f.fmt.bits.bits - 2))
    return f.floats(b.xor(f.bits(y), sign))


def sin(f: F, x: Any) -> Any:
    y = _sincos(f, x, 0)
    return f.where(f.eq(x, f.c(x, 0.0)), x, y)


def cos(f: F, x: Any) -> Any:
    return _sincos(f, x, 1)


def tan(f: F, x: Any) -> Any:
    b = f.b
    r, low, k = _quadrant(f, x)
    z = b.fmul(r, r)
    s, c = _sin_poly(f, r, low, z), _cos_poly(f, r, low, z)
    odd = b.icmp(getattr(b, "and")(k, f.i(x, 1)), f.i(x, 0), pred="ne")
    y = b.fdiv(f.where(odd, b.fneg(c), s), f.where(odd, s, c))
    return f.where(f.eq(x, f.c(x, 0.0)), x, y)


def _atan_core(f: F, a: Any) -> Any:
    """atan of a ≥ 0."""
    b = f.b
    one = f.c(a, 1.0)
    far, mid = f.gt(a, f.c(a, math.tan(3 * math.pi / 8))), f.gt(a, f.c(a, math.tan(math.pi / 8)))
    num = f.where(far, f.c(a, -1.0), f.where(mid, b.fsub(a, one), a))
    den = f.where(far, a, f.where(mid, b.fadd(a, one), one))
    t = b.fdiv(num, den)
    z = b.fmul(t, t)
    p = b.fmul(b.fmul(f.poly(z, f.table("ATAN")), z), t)
    p2, p2_low = f.fmt.pio2[0], f.fmt.pio2[1]
    base = f.where(far, f.c(a, p2), f.where(mid, f.c(a, p2 / 2), f.c(a, 0.0)))
    base_low = f.where(far, f.c(a, p2_low), f.where(mid, f.c(a, p2_low / 2), f.c(a, 0.0)))
    return b.fadd(base, b.fadd(t, b.fadd(p, base_low)))


def atan(f: F, x: Any) -> Any:
    return f.b.copysign(_atan_core(f, f.b.fabs(x)), x)


def atan2(f: F, y: Any, x: Any) -> Any:
    b = f.b
    ay, ax = b.fabs(y), b.fabs(x)
    zero, inf = f.c(x, 0.0), f.c(x, math.inf)
    q = b.fdiv(ay, ax)
    q = f.where(f.eq(ay, zero), zero, q)  # 0/0
    q = f.where(f.both(f.eq(ay, inf), f.eq(ax, inf)), f.c(x, 1.0), q)
    r = _atan_core(f, q)
    left = b.icmp(f.bits(x), f.i(x, 0), pred="slt")
    other = b.fsub(f.c(x, 2 * f.fmt.pio2[0]), b.fsub(r, f.c(x, 2 * f.fmt.pio2[1])))
    r = f.where(left, other, r)
    r = b.copysign(r, y)
    return f.where(f.either(f.is_nan(x), f.is_nan(y)), b.fadd(x, y), r)


def _asin_poly(f: F, x: Any, z: Any) -> Any:
    """asin(x) − x for z = x² ≤ ¼."""
    return f.b.fmul(f.b.fmul(f.poly(z, f.table("ASIN")), z), x)


def asin(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    big = f.gt(a, f.c(x, 0.5))
    z = f.where(big, b.fmul(f.c(x, 0.5), b.fsub(f.c(x, 1.0), a)), b.fmul(a, a))
    t = f.where(big, b.fsqrt(z), a)
    p = _asin_poly(f, t, z)
    pio2, pio2_low = f.fmt.pio2[0], f.fmt.pio2[1]
    # π/2 − 2(t + p): the rounding of √z is put back
    low = f.where(big, b.fdiv(f.fma(b.fneg(t), t, z), b.fadd(t, t)), f.c(x, 0.0))
    tail = b.fadd(p, f.where(f.is_nan(low), f.c(x, 0.0), low))
    far = b.fsub(f.c(x, pio2), b.fsub(b.fadd(b.fadd(t, t), b.fadd(tail, tail)), f.c(x, pio2_low)))
    r = f.where(big, far, b.fadd(t, p))
    r = f.where(f.gt(a, f.c(x, 1.0)), f.c(x, math.nan), r)
    return b.copysign(r, x)


def acos(f: F, x: Any) -> Any:
    b = f.b
    a = b.fabs(x)
    big = f.gt(a, f.c(x, 0.5))
    z = f.where(big, b.fmul(f.c(x, 0.5), b.fsub(f.c(x, 1.0), a)), b.fmul(a, a))
    t = f.where(big, b.fsqrt(z), a)
    p = _asin_poly(f, t, z)
    pio2, pio2_low = f.fmt.pio2[0], f.fmt.pio2[1]
    low = f.where(big, b.fdiv(f.fma(b.fneg(t), t, z), b.fadd(t, t)), f.c(x, 0.0))
    tail = b.fadd(p, f.where(f.is_nan(low), f.c(x, 0.0), low))
    edge = b.fadd(b.fadd(t, t), b.fadd(tail, tail))  # acos(a)
    left = f.lt(x, f.c(x, 0.0))
    mirrored = b.fsub(f.c(x, 2 * pio2), b.fsub(edge, f.c(x, 2 * pio2_low)))
    signed = b.copysign(b.fadd(t, p), x)
    middle = b.fsub(f.c(x, pio2), b.fsub(signed, f.c(x, pio2_low)))
    r = f.where(big, f.where(left, mirrored, edge), middle)
    return f.where(f.gt(a, f.c(x, 1.0)), f.c(x, math.nan), r)


DEFINITIONS: dict[str, Body] = {"sin": sin, "cos": cos, "tan": tan, "asin": asin, "acos": acos, "atan": atan, "atan2": atan2}
