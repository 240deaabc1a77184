"""Kernels written by hand."""
import math

import numpy as np

from ..corpus import Case, case
from ..reference import F32, add, each, fma, ftz, mul, signed, specials, trunc_div
from .arithmetic import M32, fns, lop3

L = np.arange(32)


@case("hand_old14", file="old14", grid=4, block=128)
def old14(rng):
    """a·x + y; small integers, as old targets fuse in their own way."""
    x, y = rng.integers(-100, 100, 500).astype(np.float32), rng.integers(-100, 100, 500).astype(np.float32)
    return Case([x, y, np.float32(3), np.int32(500)], {1: x * 3 + y})


@case("hand_nonsync", file="nonsync")
def nonsync(rng):
    """Shuffles and votes of a whole warp."""
    x = rng.integers(-100, 101, 32, np.int32)
    want = np.zeros((32, 8), np.int32)
    want[:, 0] = np.where(L >= 1, x[L - 1], -1)
    want[:, 1] = np.where(L < 30, x[(L + 2) & 31], -x)
    want[:, 2], want[:, 3] = x[L ^ 7], x[5]
    p = x > 0
    want[:, 4] = signed(sum(1 << int(k) for k in L[p]), 32)
    want[:, 5] = p.all() * 1 + (~p).any() * 2 + (p.all() or not p.any()) * 4
    return Case([x, np.zeros((32, 8), np.int32)], {1: want})


@case("hand_scopes", file="scopes", block=40)
def scopes(rng):
    """Registers of the same name in nested scopes."""
    a = rng.integers(0, 2**32, (36, 2), np.uint32)
    want = a.copy()
    want[:, 0] = 2 * np.arange(36) + 15
    return Case([a, np.uint32(36)], {0: want})


@case("hand_parameters", file="parameters")
def parameters(rng):
    """An array and a record as parameters."""
    x = rng.integers(-1000, 1000, 4, np.int32)
    record = np.zeros((), np.dtype([("c", np.int8, 4), ("i", np.int32), ("pad", np.int64), ("f", np.float64)]))
    record["c"], record["i"], record["f"] = [1, 2, 3, -77], -5000, 1.25
    whole = int(x[0]) + int(x[1]) + int(x[2]) * int(x[3]) + 200 - 300 - 5000
    return Case([x.tobytes(), record.tobytes(), np.uint8(200), np.int16(-300), np.float64(0.5), np.zeros(2)],
                {5: np.array([whole + 0.625, np.int64(-77).view(np.float64)])})


@case("hand_vectors", file="vectors", block=1)
def vectors(rng):
    """Sinks, packing, 128-bit registers."""
    a = rng.integers(0, 256, 48, np.uint8)
    w, h, d = a.view(np.uint32), a.view(np.uint16), a.view(np.uint64)
    want = np.zeros(40, np.uint8)
    word = int(w[0])
    want[:8].view(np.uint32)[:] = [(word >> 16 | word << 16) & M32, w[3]]
    four = [h[0], h[1], h[6], h[7]]
    want[8:16].view(np.uint16)[:] = four[::-1]
    want[16:32].view(np.uint64)[:] = [d[3], d[2] ^ d[3]]
    s = int(a[36:40].view(np.int8).astype(int).sum()) & 255
    want[32:36] = [s, h[16] & 255, s, 7]
    want[36:].view(np.int16)[:] = [h[16].view(np.int16), -2]
    return Case([a, np.zeros(40, np.uint8)], {1: want})


def szext(a, b, is_signed, clamp):
    """The low b bits of a, extended."""
    if b >= 32 and clamp:
        return a
    b &= 31
    low = a & ((1 << b) - 1)
    return signed(low, b) if b and is_signed else low


def bmsk(a, b, clamp):
    """b ones from bit a."""
    if clamp:
        return 0 if a >= 32 else ((1 << min(b, 32)) - 1) << a & M32
    return ((1 << (b & 31)) - 1) << (a & 31) & M32


