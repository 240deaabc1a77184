"""SIMD within a word."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import clamp, signed
from .arithmetic import M32, N, anyint, s32, table

case = partial(_case, file="video", grid=4, block=128)


def lanes(x, width, is_signed, select=None):
    """The lanes of a word (or of the pair, by `select`)."""
    mask = (1 << width) - 1
    found = [x >> width * k & mask for k in (range(32 // width) if select is None else select)]
    return [signed(v, width) for v in found] if is_signed else found


def pack(values, width):
    """Lanes to a word."""
    return sum((v & ((1 << width) - 1)) << width * k for k, v in enumerate(values))


def simd(fn, width, is_signed=False, clip=None, add=False, mask=None, pick=None):
    """A video SIMD operation as a function of (x, y, z)."""
    count = 32 // width
    low, high = {None: (-2**40, 2**40), True: (-2**(width - 1), 2**(width - 1) - 1), False: (0, 2**width - 1)}[clip]
    chosen = range(count) if mask is None else mask

    def run(x, y, z=0):
        one, two = pick or (range(count), range(count, 2 * count))
        t = [clamp(fn(p, q), low, high) for p, q in zip(lanes(x | y << 32, width, is_signed, one), lanes(x | y << 32, width, is_signed, two))]
        if add:
            return z + sum(t[k] for k in chosen)
        return pack([t[k] if k in chosen else lanes(z, width, False)[k] for k in range(count)], width)
    return run


def plus(p, q):
    """Sum."""
    return p + q


def minus(p, q):
    """Difference."""
    return p - q


def distance(p, q):
    """|p − q|"""
    return abs(p - q)


def average(p, q):
    """The mean, rounded up (towards zero when negative… as vavrg says)."""
    return (p + q + 1) >> 1 if p + q >= 0 else (p + q) >> 1


INTRINSICS = [
    simd(plus, 8), simd(minus, 8, True, True), simd(plus, 8, False, False), simd(max, 8, True), simd(min, 8), simd(distance, 8),
    simd(distance, 8, add=True), simd(lambda p, q: -(p > q), 8), simd(lambda p, q: (p + q + 1) >> 1, 8), simd(plus, 16), simd(max, 16, True),
    simd(minus, 16, False, False), simd(lambda p, q: -(p == q), 16), simd(distance, 16, True), simd(lambda p, q: p == q, 8),
    simd(lambda p, q: -p, 16), simd(lambda p, q: min(abs(p), 127), 8, True),
]


def words(rng):
    """Three arrays of words with many equal lanes."""
    a, b, c = anyint(rng, N, np.uint32), rng.integers(0, M32, N, np.uint32), rng.integers(0, M32, N, np.uint32)
    b[::4] = a[::4] ^ (np.uint32(255) << (rng.integers(0, 4, len(a[::4]), np.uint32) * np.uint32(8)))
    a[1::7] |= 0x80008000
    a[2::7] |= 0x7fff7f80
    return a, b, c


@case("simd_intrinsics")
def simd_intrinsics(rng):
    """The __v intrinsics."""
    a, b, _ = words(rng)
    return Case([a, b, np.zeros((17, N), np.uint32), np.int32(N)], {2: table(np.uint32, INTRINSICS, a, b)})


ASM = [
    simd(plus, 8, False, False), simd(plus, 8, True), simd(minus, 8, True, True), simd(distance, 8, add=True), simd(max, 8, True), simd(min, 8),
    simd(average, 8), simd(lambda p, q: p >= q, 8, add=True), simd(lambda p, q: p < q, 8, True), simd(plus, 16, True, True),
    simd(minus, 16, False, False, mask=[1]), simd(max, 16, True, add=True), simd(distance, 16, True), simd(average, 16, True),
    simd(lambda p, q: p != q, 16), simd(min, 16, True, pick=([1, 0], [3, 2])), simd(plus, 8, False, False, mask=[0, 2], pick=([3] * 4, [7, 6, 5, 4])),
]


@case("simd_asm")
def simd_asm(rng):
    """vadd2, vadd4 and their like with saturation, merge masks, lane selectors and accumulation."""
    a, b, c = words(rng)
    return Case([a, b, c, np.zeros((17, N), np.uint32), np.int32(N)], {3: table(np.uint32, ASM, a, b, c)})


def part(x, kind="", is_signed=False):
    """A byte (b0…b3), a half (h0, h1) or the whole word."""
    width = {"": 32, "b": 8, "h": 16}[kind[:1]]
    x = x >> width * int(kind[1:] or 0)
    return signed(x, width) if is_signed else x & ((1 << width) - 1)


def merge(t, kind, c):
    """t in the place of a part of c."""
    width = {"b": 8, "h": 16}[kind[0]]
    at = width * int(kind[1])
    mask = ((1 << width) - 1) << at
    return c & ~mask | t << at & mask


def ssat(x, width=32):
    """Saturated, signed."""
    return clamp(x, -2**(width - 1), 2**(width - 1) - 1)


SCALAR = [
    lambda x, y, z: ssat(x + s32(y)), lambda x, y, z: part(x, "b2") + part(y, "h1"),
    lambda x, y, z: max(part(x, "h0", 1) - part(y, "b3", 1), s32(z)), lambda x, y, z: clamp(s32(x) - y, 0, M32),
    lambda x, y, z: merge(ssat(abs(part(x, "b0", 1) - part(y, "b2", 1)), 16), "h0", z), lambda x, y, z: min(part(x, "h1", 1), part(y, "h0", 1)) + z,
    lambda x, y, z: merge(max(part(x, "b1"), part(y, "b0")), "b3", z), lambda x, y, z: x << min(part(y, "b0"), 32), lambda x, y, z: (x << (y & 31)) + z,
    lambda x, y, z: s32(x) >> min(part(y, "b1"), 32), lambda x, y, z: merge(part(x, "h1") >> (y & 31), "h1", z),
    lambda x, y, z: ssat(part(x, "h0", 1) * part(y, "h1", 1) - s32(z)), lambda x, y, z: part(x, "h0") * part(y, "h1") + z >> 15,
    lambda x, y, z: part(x, "b0") * part(y, "b1") + z + 1 >> 7, lambda x, y, z: ssat(-part(x, "b3") * part(y, "h0", 1) + s32(z)),
    lambda x, y, z: x < y, lambda x, y, z: z + (part(x, "b3", 1) >= part(y, "h1")), lambda x, y, z: merge(part(x, "h0", 1) != part(y, "h1", 1), "b1", z),
    lambda x, y, z: min(part(x, "b0", 1) + part(y, "b1", 1), s32(z)),
]


@case("scalar_video")
def scalar_video(rng):
    """vadd, vmad, vset and their like with parts, saturation, second operations and merges."""
    a, b, c = words(rng)
    return Case([a, b, c, np.zeros((19, N), np.uint32), np.int32(N)], {3: table(np.uint32, SCALAR, a, b, c)})
