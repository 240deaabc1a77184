"""Exact arithmetic for the expected values: rounding of fractions, bit fields, conversions."""
from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np


class Format(NamedTuple):
    """A binary floating-point format: bits of precision, exponents of the least and of the greatest normal number, NumPy type if any."""
    p: int
    emin: int
    emax: int
    dtype: Any = np.float32


F16, F32, F64, BF16 = Format(11, -14, 15, np.float16), Format(24, -126, 127), Format(53, -1022, 1023, np.float64), Format(8, -126, 127, ml_dtypes.bfloat16)
TF32 = Format(11, -126, 127)



def integer(x: Fraction, mode: str) -> int:
    """Round a fraction to an integer: rn (to even), rna (away), rz, rm, rp."""
    low = math.floor(x)
    if mode == "rm" or low == x:
        return low
    if mode == "rp":
        return low + 1
    if mode == "rz":
        return low if x > 0 else low + 1
    if mode == "rna":
        return math.floor(x + Fraction(1, 2)) if x > 0 else -math.floor(-x + Fraction(1, 2))
    twice = 2 * (x - low)
    return low + (twice > 1 or (twice == 1 and low % 2))


def exponent(x: Fraction) -> int:
    """floor(log2 |x|) of a number other than zero."""
    x = abs(x)
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if x >= Fraction(2) ** e else e - 1


def rounded(x: Fraction, fmt: Format = F32, mode: str = "rn", sign: bool = False) -> float:
    """The nearest number of a format (zero takes its sign from `sign`); past the greatest: infinity or the greatest, as the mode says."""
    if x == 0:
        return -0.0 if sign else 0.0
    quantum = Fraction(2) ** (max(exponent(x), fmt.emin) - fmt.p + 1)
    y = integer(x / quantum, mode) * quantum
    top = (2 - Fraction(2) ** (1 - fmt.p)) * Fraction(2) ** fmt.emax
    if abs(y) > top:
        to_top = mode == "rz" or (mode == "rm" and x > 0) or (mode == "rp" and x < 0)
        return (1 if x > 0 else -1) * (float(top) if to_top else math.inf)
    return math.copysign(abs(float(y)), 1 if x > 0 else -1)


def ftz(x: float, fmt: Format = F32) -> float:
    """A subnormal becomes a zero of its sign."""
    return math.copysign(0.0, x) if abs(x) < 2.0 ** fmt.emin else x


def fma(a: float, b: float, c: float, fmt: Format = F32, mode: str = "rn", flush: bool = False) -> float:
    """a·b + c, rounded once."""
    if flush:
        a, b, c = ftz(a, fmt), ftz(b, fmt), ftz(c, fmt)
    if not all(map(math.isfinite, (a, b, c))):
        if math.isfinite(a) and math.isfinite(b):
            return c
        if math.isnan(a) or math.isnan(b) or a == 0 or b == 0:
            return math.nan
        return math.copysign(1, a) * math.copysign(1, b) * math.inf + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    minus_p, minus_c = math.copysign(1, a) * math.copysign(1, b) < 0, math.copysign(1, c) < 0
    cancel = mode == "rm"
    zero_sign = (minus_p and minus_c) if (minus_p == minus_c) else cancel
    if exact == 0 and Fraction(a) * Fraction(b) != 0:
        zero_sign = cancel
    out = rounded(exact, fmt, mode, zero_sign)
    return ftz(out, fmt) if flush else out


def add(a: float, b: float, fmt: Format = F32, mode: str = "rn", flush: bool = False) -> float:
    """a + b, rounded."""
    return fma(a, 1.0, b, fmt, mode, flush)


def mul(a: float, b: float, fmt: Format = F32, mode: str = "rn", flush: bool = False) -> float:
    """a·b, rounded."""
    return fma(a, b, math.copysign(0.0, -1.0 if math.copysign(1, a) * math.copysign(1, b) < 0 else 1.0), fmt, mode, flush)


