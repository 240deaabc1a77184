"""Integer arithmetic."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import anyint, clamp, each, fma, signed, trunc_div

case = partial(_case, file="arithmetic", grid=4, block=128)
N = 500
M32, M64 = (1 << 32) - 1, (1 << 64) - 1
N32 = np.int32(N)


def table(dtype, rows, *arrays):
    """One row of the output per function of the elements."""
    return np.stack([each(row, *arrays, dtype=dtype) for row in rows])


@case("saxpy")
def saxpy(rng):
    """y = a·x + y, contracted or not: `mul; add` without roundings leaves the choice."""
    a = np.float32(rng.standard_normal())
    x, y = rng.standard_normal(N, np.float32), rng.standard_normal(N, np.float32)
    once, twice = each(lambda u, v: fma(float(a), u, v), x, y), a * x + y
    return Case([a, x, y, N32], {2: lambda got: ((got == once) | (got == twice)).all()})


def s32(x):
    """As a signed word."""
    return signed(x, 32)


def s64(x):
    """As a signed double word."""
    return signed(x, 64)


def sat(x):
    """Saturated to s32."""
    return clamp(x, -2**31, 2**31 - 1)


def low24(x):
    """The low 24 bits, signed."""
    return signed(x, 24)


INT32 = [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y,
    lambda x, y: s32(x) * s32(y) >> 32, lambda x, y: x * y >> 32,
    lambda x, y: min(s32(x), s32(y)), lambda x, y: max(s32(x), s32(y)), min, max,
    lambda x, y: x << (y & 31), lambda x, y: x >> (y & 31), lambda x, y: s32(x) >> (y & 31),
    lambda x, y: (x & y) ^ (x | ~y),
    lambda x, y: x << min(y, 32), lambda x, y: x >> min(y, 32), lambda x, y: s32(x) >> min(y, 32),
    lambda x, y: abs(s32(x)), lambda x, y: -x,
    lambda x, y: sat(s32(x) + s32(y)), lambda x, y: sat(s32(x) - s32(y)),
    lambda x, y: 7 + abs(s32(x) - s32(y)), lambda x, y: 7 + abs(x - y),
    lambda x, y: (s32(x) * s32(y) >> 32) + x, lambda x, y: sat((s32(x) * s32(y) >> 32) + s32(x)),
    lambda x, y: x * y + y,
    lambda x, y: low24(x) * low24(y), lambda x, y: (x & 0xffffff) * (y & 0xffffff) >> 16, lambda x, y: (x & 0xffffff) * (y & 0xffffff) + x,
    lambda x, y: (x & y) == 0,
]


@case("int32_ops")
def int32_ops(rng):
    """29 operations of 32 bits."""
    a, b = anyint(rng, N, np.uint32), anyint(rng, N, np.uint32)
    return Case([a, b, np.zeros((29, N), np.uint32), N32], {2: table(np.uint32, INT32, a, b)})


INT64 = [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y,
    lambda x, y: s64(x) * s64(y) >> 64, lambda x, y: x * y >> 64,
    lambda x, y: min(s64(x), s64(y)), max,
    lambda x, y: x << (y & 63), lambda x, y: x >> (y & 63), lambda x, y: s64(x) >> (y & 63),
    lambda x, y: (x & y) ^ (x | ~y),
    lambda x, y: s32(x) * s32(y), lambda x, y: (x & M32) * (y & M32), lambda x, y: s32(x) * s32(y) + x, lambda x, y: (x & M32) * (y & M32) + x,
    lambda x, y: (x * y >> 64) + x, lambda x, y: x + abs(s64(x) - s64(y)), lambda x, y: abs(s64(x)),
]


@case("int64_ops")
def int64_ops(rng):
    """18 operations of 64 bits."""
    a, b = anyint(rng, N, np.uint64), anyint(rng, N, np.uint64)
    return Case([a, b, np.zeros((18, N), np.uint64), N32], {2: table(np.uint64, INT64, a, b)})


def rem(x, y):
    """The remainder with the sign of the dividend."""
    return x - y * trunc_div(x, y)


def s16(x):
    """As a signed half word."""
    return signed(x, 16)


DIVISIONS = [
    lambda a, b, c, d: trunc_div(a, b), lambda a, b, c, d: rem(a, b), lambda a, b, c, d: (a & M32) // (b & M32), lambda a, b, c, d: (a & M32) % (b & M32),
    lambda a, b, c, d: trunc_div(c, d), lambda a, b, c, d: rem(c, d), lambda a, b, c, d: (c & M64) // (d & M64), lambda a, b, c, d: (c & M64) % (d & M64),
    lambda a, b, c, d: trunc_div(a, 7), lambda a, b, c, d: (a & M32) % 10, lambda a, b, c, d: trunc_div(c, -1000003),
    lambda a, b, c, d: trunc_div(s16(a), 3) + rem(s16(a), 13),
]


@case("divisions")
def divisions(rng):
    """Quotients and remainders; no zero divisors and no overflow."""
    a, b, c, d = anyint(rng, N), anyint(rng, N), anyint(rng, N, np.int64), anyint(rng, N, np.int64)
    b[(b == 0) | ((b == -1) & (a == a.min()))] = 3
    d[(d == 0) | ((d == -1) & (c == c.min()))] = -5
    return Case([a, b, c, d, np.zeros((12, N), np.int64), N32], {4: table(np.int64, DIVISIONS, a, b, c, d)})


M16 = 0xffff
NARROW = [
    lambda x, y, c, d: x + y, lambda x, y, c, d: x - y, lambda x, y, c, d: x * y, lambda x, y, c, d: x * y >> 16,
    lambda x, y, c, d: (x & M16) * (y & M16) >> 16, lambda x, y, c, d: x * y + x, lambda x, y, c, d: min(x, y), lambda x, y, c, d: max(x & M16, y & M16),
    lambda x, y, c, d: x << (y & 31), lambda x, y, c, d: x >> (y & 31), lambda x, y, c, d: x + abs(x - y),
    lambda x, y, c, d: x * y >> 8, lambda x, y, c, d: ((x & M16) * (y & M16) + 12345 & M32) >> 8,
    lambda x, y, c, d: signed(c + d, 8), lambda x, y, c, d: c * d & 255, lambda x, y, c, d: d >> 3 | c << 2, lambda x, y, c, d: -c if c < 0 else d,
]


@case("narrow")
def narrow(rng):
    """8 and 16 bits."""
    a, b, c, d = anyint(rng, N, np.int16), anyint(rng, N, np.int16), anyint(rng, N, np.int8), anyint(rng, N, np.uint8)
    return Case([a, b, c, d, np.zeros((17, N), np.int16), N32], {4: table(np.int16, NARROW, a, b, c, d)})


def limbs(x, count):
    """32-bit limbs, the lowest first."""
    return [x >> 32 * k & M32 for k in range(count)]


def number(words, bits=32):
    """The number of limbs."""
    return sum(int(w) << bits * k for k, w in enumerate(words))


@case("add256", grid=3, block=64)
def add256(rng):
    """256-bit sums and differences with carry and borrow out (borrow: all ones)."""
    n = 150
    a, b = anyint(rng, 8 * n, np.uint32).reshape(n, 8), anyint(rng, 8 * n, np.uint32).reshape(n, 8)
    a[:20] = M32
    b[:10] = 0
    b[:10, 0] = 1
    b[20:30] = a[20:30]
    total = np.array([limbs(number(x) + number(y), 9) for x, y in zip(a, b)], np.uint32)
    less = np.array([limbs(number(x) - number(y) & ((1 << 288) - 1), 9) for x, y in zip(a, b)], np.uint32)
    return Case([a, b, np.zeros((n, 9), np.uint32), np.zeros((n, 9), np.uint32), np.int32(n)], {2: total, 3: less})


@case("mul128")
def mul128(rng):
    """64 × 64 → 128 bits of 32-bit limbs."""
    a, b = anyint(rng, N, np.uint64), anyint(rng, N, np.uint64)
    want = np.array([limbs(int(x) * int(y), 4) for x, y in zip(a, b)], np.uint32)
    return Case([a.view(np.uint32).reshape(N, 2), b.view(np.uint32).reshape(N, 2), np.zeros((N, 4), np.uint32), N32], {2: want})


@case("add128")
def add128(rng):
    """128-bit sums, differences, and products of the low halves."""
    a, b = anyint(rng, 2 * N, np.uint64).reshape(N, 2), anyint(rng, 2 * N, np.uint64).reshape(N, 2)
    rows = [lambda x, y: number(x, 64) + number(y, 64), lambda x, y: number(x, 64) - number(y, 64), lambda x, y: int(x[0]) * int(y[0])]
    want = np.array([[[row(x, y) >> s & M64 for s in (0, 64)] for x, y in zip(a, b)] for row in rows], np.uint64)
    return Case([a, b, np.zeros((3, N, 2), np.uint64), N32], {2: want})


def reverse(x, width):
    """The bits in the other order."""
    return int(f"{x:0{width}b}"[::-1], 2)


def find(x, width, is_signed=False, shift=False):
    """bfind: the highest bit that is not a sign."""
    x = ~x & ((1 << width) - 1) if is_signed and x >> (width - 1) else x
    at = x.bit_length() - 1
    return -1 if at < 0 else width - 1 - at if shift else at


def ffs(x):
    """One more than the index of the lowest bit."""
    return (x & -x).bit_length()


BITS = [
    lambda x, w: reverse(x, 32), lambda x, w: 32 - x.bit_length(), lambda x, w: x.bit_count(), lambda x, w: ffs(x),
    lambda x, w: find(x, 32), lambda x, w: find(x, 32, True), lambda x, w: find(x, 32, False, True), lambda x, w: find(x, 32, True, True),
    lambda x, w: reverse(w, 64) >> 32, lambda x, w: 64 - w.bit_length(), lambda x, w: w.bit_count(), lambda x, w: ffs(w),
    lambda x, w: find(w, 64), lambda x, w: find(w, 64, True), lambda x, w: find(w, 64, True, True),
]


@case("bits")
def bits(rng):
    """Reversal, counts, searches."""
    a, c = anyint(rng, N, np.uint32), anyint(rng, N, np.uint64)
    return Case([a, c, np.zeros((15, N), np.uint32), N32], {2: table(np.uint32, BITS, a, c)})


def bfe(x, p, length, width, is_signed):
    """The field of `length` bits at p, filled with its sign."""
    p, length = p & 255, length & 255
    sign = (x >> min(p + length - 1, width - 1) & 1) if is_signed and length else 0
    return sum((x >> (p + k) & 1 if k < length and p + k < width else sign) << k for k in range(width))


def bfi(x, y, p, length, width):
    """y with the low bits of x at p."""
    p, length = p & 255, length & 255
    for k in range(length):
        if p + k < width:
            y = y & ~(1 << p + k) | (x >> k & 1) << p + k
    return y


def fns(mask, base, offset):
    """The n-th set bit from base."""
    if offset == 0:
        return base if mask >> base & 1 else -1
    at = [p for p in (range(base, 32) if offset > 0 else range(base, -1, -1)) if mask >> p & 1]
    return at[abs(offset) - 1] if len(at) >= abs(offset) else -1


@case("fields")
def fields(rng):
    """bfe, bfi and fns."""
    a, b, c = anyint(rng, N, np.uint32), anyint(rng, N, np.uint32), anyint(rng, N, np.uint64)
    p, length = rng.integers(0, 70, N, np.uint32), rng.integers(0, 70, N, np.uint32)
    p[:20] += 256 * rng.integers(0, 3, 20, np.uint32)
    rows = [lambda x, y, p, n: bfe(x, p, n, 32, False), lambda x, y, p, n: bfe(x, p, n, 32, True), lambda x, y, p, n: bfi(x, y, p, n, 32),
            lambda x, y, p, n: fns(x, p & 31, n % 9 - 4), lambda x, y, p, n: x >> 5 & 0x7ff]
    wide = [lambda w, p, n: bfe(w, p, n, 64, False), lambda w, p, n: bfe(w, p, n, 64, True), lambda w, p, n: bfi(w, (~w & M64) * 3 & M64, p, n, 64)]
    return Case([a, b, p, length, c, np.zeros((5, N), np.uint32), np.zeros((3, N), np.uint64), N32],
                {5: table(np.uint32, rows, a, b, p, length), 6: table(np.uint64, wide, c, p, length)})


def prmt(x, y, selectors):
    """Four bytes of the eight of y:x, each by a nibble; bit 3 spreads the sign."""
    data = x | y << 32
    out = 0
    for k, s in enumerate(selectors):
        byte = data >> 8 * (s & 7) & 255
        out |= ((255 if byte & 128 else 0) if s & 8 else byte) << 8 * k
    return out


def lop3(x, y, z, table):
    """Bitwise lookup."""
    return sum((table >> ((x >> k & 1) << 2 | (y >> k & 1) << 1 | (z >> k & 1)) & 1) << k for k in range(32))


PERMUTES = [
    lambda x, y, z: prmt(x, y, [z >> 4 * k & 7 for k in range(4)]), lambda x, y, z: prmt(x, y, [z >> 4 * k & 15 for k in range(4)]),
    lambda x, y, z: prmt(x, y, [(z & 3) + k for k in range(4)]), lambda x, y, z: prmt(x, y, [(z & 3) - k & 7 for k in range(4)]),
    lambda x, y, z: prmt(x, y, [z & 3] * 4), lambda x, y, z: prmt(x, y, [max(k, z & 3) for k in range(4)]),
    lambda x, y, z: prmt(x, y, [min(k, z & 3) for k in range(4)]), lambda x, y, z: prmt(x, y, [0, 1, 0, 1] if z & 1 == 0 else [2, 3, 2, 3]),
    lambda x, y, z: lop3(x, y, z, 0x96), lambda x, y, z: lop3(x, y, z, 0xca), lambda x, y, z: lop3(x, y, z, 0x1b),
    lambda x, y, z: (y << 32 | x) << (z & 31) >> 32, lambda x, y, z: (y << 32 | x) >> (z & 31),
    lambda x, y, z: (y << 32 | x) << min(z, 32) >> 32, lambda x, y, z: (y << 32 | x) >> min(z, 32),
    lambda x, y, z: (x << 13 | x >> 19) + (y << 7 | y >> 25),
]


@case("permutes")
def permutes(rng):
    """prmt in every mode, lop3, funnel shifts."""
    a, b = rng.integers(0, M32, N, np.uint32), rng.integers(0, M32, N, np.uint32)
    c = rng.integers(0, M32, N, np.uint32)
    c[::3] %= 40
    return Case([a, b, c, np.zeros((16, N), np.uint32), N32], {3: table(np.uint32, PERMUTES, a, b, c)})


def parts(x, bits, is_signed, first=0):
    """The fields of a word from `first` on."""
    return [signed(x >> s, bits) if is_signed else x >> s & ((1 << bits) - 1) for s in range(first, 32, bits)]


def dp(x, y, z, x_signed, y_signed, x_bits=8, first=0):
    """z plus the products of x's parts and y's bytes."""
    return z + sum(p * q for p, q in zip(parts(x, x_bits, x_signed), parts(y, 8, y_signed, first)))


DOTS = [
    lambda x, y, z: dp(x, y, z, 1, 1), lambda x, y, z: dp(x, y, z, 0, 0), lambda x, y, z: dp(x, y, z, 1, 0), lambda x, y, z: dp(x, y, z, 0, 1),
    lambda x, y, z: dp(x, y, z, 1, 1, 16), lambda x, y, z: dp(x, y, z, 0, 0, 16, 16), lambda x, y, z: dp(x, y, z, 1, 0, 16), lambda x, y, z: dp(x, y, z, 0, 1, 16, 16),
]


@case("dots")
def dots(rng):
    """dp4a and dp2a of every signedness."""
    a, b, c = (rng.integers(0, M32, N, np.uint32) for _ in range(3))
    return Case([a, b, c, np.zeros((8, N), np.uint32), N32], {3: table(np.uint32, DOTS, a, b, c)})