@case("hand_oddities", file="oddities", grid=3, block=96)
def oddities(rng):
    """szext, bmsk, cnot, fns, lop3 with a predicate, testp, set, slct."""
    n = 250
    a = specials(rng, n).view(np.uint32)
    a[np.isnan(a.view(np.float32))] = 0x7fc00000
    a[::2] = rng.integers(0, 2**32, len(a[::2]), np.uint32)
    b = rng.integers(0, 40, n, np.uint32)
    c = rng.integers(-40, 40, n, np.int32)
    c[:100] = np.abs(c[:100])
    b[:3], a[:2] = [0, 31, 32], [1, 0x80000000]

    def word(x):
        return int(np.float32(x).view(np.uint32))

    def logic(x, y, z):
        r = lop3(x, y, z, 0xe8)
        return r ^ (1000000 if r != 0 or y > 20 else 0)

    def real(x):
        return float(np.uint32(x).view(np.float32))

    def small(x):
        return x == x and not math.isinf(x) and 0 < abs(x) < 2.0 ** -126
    rows = [lambda x, y, z: szext(x, y, True, True), lambda x, y, z: szext(x, y, False, False), lambda x, y, z: bmsk(y, z, True), lambda x, y, z: bmsk(y, z, False),
            lambda x, y, z: y == 0, lambda x, y, z: fns(x, z & 31, 2), logic, lambda x, y, z: small(real(x)) | math.isinf(real(x)) << 1,
            lambda x, y, z: word(1.0 if not real(x) <= 1 else 0.0), lambda x, y, z: x if signed(z, 32) >= 0 else y,
            lambda x, y, z: word(1.0 if ftz(real(x)) >= 0 else 2.0)]
    want = np.stack([each(r, a, b, c.view(np.uint32), dtype=np.uint32) for r in rows])
    return Case([a, b, c, np.zeros((11, n), np.uint32), np.uint32(n)], {3: want})


@case("hand_branches", file="branches", block=96)
def branches(rng):
    """brx.idx, a call through a prototype, a direct call."""
    a = rng.integers(0, 80, 96, np.uint32)

    def value(x, i):
        k = x % 5
        x = x + 100 if k == 0 else x << 2 if k in (1, 3) else (x ^ 0xff) + i if k == 2 else x + i
        if x > 50:
            x = 3 * (x * 3 if x & 1 == 0 else x - 1)
        return x
    return Case([a, np.zeros(96, np.uint32)], {1: each(value, a, np.arange(96), dtype=np.uint32)})


@case("hand_packed", file="packed", block=64)
def packed(rng):
    """f32x2."""
    a, b = specials(rng, 128), specials(rng, 128)
    a[np.isnan(a)], b[np.isnan(b)] = 1, 2
    x, y = a.astype(np.float64), b.astype(np.float64)
    sub, low, product = each(lambda p, q: add(p, -q), x, y), each(lambda p, q: add(p, q, F32, "rm"), x, y), each(lambda p, q: ftz(mul(ftz(p), ftz(q))), x, y)
    swapped = product.reshape(64, 2)[:, ::-1].ravel()
    last = each(lambda p, q, r: fma(p, q, r, F32, "rz"), x, y, swapped)
    want = np.stack([v.reshape(64, 2) for v in (sub, low, product, last)], 1)
    return Case([a, b, np.zeros((64, 4, 2), np.float32)], {2: want})


@case("hand_predicates", file="predicates", block=64)
def predicates(rng):
    """Guards and predicate arithmetic."""
    a = rng.integers(-2000, 2000, 50, np.int32)

    def value(x):
        p2, p3, p4 = x < 0, x >= 0, (x & M32) > 1000
        p5 = p2 and p4
        p6 = p3 or p5
        p7 = p2 != p6
        y = p2 | p3 << 1 | p4 << 2 | p5 << 3 | p6 << 4 | p7 << 5 | (not p7) << 6
        x = trunc_div(-x, 2) if p2 else x
        return x * 128 + y if p4 else x
    return Case([a, np.full(50, 99, np.int32), np.uint32(50)], {1: each(value, a, dtype=np.int32)})


@case("hand_literals", file="literals", block=1)
def literals(rng):
    """Literals and initialisers; the remainder is unsigned in constant expressions (PTX ISA 4.5.5, and ptxas)."""
    def word(x):
        return int(np.float32(x).view(np.uint32))
    want = [13 * 100 + 7, 30, 20, word(2 * -15 + 0.5), (2**64 - 14) % 5, 0x30 | 2, 0xfffffffe & M32, word(1.5), 1 - 1 + 1, 32, word(-math.pi)]
    return Case([np.zeros(11, np.uint32)], {0: np.array([w & M32 for w in want], np.uint32)})