def div(a: float, b: float, fmt: Format = F32, mode: str = "rn") -> float:
    """a / b, rounded."""
    negative = math.copysign(1, a) * math.copysign(1, b) < 0
    if math.isnan(a) or math.isnan(b) or (math.isinf(a) and math.isinf(b)) or (a == 0 and b == 0):
        return math.nan
    if math.isinf(a) or b == 0:
        return -math.inf if negative else math.inf
    if math.isinf(b):
        return -0.0 if negative else 0.0
    return rounded(Fraction(a) / Fraction(b), fmt, mode, negative)


def sqrt(a: float, fmt: Format = F32, mode: str = "rn") -> float:
    """√a, rounded."""
    if math.isnan(a) or a < 0:
        return math.nan
    if a == 0 or math.isinf(a):
        return a
    x = Fraction(a)
    shift = 2 * (fmt.p + 4) + 2 * abs(exponent(x)) + 8
    scaled = x * 4 ** shift
    root = math.isqrt(int(scaled))
    exact = Fraction(root, 2 ** shift)
    if exact * exact != x:
        exact += Fraction(1, 2 ** (shift + 1))
    return rounded(exact, fmt, mode)


def each(fn: Callable[..., Any], *arrays: Any, dtype: Any = np.float32) -> np.ndarray:
    """fn on the elements (as Python numbers) of arrays; integers wrap to the type."""
    dt = np.dtype(dtype)
    values = [fn(*t) for t in zip(*[(np.asarray(a) if np.asarray(a).dtype.kind != "V" else np.asarray(a).astype(np.float64)).tolist() for a in arrays])]
    if dt.kind in "iu":
        bits = 8 * dt.itemsize
        return np.array([int(v) & ((1 << bits) - 1) for v in values], dtype=f"u{dt.itemsize}").view(dt)
    return np.array(values, dt)


def signed(x: int, bits: int) -> int:
    """The low bits as a two's complement number."""
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def clamp(x: int, low: int, high: int) -> int:
    """x within [low, high]."""
    return max(low, min(high, x))


def trunc_div(a: int, b: int) -> int:
    """The quotient towards zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def bits_of(x: float) -> int:
    """The bits of a number as float32."""
    return int(np.float32(x).view(np.uint32))


def float_of(bits: int) -> float:
    """The float32 of 32 bits."""
    return struct.unpack("<f", struct.pack("<I", bits & 0xffffffff))[0]


def specials(rng: np.random.Generator, n: int, dtype: Any = np.float32, scale: float = 1.0) -> np.ndarray:
    """Numbers of many magnitudes with NaN, infinities, zeros, subnormals and extremes among them."""
    info = ml_dtypes.finfo(dtype)
    x = (rng.standard_normal(n) * scale * np.exp2(rng.integers(-8, 9, n))).astype(dtype)
    odd = np.array([np.nan, np.inf, -np.inf, 0, -0.0, info.smallest_subnormal, -info.smallest_subnormal, info.tiny, -info.tiny,
                    info.max, -info.max, 1, -1, 0.5, -0.5, 1.5, 2.5, info.eps, info.tiny / dtype(2), dtype(1) + info.eps], dtype)
    at = rng.integers(0, n, n // 3)
    x[at] = rng.choice(odd, len(at))
    return x


def anyint(rng: np.random.Generator, n: int, dtype: Any = np.int32) -> np.ndarray:
    """Integers of many magnitudes with the extremes among them."""
    info = np.iinfo(dtype)
    bits = info.bits
    x = np.array([signed(int(v) >> int(s), bits) if info.min < 0 else int(v) >> int(s) for v, s in
                  zip(rng.integers(0, 1 << bits, n, np.uint64) if bits < 64 else rng.integers(0, 2**64, n, np.uint64, endpoint=False), rng.integers(0, bits, n))], dtype)
    odd = np.array([info.min, info.max, 0, 1, info.max - 1, info.min + 1, 2, 7] + ([-1, -2] if info.min < 0 else []), dtype)
    at = rng.integers(0, n, n // 4)
    x[at] = rng.choice(odd, len(at))
    return x
