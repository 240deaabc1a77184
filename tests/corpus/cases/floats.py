"""Binary32 and binary64."""
import math
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import F32, F64, add, div, each, fma, ftz, mul, specials, sqrt

case = partial(_case, file="floats", grid=4, block=128)
N = 500


def sat(x):
    """Within [0, 1]; NaN becomes 0."""
    return 0.0 if math.isnan(x) or x <= 0 else min(x, 1.0)


def rows(dtype, fns, *arrays):
    """One row per function."""
    return np.stack([each(f, *arrays, dtype=dtype) for f in fns])


def triple(rng, dtype, n=N):
    """Three arrays with specials, cancellations and near-halves."""
    a, b, c = (specials(rng, n, dtype) for _ in range(3))
    with np.errstate(all="ignore"):
        c[::9] = -(a[::9] * b[::9])
        c[4::9] = (a[4::9].astype(np.float64) * (1 + 2.0 ** -24)).astype(dtype)
    a[1::50], b[1::50] = np.ldexp(dtype(1), -70 if dtype == np.float32 else -540), np.ldexp(dtype(1.5), -75 if dtype == np.float32 else -530)
    return a, b, c


@case("fma32")
def fma32(rng):
    """Every rounding, flushing and saturation."""
    a, b, c = triple(rng, np.float32)
    fns = [*[lambda x, y, z, m=m: fma(x, y, z, F32, m) for m in ("rn", "rz", "rm", "rp")],
           lambda x, y, z: fma(x, y, z, flush=True), lambda x, y, z: sat(fma(x, y, z)),
           lambda x, y, z: add(x, z), lambda x, y, z: add(x, z, F32, "rz"), lambda x, y, z: add(x, -z, F32, "rm"), lambda x, y, z: add(x, -z, F32, "rp", True),
           lambda x, y, z: mul(x, y), lambda x, y, z: mul(x, y, F32, "rz", True), lambda x, y, z: mul(x, y, F32, "rm"),
           lambda x, y, z: sat(mul(x, y, F32, "rp")), lambda x, y, z: sat(add(x, z, flush=True))]
    return Case([a, b, c, np.zeros((15, N), np.float32), np.int32(N)], {3: rows(np.float32, fns, a, b, c)})


@case("fma64")
def fma64(rng):
    """Every rounding."""
    a, b, c = triple(rng, np.float64)
    fns = [*[lambda x, y, z, m=m: fma(x, y, z, F64, m) for m in ("rn", "rz", "rm", "rp")],
           lambda x, y, z: add(x, z, F64), lambda x, y, z: add(x, z, F64, "rz"), lambda x, y, z: add(x, -z, F64, "rm"), lambda x, y, z: add(x, z, F64, "rp"),
           lambda x, y, z: mul(x, y, F64), lambda x, y, z: mul(x, y, F64, "rz"), lambda x, y, z: mul(x, y, F64, "rm"), lambda x, y, z: mul(x, -y, F64, "rp")]
    return Case([a, b, c, np.zeros((12, N), np.float64), np.int32(N)], {3: rows(np.float64, fns, a, b, c)})


@case("divide32")
def divide32(rng):
    """div, rcp and sqrt in every rounding."""
    a, b, _ = triple(rng, np.float32)
    fns = [*[lambda x, y, m=m: div(x, y, F32, m) for m in ("rn", "rz", "rm", "rp")], *[lambda x, y, m=m: div(1.0, y, F32, m) for m in ("rn", "rz", "rm", "rp")],
           *[lambda x, y, m=m: sqrt(x, F32, m) for m in ("rn", "rz", "rm", "rp")]]
    want = rows(np.float32, fns, a, b)
    return Case([a, b, np.zeros((12, N), np.float32), np.int32(N)], {2: want})


@case("divide64", grid=2)
def divide64(rng):
    """div, rcp and sqrt."""
    n = 200
    a, b, _ = triple(rng, np.float64, n)
    fns = [*[lambda x, y, m=m: div(x, y, F64, m) for m in ("rn", "rz", "rm", "rp")], *[lambda x, y, m=m: div(1.0, y, F64, m) for m in ("rn", "rp")],
           *[lambda x, y, m=m: sqrt(x, F64, m) for m in ("rn", "rm")]]
    return Case([a, b, np.zeros((8, n), np.float64), np.int32(n)], {2: rows(np.float64, fns, a, b)})


@case("approximate")
def approximate(rng):
    """Within three units of the last place, as the manual bounds them (sqrt and rsqrt: 2^-22.9 relative)."""
    a = (rng.standard_normal(N) * 20).astype(np.float32)
    b = np.exp2(rng.uniform(-60, 60, N)).astype(np.float32)
    a[:3], b[:3] = [0, 1, -1], [1, 2, 4]
    x, y = a.astype(np.float64), b.astype(np.float64)
    want = np.stack([x / y, x / y, 1 / y, 1 / y, np.sqrt(y), np.sqrt(y), 1 / np.sqrt(y), np.exp2(x), np.exp2(x)]).astype(np.float32)
    return Case([a, b, np.zeros((9, N), np.float32), np.int32(N)], {2: want}, rtol=3 * 2.0 ** -23)


