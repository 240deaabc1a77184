"""Control flow."""
import math
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import each, signed, trunc_div

case = partial(_case, file="control", grid=4, block=128)
N = 500


@case("collatz")
def collatz(rng):
    """Steps of the Collatz sequence."""
    a = rng.integers(1, 10000, N, np.uint32)

    def steps(x):
        k = 0
        while x != 1:
            x, k = (3 * x + 1 if x & 1 else x >> 1), k + 1
        return k
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: each(steps, a, dtype=np.int32)})


@case("gcd")
def gcd(rng):
    """Euclid."""
    a, b = rng.integers(0, 2**32, N, np.uint32), rng.integers(0, 2**20, N, np.uint32)
    a[:2], b[:3] = 0, 0
    return Case([a, b, np.zeros(N, np.uint32), np.int32(N)], {2: each(math.gcd, a, b, dtype=np.uint32)})


@case("lower_bound")
def lower_bound(rng):
    """Binary search."""
    m = 333
    table = np.sort(rng.integers(-500, 500, m)).astype(np.float32)
    keys = rng.integers(-550, 550, N).astype(np.float32)
    return Case([table, np.int32(m), keys, np.zeros(N, np.int32), np.int32(N)], {3: np.searchsorted(table, keys).astype(np.int32)})


@case("nested_if")
def nested_if(rng):
    """Nested conditions."""
    a = rng.integers(-150, 150, N, np.int32)
    a[:3] = [0, 41, 15]

    def value(x):
        if x < -100:
            return -3
        if x < 0:
            return (-1 if x > -50 else -2) if x & 1 else sum(range(x, 0, 7))
        if x == 0:
            return 77
        r = 15 if x % 15 == 0 else 3 if x % 3 == 0 or x == 41 else x
        return r - 1000 if r > 50 and not x & 4 else r
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: each(value, a, dtype=np.int32)})


@case("break_continue")
def break_continue(rng):
    """break and continue in two loops."""
    a = rng.integers(-20, 100, N, np.int32)

    def value(i):
        s = 0
        for k in range(64):
            v = int(a[(i * 7 + k) % N])
            if v < 0:
                continue
            if v == 99:
                break
            s = signed(s + sum(j for j in range(v) if j * j <= v and j % 3 != 1), 32)
            s ^= v << (k & 7)
        return s
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: each(value, np.arange(N), dtype=np.int32)})


@case("jump_table")
def jump_table(rng):
    """A switch of eleven cases in a loop, with a fall-through and a way out."""
    code, a = rng.integers(0, 13, 40, np.int32), rng.integers(-1000, 1000, N, np.int32)

    def value(i):
        x, pc = int(a[i]), i % 5
        for step in range(12):
            c = int(code[(pc + step) % 40])
            if c == 0:
                x += 3
            elif c == 1:
                x *= 5
            elif c == 2:
                x ^= 0x55
            elif c in (3, 4):
                x = signed(-x if c == 3 else x, 32) >> 1
            elif c == 5:
                pc += x & 3
            elif c == 6:
                x -= 1000 * trunc_div(x, 1000)
            elif c == 7:
                if x & 1:
                    break
            elif c == 8:
                x -= int(a[(i + step) % N])
            elif c == 9:
                x = (x & 0xffffffff).bit_count()
            elif c == 10:
                x |= i
            else:
                x += 1
            x = signed(x, 32)
        return x + pc
    return Case([code, a, np.zeros(N, np.int32), np.int32(N)], {2: each(value, np.arange(N), dtype=np.int32)})


@case("mandelbrot", grid=(3, 3), block=(16, 12))
def mandelbrot(rng):
    """Escape times with plain roundings."""
    width, height, limit = 45, 33, 60
    y, x = np.indices((height, width))
    cr, ci = (np.float32(-2) + x * np.float32(0.0625)).astype(np.float32), (np.float32(-1) + y * np.float32(0.0625)).astype(np.float32)
    zr, zi, k = np.zeros_like(cr), np.zeros_like(ci), np.zeros(cr.shape, np.int32)
    live = np.ones(cr.shape, bool)
    for _ in range(limit):
        rr, ii = zr * zr, zi * zi
        live &= ~(rr + ii > 4)
        zr, zi = np.where(live, rr - ii + cr, zr), np.where(live, np.float32(2) * zr * zi + ci, zi)
        k += live
    return Case([np.zeros((height, width), np.int32), np.int32(width), np.int32(height), np.int32(limit)], {0: k})


@case("do_while")
def do_while(rng):
    """A loop entered in the middle."""
    a = rng.integers(0, 2**32, N, np.uint32)

    def value(x):
        k, skip = 0, x & 1
        while True:
            if not skip:
                x, k = x * 1664525 + 1013904223 & 0xffffffff, k + 2
            skip, k = 0, k + 1
            if k > 40:
                return -k
            if x >> 28 == 7:
                return k
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: each(value, a, dtype=np.int32)})


@case("grid_stride", grid=3, block=64)
def grid_stride(rng):
    """A loop by the size of the grid."""
    n, threads = 1001, 192
    a = rng.integers(-10**9, 10**9, n, np.int32)
    v = np.zeros(6 * threads, np.int64)
    v[:n] = a.astype(np.int64) * np.arange(1, n + 1)
    return Case([a, np.zeros(threads, np.int64), np.int32(n)], {1: v.reshape(6, threads).sum(0)})


@case("divergent_loops", grid=1, block=32)
def divergent_loops(rng):
    """Trip counts by lane, then a vote."""
    trips = rng.integers(0, 40, 32, np.int32)
    s = np.array([sum(10 if k % (t + 1) == t else k & 1 for k in range(trips[t])) for t in range(32)], np.int32)
    return Case([trips, np.zeros(32, np.int32)], {1: s * 64 + np.int32((s & 1).sum())})
