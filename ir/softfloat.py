"""Exact float arithmetic and conversions: the arbiter of what an op's result is, to the bit.

Round to nearest even uses NumPy's own arithmetic where that is exact, and error-free transformations elsewhere (fma).  The directed
roundings, `ftz` and `sat` go through exact rational arithmetic, element by element: slow, and right by construction.  16-bit formats
are computed from exact values and rounded once.

Every function takes the result type, the operand arrays, and the op's attributes as keywords.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from .types import F64, Scalar, scalar_of

Array = Any


def _quiet(fn: Callable[..., Array]) -> Callable[..., Array]:
    def run(*args: Any, **kw: Any) -> Array:
        with np.errstate(all="ignore"):
            return fn(*args, **kw)

    run.__doc__, run.__name__ = fn.__doc__, fn.__name__
    return run


# ---- exact rounding of rationals ------------------------------------------------------------------------------------


def _format(ty: Scalar) -> tuple[int, int, int]:
    """(precision, smallest exponent of the last place, largest exponent of the first place)."""
    bias = (1 << (ty.ebits - 1)) - 1
    return ty.mant + 1, 1 - bias - ty.mant, bias + (ty.name == "f8e4m3")  # which has no infinities


def round_exact(value: Fraction, ty: Scalar, rnd: str = "rn") -> float:
    """A rational number as the nearest value of a format, in one of the four roundings; ±inf on overflow where that is the rounding."""
    if value == 0:
        return 0.0
    precision, lowest, highest = _format(ty)
    sign, v = (-1, -value) if value < 0 else (1, value)
    e = v.numerator.bit_length() - v.denominator.bit_length()
    if Fraction(2) ** e > v:
        e -= 1
    unit = max(e - precision + 1, lowest)
    scaled = v / Fraction(2) ** unit
    n, rest = divmod(scaled.numerator, scaled.denominator)
    if rest:
        up = {"rz": False, "rp": sign > 0, "rm": sign < 0}.get(rnd)
        if up is None:
            twice = 2 * rest
            up = twice > scaled.denominator or twice == scaled.denominator and n & 1 == 1
        n += up
    top = (1 << precision) - 1 - (ty.name == "f8e4m3")  # whose last pattern is NaN
    if n.bit_length() + unit > highest + 1 or n > top and unit == highest - precision + 1:
        to_inf = rnd == "rn" or rnd == "rp" and sign > 0 or rnd == "rm" and sign < 0
        largest = top * 2.0 ** (highest - precision + 1)
        return sign * (math.inf if to_inf else largest)
    return sign * math.ldexp(n, unit)


def _elementwise(ty: Scalar, exact: Callable[..., Fraction], native: Array, args: tuple[Array, ...], rnd: str,
                 terms: Callable[..., tuple[float, float]] | None = None) -> Array:  # fmt: skip
    """Where everything is finite, the exact value rounded; elsewhere what the native operation says.  `terms` are those of a sum: if it is
    zero, rounding down makes it −0 unless both are +0."""
    out = np.array(native, copy=True)
    flat = [np.broadcast_to(a, out.shape).astype(np.float64).ravel() for a in args]
    result = out.ravel()
    for i in range(result.size):
        xs = [float(a[i]) for a in flat]
        if not all(math.isfinite(x) for x in xs):
            continue
        try:
            value = exact(*(Fraction(x) for x in xs))
        except (ZeroDivisionError, ValueError):
            continue
        if value == 0:
            if rnd == "rm" and terms is not None:
                result[i] = 0.0 if all(x == 0 and math.copysign(1, x) > 0 for x in terms(*xs)) else -0.0
            continue
        rounded = round_exact(value, ty, rnd)
        result[i] = math.copysign(rounded, float(value)) if rounded == 0 else rounded
    return result.reshape(out.shape)


# ---- helpers --------------------------------------------------------------------------------------------------------


def _odd(s: Array, err: Array) -> Array:
    """s = RN(exact), err = exact − s, as f64: the exact value rounded to odd."""
    even = (s.view(np.int64) & 1) == 0
    return np.where((err != 0) & even & np.isfinite(s), np.nextafter(s, np.where(err > 0, np.inf, -np.inf)), s)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


def narrow(x: Array, ty: Scalar) -> Array:
    """f64 → ty with one rounding to nearest even."""
    if ty is F64:
        return x
    if ty.name in ("bf16", "f8e4m3", "f8e5m2"):  # these casts go through f32: round to odd first
        near = x.astype(np.float32)
        back = near.astype(np.float64)
        bits = near.view(np.int32)
        down = np.where(np.abs(back) > np.abs(x), bits - 1, bits)
        odd = np.where((back != x) & np.isfinite(x), down | 1, bits).astype(np.int32)
        return np.ascontiguousarray(odd).view(np.float32).astype(ty.np)
    return x.astype(ty.np)


def _subnormal(x: Array, ty: Scalar) -> Array:
    y = x.astype(np.float64)
    return (y != 0) & (np.abs(y) < 2.0 ** (2 - (1 << (ty.ebits - 1))))


def _flush(x: Array, ty: Scalar) -> Array:
    return np.where(_subnormal(x, ty), np.copysign(np.zeros((), ty.np), x.astype(np.float64)).astype(ty.np), x)


def _flush_own(x: Array) -> Array:
    """`_flush` of an operand whose format is not the result's."""
    ty = scalar_of(x.dtype)
    assert ty is not None
    return _flush(x, ty)