@case("transcendental")
def transcendental(rng):
    """sin and cos within 2^-20.5 on [-2π, 2π], lg2 within 2^-22."""
    a = rng.uniform(-2 * np.pi, 2 * np.pi, N).astype(np.float32)
    b = np.exp2(rng.uniform(-20, 20, N)).astype(np.float32)
    a[0], b[:3] = 0, [1, 2, 0.5]
    x, y = a.astype(np.float64), b.astype(np.float64)
    want = np.stack([np.sin(x), np.cos(x), np.sin(x), np.cos(x), np.log2(y), np.log2(y)]).astype(np.float32)
    return Case([a, b, np.zeros((6, N), np.float32), np.int32(N)], {2: want}, atol=2.0 ** -20.4, rtol=2.0 ** -21.5)


@case("tanh32")
def tanh32(rng):
    """Within 2^-11 relative."""
    a = specials(rng, N, scale=2)
    return Case([a, np.zeros(N, np.float32), np.int32(N)], {1: np.tanh(a.astype(np.float64)).astype(np.float32)}, rtol=2.0 ** -10.9)


@case("approximate64")
def approximate64(rng):
    """Gross approximations of binary64: about 20 bits (rsqrt.approx.f64: as many as it says)."""
    a = np.exp2(rng.uniform(-300, 300, N)) * rng.choice([-1.0, 1.0], N)
    want = np.stack([1 / a, 1 / np.sqrt(np.abs(a)), 1 / np.sqrt(np.abs(a))])
    return Case([a, np.zeros((3, N)), np.int32(N)], {1: want}, rtol=2.0 ** -18)


@case("library")
def library(rng):
    """The mathematical library: a few units of the last place."""
    a = (rng.standard_normal(N) * 2).astype(np.float32)
    c = rng.standard_normal(N) * 3
    x = a.astype(np.float64)
    bump = (np.abs(a) + np.float32(0.5)).astype(np.float64)
    base = (np.abs(a) + np.float32(0.1)).astype(np.float64)
    want = np.stack([np.exp(x), np.log(bump), np.sin(x), np.cos(x), np.tanh(x), base ** np.float64(np.float32(1.7)), np.arctan2(x, 2),
                     [math.erf(v) for v in x], np.cbrt(x) + np.log1p(x * x)]).astype(np.float32)
    wide = np.stack([np.exp(c), np.log(np.abs(c) + 0.5), np.sin(c), np.sqrt(np.abs(c)) / (1 + c * c)])
    return Case([a, c, np.zeros((9, N), np.float32), np.zeros((4, N)), np.int32(N)],
                {2: lambda got: np.allclose(got, want, rtol=1e-6, atol=1e-6), 3: lambda got: np.allclose(got, wide, rtol=1e-14, atol=1e-15)})


def lesser(x, y):
    """min: a NaN loses, -0 < +0."""
    if math.isnan(x) or math.isnan(y):
        return y if math.isnan(x) else x
    return min(x, y) if x != y else (x if math.copysign(1, x) < 0 else y)


def greater(x, y):
    """max: a NaN loses, -0 < +0."""
    return -lesser(-x, -y)


@case("minmax32")
def minmax32(rng):
    """min, max, abs, neg, copysign."""
    a, b = specials(rng, N), specials(rng, N)
    b[::6] = -a[::6]
    fns = [lesser, greater, lambda x, y: lesser(ftz(x), ftz(y)), lambda x, y: abs(x), lambda x, y: -x, lambda x, y: abs(ftz(x)), lambda x, y: math.copysign(y, x)]
    return Case([a, b, np.zeros((7, N), np.float32), np.int32(N)], {2: rows(np.float32, fns, a, b)})


def integral(fn):
    """An integer rounding that keeps the sign of zero, infinities and NaN."""
    return lambda x: x if not math.isfinite(x) else math.copysign(float(fn(x)), x)


@case("minmax64")
def minmax64(rng):
    """min, max, abs, neg, copysign, floor, ceil, rint, trunc."""
    a, b = specials(rng, N, np.float64), specials(rng, N, np.float64)
    b[::6] = -a[::6]
    fns = [lesser, greater, lambda x, y: abs(x), lambda x, y: -x, lambda x, y: math.copysign(x, y), lambda x, y: math.copysign(y, x),
           lambda x, y: add(integral(math.floor)(x), -integral(math.ceil)(y), F64), lambda x, y: add(integral(round)(x), integral(math.trunc)(y), F64)]
    return Case([a, b, np.zeros((8, N)), np.int32(N)], {2: rows(np.float64, fns, a, b)})


def kinds(x, tiny):
    """The six answers of testp."""
    finite = math.isfinite(x)
    small = finite and x != 0 and abs(x) < tiny
    return finite | math.isinf(x) << 1 | (not math.isnan(x)) << 2 | math.isnan(x) << 3 | (finite and not small) << 4 | small << 5


@case("classes")
def classes(rng):
    """testp and isnan, isinf, signbit."""
    a, c = specials(rng, N), specials(rng, N, np.float64)
    a[np.isnan(a)] = np.float32(np.nan)
    want = each(lambda x, z: kinds(x, 2.0 ** -126) | kinds(z, 2.0 ** -1022) << 6 | math.isnan(x) << 12 | math.isinf(z) << 13 | (math.copysign(1, x) < 0) << 14,
                a, c, dtype=np.uint32)
    return Case([a, c, np.zeros(N, np.uint32), np.int32(N)], {2: want})


@case("polynomial")
def polynomial(rng):
    """Horner with fused operations."""
    x = rng.uniform(-2, 2, N).astype(np.float32)

    def horner(t):
        s = 0.0
        for k in range(7, -1, -1):
            s = fma(s, t, 1.0 / (k + 1), F64)
        return s
    return Case([x, np.zeros(N), np.int32(N)], {1: each(horner, x, dtype=np.float64)})
