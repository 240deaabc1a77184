"""sm_100a."""
import math
from functools import partial

import ml_dtypes
import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import BF16, F16, F32, Format, add, each, fma, mul, rounded, specials
from .conversions import convert
from .floats import greater, lesser, rows
from .halves import nan_max, nan_min

case = partial(_case, file="blackwell", grid=4, block=128)
N = 500


@case("packed_f32x2")
def packed_f32x2(rng):
    """Two numbers at once."""
    a, b, c = (specials(rng, 2 * N) for _ in range(3))
    fns = [lambda x, y, z: add(x, y), lambda x, y, z: mul(x, y), lambda x, y, z: fma(x, y, z), lambda x, y, z: add(x, y, F32, "rz", True),
           lambda x, y, z: fma(x, y, z, F32, "rp"), lambda x, y, z: add(x, -z, F32, "rm")]
    want = rows(np.float32, fns, a, b, c).reshape(6, N, 2)

    def same(got):
        x = got.view(np.float32).reshape(want.shape)
        assert np.array_equal(x, want, equal_nan=True)
        return np.array_equal(np.signbit(x)[~np.isnan(x)], np.signbit(want)[~np.isnan(x)])
    return Case([*(v.view(np.uint64) for v in (a, b, c)), np.zeros((6, N), np.uint64), np.int32(N)], {3: same})


@case("three_inputs")
def three_inputs(rng):
    """min and max of three, of magnitudes, with NaN that wins."""
    a, b, c = (specials(rng, N) for _ in range(3))
    b[::5] = -a[::5]

    def xorsign(x, y):
        m = greater(abs(x), abs(y))
        return m if math.isnan(m) else math.copysign(m, math.copysign(1, x) * math.copysign(1, y))
    fns = [lambda x, y, z: lesser(lesser(x, y), z), lambda x, y, z: greater(greater(x, y), z), lambda x, y, z: nan_max(nan_max(abs(x), abs(y)), abs(z)),
           lambda x, y, z: nan_min(x, y), lambda x, y, z: xorsign(x, y)]
    a[np.isnan(a)] = np.float32(np.nan)
    return Case([a, b, c, np.zeros((5, N), np.float32), np.int32(N)], {3: rows(np.float32, fns, a, b, c)})


@case("wide_accesses", grid=2, block=32)
def wide_accesses(rng):
    """Eight words and four double words."""
    a, b = rng.integers(-2**31, 2**31, (64, 8), np.int32), rng.integers(0, 2**64, (64, 4), np.uint64)
    return Case([a, np.zeros((64, 8), np.int32), b, np.zeros((64, 4), np.uint64)], {1: a[:, ::-1].copy(), 3: b[:, [1, 0, 3, 2]].copy()})


@case("redux_float", grid=2, block=96)
def redux_float(rng):
    """Minima and maxima of warps."""
    a = rng.standard_normal(192, np.float32)
    a[[3, 40, 70]] = [np.nan, np.inf, -np.inf]
    x = a.reshape(6, 32)
    want = [np.fmin.reduce(x, 1), np.fmax.reduce(x, 1), np.fmax.reduce(np.abs(x), 1), np.minimum.reduce(x, 1)]
    return Case([a, np.zeros((4, 192), np.float32), np.int32(192)], {1: np.stack([np.repeat(w, 32) for w in want])})


def code(x, kind):
    """The bits of a number in a narrow format: saturated; a NaN is the greatest number."""
    top = float(ml_dtypes.finfo(kind).max)
    clipped = np.where(np.isnan(x), top, np.clip(x, -top, top)).astype(np.float32)
    return clipped.astype(kind).view(np.uint8).astype(np.uint16)


def scale(x, up):
    """A power of two as its biased exponent: ff for NaN, at most fe."""
    if math.isnan(x):
        return 0xff
    if x == 0:
        return 0
    if math.isinf(x):
        return 0xfe
    m, e = math.frexp(x)
    e = e - 1 + (up and m != 0.5)
    return max(0, min(0xfe, e + 127))