def _finish(ty: Scalar, r: Array, ftz: Any, sat: Any) -> Array:
    if ftz:
        r = _flush(r, ty)
    if sat:
        y = r.astype(np.float64)
        r = np.where(np.isnan(y) | (y <= 0), 0.0, np.minimum(y, 1.0)).astype(ty.np)
    return np.asarray(r, dtype=ty.np)


def _operation(native: Callable[..., Array], exact: Callable[..., Fraction],
               terms: Callable[..., tuple[float, float]] | None = None) -> Callable[..., Array]:  # fmt: skip
    @_quiet
    def run(ty: Scalar, *args: Array, rnd: str | None = None, ftz: Any = None, sat: Any = None, **_: Any) -> Array:
        args = tuple(np.asarray(a) for a in args)
        if ftz:
            args = tuple(_flush(a, ty) for a in args)
        r = native(ty, *args)
        if rnd not in (None, "rn"):
            r = _elementwise(ty, exact, r, args, rnd, terms)
        return _finish(ty, r, ftz, sat)

    return run


def _wide(fn: Callable[..., Array]) -> Callable[..., Array]:
    """Two-operand arithmetic: narrow formats through f32, whose single rounding is innocuous (24 ≥ 2·11 + 2)."""

    def run(ty: Scalar, *args: Array) -> Array:
        if ty.bits <= 16:
            return fn(*(a.astype(np.float32) for a in args)).astype(ty.np)
        return fn(*args)

    return run


def _fma_native(ty: Scalar, a: Array, b: Array, c: Array) -> Array:
    if ty is not F64:
        x, y, z = (v.astype(np.float64) for v in (a, b, c))
        p = x * y  # exact
        s, err = _two_sum(p, z)
        plain = ~np.isfinite(s)
        return np.where(plain, p + z, narrow(_odd(s, np.where(plain, 0, err)), ty).astype(np.float64)).astype(ty.np)
    return _fma64(a, b, c)


