"""Conversions between numbers."""
import math
from fractions import Fraction
from functools import partial

import ml_dtypes
import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import BF16, F16, F32, F64, TF32, anyint, clamp, each, ftz, integer, rounded, signed, specials
from .floats import rows, sat

case = partial(_case, file="conversions", grid=4, block=128)
N = 500


def to_int(x, bits, is_signed, mode):
    """Clamped to the type; a NaN is 0, or 1 << 63 for 64 bits."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    if math.isnan(x):
        return 1 << 63 if bits == 64 else 0
    if math.isinf(x):
        return high if x > 0 else low
    return clamp(integer(Fraction(x), mode), low, high)


def convert(x, fmt, mode="rn"):
    """Rounded to a format."""
    return rounded(Fraction(x), fmt, mode, math.copysign(1, x) < 0) if math.isfinite(x) else x


def numbers(rng, dtype, scale=300.0):
    """Numbers around the limits of the integer types."""
    a = specials(rng, N, dtype, scale)
    edges = [127.5, 128, -128.5, 255.5, 32767.5, 65535.5, -32768.5, 2**31 - 1, 2.0**31, -2.0**31, 2.0**32, 2.0**63, -2.0**63, 2.0**64, 0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -1e30]
    a[:len(edges)] = edges
    return a


@case("float_to_int")
def float_to_int(rng):
    """Every rounding and width."""
    a = numbers(rng, np.float32)
    kinds = [(32, 1, "rn"), (32, 1, "rz"), (32, 1, "rm"), (32, 1, "rp"), (32, 0, "rn"), (32, 0, "rz"), (32, 0, "rp"), (16, 1, "rz"), (16, 0, "rm"), (8, 1, "rn"), (8, 0, "rz")]
    fns = [lambda x, k=k: to_int(ftz(x) if k == (32, 0, "rp") else x, *k) for k in kinds]
    wide = [lambda x: to_int(x, 64, 1, "rz"), lambda x: to_int(x, 64, 0, "rp")]
    return Case([a, np.zeros((11, N), np.int32), np.zeros((2, N), np.int64), np.int32(N)], {1: rows(np.int32, fns, a), 2: rows(np.int64, wide, a)})


@case("double_to_int")
def double_to_int(rng):
    """32 and 64 bits."""
    a = numbers(rng, np.float64)
    a[np.isnan(a)] = 4.5
    fns = [lambda x, k=k: to_int(x, *k) for k in [(32, 1, "rn"), (32, 1, "rz"), (32, 1, "rm"), (32, 0, "rp")]]
    wide = [lambda x, k=k: to_int(x, *k) for k in [(64, 1, "rn"), (64, 1, "rp"), (64, 0, "rz"), (64, 0, "rm")]]
    return Case([a, np.zeros((4, N), np.int32), np.zeros((4, N), np.int64), np.int32(N)], {1: rows(np.int32, fns, a), 2: rows(np.int64, wide, a)})


@case("int_to_float")
def int_to_float(rng):
    """Every rounding of 32 and 64 bits."""
    a, c = anyint(rng, N), anyint(rng, N, np.int64)

    def u32(x):
        return x & 0xffffffff

    def u64(x):
        return x & (1 << 64) - 1
    fns = [lambda x, w: convert(x, F32), lambda x, w: convert(x, F32, "rz"), lambda x, w: convert(u32(x), F32, "rm"), lambda x, w: convert(u32(x), F32, "rp"),
           lambda x, w: convert(w, F32), lambda x, w: convert(w, F32, "rz"), lambda x, w: convert(u64(w), F32, "rp"), lambda x, w: float(signed(x, 8) + (x & 0xffff))]
    wide = [lambda x, w: float(x), lambda x, w: float(u32(x)), lambda x, w: convert(w, F64), lambda x, w: convert(w, F64, "rz"),
            lambda x, w: convert(u64(w), F64, "rm"), lambda x, w: convert(u64(w), F64, "rp")]
    return Case([a, c, np.zeros((8, N), np.float32), np.zeros((6, N)), np.int32(N)], {2: rows(np.float32, fns, a, c), 3: rows(np.float64, wide, a, c)})


def integral(x, mode):
    """Rounded to an integer that keeps the sign of zero."""
    return math.copysign(float(integer(Fraction(x), mode)), x) if math.isfinite(x) else x


@case("float_to_float")
def float_to_float(rng):
    """binary64 → binary32, integral values, saturation, flushing."""
    a, c = specials(rng, N), specials(rng, N, np.float64)
    c[::8] = specials(rng, N)[::8] * (1 + 2.0 ** -24)
    c[1::16] = rng.choice([2.0 ** -149, 2.0 ** -150, 3 * 2.0 ** -150, 2.0 ** -127, 3.4028235677973366e38, 1e300, -1e-300], len(c[1::16]))
    fns = [*[lambda x, z, m=m: convert(z, F32, m) for m in ("rn", "rz", "rm", "rp")], *[lambda x, z, m=m: integral(x, m) for m in ("rn", "rz", "rm")],
           lambda x, z: integral(ftz(x), "rp"), lambda x, z: sat(x), lambda x, z: ftz(x)]
    wide = [lambda x, z: x, lambda x, z: integral(z, "rn")]
    return Case([a, c, np.zeros((10, N), np.float32), np.zeros((2, N)), np.int32(N)], {2: rows(np.float32, fns, a, c), 3: rows(np.float64, wide, a, c)})


def half_bits(x):
    """The bits of binary16; the canonical NaN is 7fff."""
    return 0x7fff if math.isnan(x) else int(np.float16(x).view(np.uint16))


def bf16_bits(x):
    """The bits of bfloat16; the canonical NaN is 7fff."""
    return 0x7fff if math.isnan(x) else int(ml_dtypes.bfloat16(x).view(np.uint16))


def relu(x):
    """Zero when not positive; NaN stays."""
    return x if math.isnan(x) or x > 0 else 0.0


def floats16(rng, fmt):
    """binary32 numbers around the limits of binary16; those that round to a zero are positive."""
    a = specials(rng, N)
    a[::5] = specials(rng, N, np.float16).astype(np.float32)[::5] * np.float32(1 + 2.0 ** -11)
    a[:8] = [65504, 65519.996, 65520, -65536, 2.0 ** -24, 2.0 ** -25, 3 * 2.0 ** -25, 2.0 ** -14]
    a[np.abs(a) <= 2.0 ** -24] = np.abs(a[np.abs(a) <= 2.0 ** -24])
    return a


@case("to_half")
def to_half(rng):
    """binary16 and bfloat16 from binary32, binary64 and integers."""
    a, c, d = floats16(rng, F16), specials(rng, N, np.float64), anyint(rng, N)
    c[::4] = rng.standard_normal(len(c[::4])) * 2.0 ** -15
    fns = [*[lambda x, z, w, m=m: half_bits(convert(x, F16, m)) for m in ("rn", "rz", "rm", "rp")], lambda x, z, w: half_bits(convert(z, F16)),
           lambda x, z, w: half_bits(convert(w, F16)), lambda x, z, w: half_bits(convert(w & 0xffff, F16, "rz")), lambda x, z, w: half_bits(relu(convert(x, F16))),
           lambda x, z, w: bf16_bits(convert(x, BF16)), lambda x, z, w: bf16_bits(convert(x, BF16, "rz")), lambda x, z, w: bf16_bits(relu(convert(x, BF16)))]
    return Case([a, c, d, np.zeros((11, N), np.uint16), np.int32(N)], {3: rows(np.uint16, fns, a, c, d)})


@case("from_half")
def from_half(rng):
    """binary16 and bfloat16 to wider numbers and to integers."""
    a, b = specials(rng, N, np.float16, 100), specials(rng, N, ml_dtypes.bfloat16)
    a[np.isnan(a)] = np.float16("nan")
    ints = [lambda x, h: to_int(x, 32, 1, "rn"), lambda x, h: to_int(x, 32, 0, "rz"), lambda x, h: to_int(x, 32, 1, "rm"),
            lambda x, h: half_bits(integral(x, "rp")) | h << 16]
    want = rows(np.int32, ints, a, a.view(np.uint16))

    def same(got):
        kept = np.isfinite(a)
        return np.array_equal(got[:3], want[:3]) and np.array_equal(got[3][kept], want[3][kept])
    return Case([a, b, np.zeros((2, N), np.float32), np.zeros(N), np.zeros((4, N), np.int32), np.int32(N)],
                {2: np.stack([a.astype(np.float32), b.astype(np.float32)]), 3: a.astype(np.float64), 4: same})


@case("packed")
def packed(rng):
    """Two numbers to one word."""
    a, b, c, d = floats16(rng, F16), floats16(rng, F16), anyint(rng, N), anyint(rng, N)
    a[np.isnan(a)] = 1.0

    def pack(fn, bits=16):
        return lambda x, y: (fn(x) & (1 << bits) - 1) << bits | fn(y) & (1 << bits) - 1
    floats = [pack(lambda x: half_bits(convert(x, F16))), pack(lambda x: half_bits(convert(x, F16, "rz"))), pack(lambda x: half_bits(relu(convert(x, F16)))),
              pack(lambda x: bf16_bits(convert(x, BF16))), pack(lambda x: bf16_bits(relu(convert(x, BF16, "rz"))))]
    ints = [pack(lambda x: clamp(x, -32768, 32767)), pack(lambda x: clamp(x, 0, 65535)), lambda x, y: pack(lambda v: clamp(v, 0, 255), 8)(x, y) | 0x5678 << 16,
            lambda x, y: pack(lambda v: clamp(v, -128, 127), 8)(x, y) | 0x5678 << 16]
    tf32 = each(lambda x: int(np.float32(convert(x, TF32, "rna")).view(np.uint32)), a, dtype=np.uint32)
    want = np.concatenate([rows(np.uint32, floats, a, b), rows(np.uint32, ints, c, d), tf32[None]])
    return Case([a, b, c, d, np.zeros((10, N), np.uint32), np.int32(N)], {4: want})


@case("int_to_int")
def int_to_int(rng):
    """Saturation, extension, truncation."""
    a, c = anyint(rng, N), anyint(rng, N, np.int64)

    def u(x, bits=32):
        return x & (1 << bits) - 1
    fns = [lambda x, w: clamp(x, -128, 127), lambda x, w: clamp(x, 0, 255), lambda x, w: clamp(u(x), 0, 32767), lambda x, w: clamp(x, 0, 65535),
           lambda x, w: max(x, 0), lambda x, w: min(u(x), 2**31 - 1), lambda x, w: clamp(w, -2**31, 2**31 - 1), lambda x, w: min(u(w, 64), 2**32 - 1),
           lambda x, w: signed(x, 8), lambda x, w: x & 0xffff, lambda x, w: signed(w, 16), lambda x, w: w & 255]
    return Case([a, c, np.zeros((12, N), np.int32), np.int32(N)], {2: rows(np.int32, fns, a, c)})