@case("narrow_formats")
def narrow_formats(rng):
    """fp6, fp4 and scales; no zero is negative."""
    def numbers():
        a = rng.choice([-1, 1], N) * np.exp2(rng.uniform(-3, 6, N))
        a[:6] = [np.nan, np.inf, -np.inf, 0, 7.5, 0.25]
        a[6:60] = rng.integers(-64, 65, 54) / 8
        a[a == 0] = 0.0
        return np.where((a < 0) & (a > -0.3), 0.5, a).astype(np.float32)
    a, b = numbers(), numbers()

    def pair(kind, shift=8):
        return code(a, kind) << np.uint16(shift) | code(b, kind)

    def scales(up):
        return each(lambda x, y: scale(abs(x), up) << 8 | scale(abs(y), up), a, b, dtype=np.uint16)
    want = np.stack([pair(ml_dtypes.float6_e2m3fn), pair(ml_dtypes.float6_e3m2fn), pair(ml_dtypes.float4_e2m1fn, 4), scales(False), scales(True)])
    return Case([a, b, np.zeros((5, N), np.uint16), np.int32(N)], {2: want})


@case("from_narrow", grid=2)
def from_narrow(rng):
    """Every code to binary16, scales to bfloat16."""
    a = np.arange(256, dtype=np.uint16) | rng.integers(0, 256, 256, np.uint16) << np.uint16(8)

    def halves(kind, bits, source):
        parts = np.stack([source & ((1 << bits) - 1), source >> (8 if bits == 6 else 4) & ((1 << bits) - 1)], 1).astype(np.uint8)
        return parts.view(kind).astype(np.float16)
    want = np.stack([halves(ml_dtypes.float6_e2m3fn, 6, a & 0x3f3f), halves(ml_dtypes.float6_e3m2fn, 6, a & 0x3f3f), halves(ml_dtypes.float4_e2m1fn, 4, a & 0xff)])
    codes = np.stack([a & 255, a >> 8], 1).astype(np.float64)
    scales = np.where(codes == 255, np.nan, np.exp2(codes - 127))

    def same(got):
        assert np.array_equal(got[:3].copy().view(np.float16).reshape(want.shape), want)
        return np.array_equal(got[3].view(ml_dtypes.bfloat16).astype(np.float64).reshape(scales.shape), scales, equal_nan=True)
    return Case([a, np.zeros((4, 256), np.uint32), np.int32(256)], {1: same})


@case("stochastic")
def stochastic(rng):
    """Either neighbour, whatever the bits; representable numbers stay."""
    a, b = (rng.standard_normal((2, N)) * np.exp2(rng.integers(-4, 5, (2, N)))).astype(np.float32)
    a[:8], b[:8] = [1, -1, 0.5, 1.5, -3, 8, -0.25, 0.75], [2, -2, 4, -0.125, 3, 1, 5, 6]
    bits = rng.integers(0, 2**32, N, np.uint32)
    e4m3 = Format(4, -6, 8)

    def between(got, source, fmt):
        low, high = each(lambda x: convert(x, fmt, "rm"), source, dtype=np.float64), each(lambda x: convert(x, fmt, "rp"), source, dtype=np.float64)
        return ((got == low) | (got == high)).all()

    def same(got):
        h, w = got[0].view(np.float16).reshape(N, 2), got[1].view(ml_dtypes.bfloat16).reshape(N, 2)
        f = got[2].view(ml_dtypes.float8_e4m3fn).reshape(N, 4).astype(np.float64)
        pairs = [(h[:, 1], a, F16), (h[:, 0], b, F16), (w[:, 1], a, BF16), (w[:, 0], b, BF16), (f[:, 3], a, e4m3), (f[:, 2], b, e4m3), (f[:, 1], a, e4m3), (f[:, 0], b, e4m3)]
        return all(between(g.astype(np.float64), s, fmt) for g, s, fmt in pairs)
    assert rounded(1, e4m3) == 1
    return Case([a, b, bits, np.zeros((3, N), np.uint32), np.int32(N)], {3: same})