def _fma64(a: Array, b: Array, c: Array) -> Array:
    a, b, c = np.broadcast_arrays(a, b, c)
    p = a * b
    k = 134217729.0
    ah = a * k - (a * k - a)
    bh = b * k - (b * k - b)
    al, bl = a - ah, b - bh
    low = ((ah * bh - p) + ah * bl + al * bh) + al * bl
    th, tl = _two_sum(c, low)
    vh, vl = _two_sum(p, th)
    s, err = _two_sum(tl, vl)
    out = np.asarray(vh + _odd(np.ascontiguousarray(s), err))
    size = np.abs(p)
    fine = (size < 2.0**900) & (size > 2.0**-900) & (np.abs(a) < 2.0**990) & (np.abs(b) < 2.0**990) & (np.abs(c) < 2.0**1000)
    fine &= (np.abs(c) > 2.0**-900) | (c == 0)
    simple = ~np.isfinite(a) | ~np.isfinite(b) | ~np.isfinite(c) | (a == 0) | (b == 0)
    out = np.where(simple, np.where(np.isinf(c) & np.isfinite(a) & np.isfinite(b), c, p + c), out)  # a product that overflows is finite
    hard = ~(fine | simple)
    if hard.any():
        flat, xs, ys, zs = out.ravel().copy(), a.ravel(), b.ravel(), c.ravel()
        for i in np.flatnonzero(hard.ravel()):
            value = Fraction(float(xs[i])) * Fraction(float(ys[i])) + Fraction(float(zs[i]))
            r = round_exact(value, F64)
            flat[i] = math.copysign(r, float(np.sign(float(value > 0) - float(value < 0)))) if value else float(xs[i]) * 0.0 * float(ys[i]) + float(zs[i])
            if value == 0:
                flat[i] = 0.0
        out = flat.reshape(out.shape)
    return out


fadd = _operation(_wide(np.add), lambda a, b: a + b, lambda a, b: (a, b))
fsub = _operation(_wide(np.subtract), lambda a, b: a - b, lambda a, b: (a, -b))
fmul = _operation(_wide(np.multiply), lambda a, b: a * b)
fdiv = _operation(_wide(np.divide), lambda a, b: a / b)
ffma = _operation(_fma_native, lambda a, b, c: a * b + c, lambda a, b, c: (a * b, c))


def _sqrt_exact(ty: Scalar, a: Array, rnd: str, native: Array) -> Array:
    out = np.array(native, copy=True).ravel()
    precision, _, _ = _format(ty)
    for i, x in enumerate(np.asarray(a).astype(np.float64).ravel()):
        if not (x > 0 and math.isfinite(x)):
            continue
        value = Fraction(float(x))
        e = 2 * (precision + 4)
        scaled = value * Fraction(4) ** (e + 1100)
        root = math.isqrt(scaled.numerator // scaled.denominator)
        exact = Fraction(root, 1)
        if root * root * scaled.denominator != scaled.numerator:
            exact += Fraction(1, 2)  # strictly between: a half breaks no tie of the format
        out[i] = round_exact(exact / Fraction(2) ** (e + 1100), ty, rnd)
    return out.reshape(np.shape(a))


@_quiet
def fsqrt(ty: Scalar, a: Array, rnd: str | None = None, ftz: Any = None, sat: Any = None, **_: Any) -> Array:
    a = np.asarray(a)
    if ftz:
        a = _flush(a, ty)
    r = np.sqrt(a.astype(np.float32)).astype(ty.np) if ty.bits <= 16 else np.sqrt(a)
    if rnd not in (None, "rn"):
        r = _sqrt_exact(ty, a, rnd, r)
    return _finish(ty, r, ftz, sat)


# ---- bits and order -------------------------------------------------------------------------------------------------


def _bits(a: Array) -> Array:
    return np.ascontiguousarray(a).view(f"i{a.dtype.itemsize}")


def _sign_bit(ty: Scalar) -> Any:
    return np.array(-(1 << (ty.bits - 1)), dtype=f"i{ty.bytes}")


def fneg(ty: Scalar, a: Array, **_: Any) -> Array:
    return (_bits(a) ^ _sign_bit(ty)).view(ty.np)


def fabs(ty: Scalar, a: Array, **_: Any) -> Array:
    return (_bits(a) & ~_sign_bit(ty)).view(ty.np)


def copysign(ty: Scalar, a: Array, b: Array, **_: Any) -> Array:
    s = _sign_bit(ty)
    return ((_bits(a) & ~s) | (_bits(b) & s)).view(ty.np)


def _order(a: Array, b: Array, smaller: bool) -> Array:
    """Whether a is chosen over b, NaN aside: by value, and −0 before +0."""
    x, y = (a.astype(np.float32), b.astype(np.float32)) if a.dtype.itemsize <= 2 else (a, b)
    if smaller:
        return (x < y) | ((x == y) & np.signbit(x))
    return (x > y) | ((x == y) & ~np.signbit(x))


def _extreme(smaller: bool, nan_wins: bool) -> Callable[..., Array]:
    @_quiet
    def run(ty: Scalar, a: Array, b: Array, **_: Any) -> Array:
        nan_a, nan_b = a != a, b != b
        r = np.where(_order(a, b, smaller), a, b)
        if nan_wins:
            return np.where(nan_a | nan_b, np.array(np.nan, ty.np), r)
        return np.where(nan_a, b, np.where(nan_b, a, r))

    return run


fmin, fmax = _extreme(True, True), _extreme(False, True)
fminnum, fmaxnum = _extreme(True, False), _extreme(False, False)


def _integral(fn: Callable[..., Array]) -> Callable[..., Array]:
    @_quiet
    def run(ty: Scalar, a: Array, **_: Any) -> Array:
        r = fn(a.astype(np.float32) if ty.bits <= 16 else a)
        return copysign(ty, np.asarray(r).astype(ty.np), a)

    return run


ffloor, fceil, ftrunc, frint = _integral(np.floor), _integral(np.ceil), _integral(np.trunc), _integral(np.rint)


@_quiet
def frem(ty: Scalar, a: Array, b: Array, **_: Any) -> Array:
    x, y = (a.astype(np.float64), b.astype(np.float64)) if ty.bits <= 32 else (a, b)
    return np.fmod(x, y).astype(ty.np)


@_quiet
def fscale(ty: Scalar, a: Array, n: Array, **_: Any) -> Array:
    """a · 2^n with one rounding: exact in f64 for narrower formats, the C library's ldexp for f64."""
    return narrow(np.ldexp(a.astype(np.float64), np.clip(n, -5000, 5000).astype(np.int32)), ty)


# ---- conversions ----------------------------------------------------------------------------------------------------


def _to_float(ty: Scalar, a: Array, rnd: str | None) -> Array:
    flat = np.asarray(a).ravel()
    if rnd in (None, "rn") and flat.dtype != object:
        if ty.bits >= 32 or flat.dtype.itemsize <= 4:
            return narrow(a.astype(np.float64), ty) if ty.bits < 32 else a.astype(ty.np)
    out = [round_exact(Fraction(int(v)), ty, rnd or "rn") for v in flat]
    return narrow(np.array(out, np.float64), ty).reshape(np.shape(a))


@_quiet
def stof(ty: Scalar, a: Array, rnd: str | None = None, **_: Any) -> Array:
    return _to_float(ty, a, rnd)


@_quiet
def utof(ty: Scalar, a: Array, rnd: str | None = None, **_: Any) -> Array:
    return _to_float(ty, a.view(f"u{a.dtype.itemsize}") if a.dtype.kind == "i" else a, rnd)


def _to_int(signed: bool) -> Callable[..., Array]:
    @_quiet
    def run(ty: Scalar, a: Array, rnd: str | None = None, ftz: Any = None, **_: Any) -> Array:
        x = np.asarray(_flush_own(a) if ftz else a).astype(np.float64)
        x = {"rn": np.rint, "rm": np.floor, "rp": np.ceil}.get(rnd or "rz", np.trunc)(x)
        lo, hi = (-(1 << (ty.bits - 1)), (1 << (ty.bits - 1)) - 1) if signed else (0, (1 << ty.bits) - 1)
        kind = f"{'i' if signed else 'u'}{ty.bytes}"
        inside = (x >= lo) & (x < float(hi) + (1 if ty.bits <= 32 else 0))
        y = np.where(inside, x, 0).astype(kind)
        y = np.where(x >= float(hi), np.array(hi, kind), np.where(x <= lo, np.array(lo, kind), y))
        return np.ascontiguousarray(np.where(np.isnan(x), np.array(0, kind), y)).view(ty.np)

    return run


ftos, ftou = _to_int(True), _to_int(False)


@_quiet
def fcvt(ty: Scalar, a: Array, rnd: str | None = None, ftz: Any = None, sat: Any = None, **_: Any) -> Array:
    a = np.asarray(_flush_own(a) if ftz else a)
    r = narrow(a.astype(np.float64), ty)
    if rnd not in (None, "rn"):
        r = _elementwise(ty, lambda v: v, r, (a,), rnd)
    return _finish(ty, r, ftz, sat)
